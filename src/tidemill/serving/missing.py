"""Which columns of a vector had no value, and how old the newest event of their view or table was: an unknown key, or a silent stream?"""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from tidemill.learning import Model, Vectors
from tidemill.project import Workspace

_LOOK_S = 1.0


class MissingColumns:
    """Flags what is missing in vectors; the newest event of each stream is looked up at most once a second, and only where one is.

    Args:
        workspace: whose streams the views and tables of a model are of.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._streams = {
            model.name: {column: source.stream.name for source in model.sources for column in source.column_kinds}
            for model in workspace.project.models
        }
        self._newest: Mapping[str, int] = {}
        self._looked_s = -_LOOK_S

    def of(self, model: Model, vectors: Vectors, asked_ms: int) -> list[dict[str, int | None]]:
        """Of each of n rows the columns without a value, with the age of their source at the time of the question, ms.

        Args:
            model: whose.
            vectors: n of them.
            asked_ms: when it was asked.
        """
        told: list[dict[str, int | None]] = [{} for _ in range(len(vectors))]
        nowhere = np.isnan(vectors.singles.T)
        gone = [(row, vectors.names[place]) for row, place in np.argwhere(nowhere).tolist()] if nowhere.any() else []
        gone += [(row, name) for name, column in vectors.texts.items() for row, value in enumerate(column) if value is None]
        ages_ms = {name: self._age_ms(self._streams[model.name].get(name), asked_ms) for name in {name for _, name in gone}}
        for row, name in gone:
            told[row][name] = ages_ms[name]
        return told

    def _age_ms(self, stream: str | None, asked_ms: int) -> int | None:
        if stream is None:
            return None
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_S:
            self._newest, self._looked_s = self._workspace.state.last_event_ms(), now_s
        newest_ms = self._newest.get(stream, 0)
        return max(0, asked_ms - newest_ms) if newest_ms else None
