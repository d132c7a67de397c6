"""Reading features for people and programs: from the tiles, or from the lake for an earlier time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tidemill.errors import InputError
from tidemill.features import View
from tidemill.learning import Moments, values_at
from tidemill.project import Workspace
from tidemill.stores import Lookup, wait_for_lake


@dataclass(frozen=True)
class FeatureAnswer:
    """The features of one key, where they were read and what that had taken; null means missing."""

    view: str
    key: str
    at_ms: int
    source: str
    position: str
    values: dict[str, float | None]


def read_features(workspace: Workspace, view: View, key: str, at_ms: int | None) -> FeatureAnswer:
    """The features of `key`, now or at a time.

    Raises:
        InputError: the key has not as many parts as the entity.
        NotReadyError: the lake does not come up with the tiles in time.
    """
    parts = split_key(key)
    if len(parts) != len(view.entity_fields):
        raise InputError(f"{key!r} has {len(parts)} parts; view {view.name!r} needs {','.join(view.entity_fields)}", where="key")
    tiles_at = workspace.state.position_and_time()[1]
    if at_ms is None or at_ms >= tiles_at:
        reading = workspace.state.tiles.read([Lookup(view.name, [key])], tiles_at if at_ms is None else at_ms)
        found = {column: values[0] for column, values in reading.values.items()}
        source, position, asked_ms = "tiles", reading.position.token, reading.known_at_ms if at_ms is None else at_ms
    else:
        wait_for_lake(workspace.state, timeout_s=15)
        columns = {name: np.array([part], dtype=object) for name, part in zip(view.entity_fields, parts, strict=True)}
        moment = np.array([at_ms], dtype=np.int64)
        found = {
            c: v[0]
            for c, v in values_at(view, workspace.lake.dataset(view.stream.name), Moments(moment, moment, columns), "known_at").items()
        }
        source, position, asked_ms = "lake", str(workspace.lake.held(view.stream.name)), at_ms
    values = {column.removeprefix(f"{view.name}__"): None if math.isnan(value) else float(value) for column, value in found.items()}
    return FeatureAnswer(view.name, key, asked_ms, source, position, values)


def split_key(key: str) -> list[str]:
    r"""The parts of a key; a comma or backslash of a part's own stands behind a backslash.

    >>> split_key("EWR,UA")
    ['EWR', 'UA']
    """
    parts, escaped = [""], False
    for letter in key:
        if escaped or letter not in "\\,":
            parts[-1] += letter
            escaped = False
        elif letter == "\\":
            escaped = True
        else:
            parts.append("")
    return parts
