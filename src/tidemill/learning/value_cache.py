"""Values of past questions, of views and tables, kept once computed: what was known by `t` never changes, so they would come out the same.

A training computes them for questions that nobody asked the server, which is most of the history before a model served, and would do
so again at every retrain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.feather as feather

from tidemill.events import Column
from tidemill.learning.model import Model

_OFFSET, _AT = "offset", "at_ms"
Missing = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Kept:
    """n questions with their values."""

    offsets: npt.NDArray[np.int64]
    at_ms: npt.NDArray[np.int64]
    values: Mapping[str, Column]

    def find(self, offsets: npt.NDArray[np.int64], at_ms: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(m,) the row of each question; -1 where it is not kept, or was kept with another time."""
        if not len(self.offsets):
            return np.full(len(offsets), -1)
        order = np.argsort(self.offsets)
        row = order[np.minimum(np.searchsorted(self.offsets, offsets, sorter=order), len(order) - 1)]
        return np.where((self.offsets[row] == offsets) & (self.at_ms[row] == at_ms), row, -1)


class ValueCache:
    """One Arrow file a model and set of definitions; a question is known by its log offset and its time.

    Use it only while the lake holds every event known by the newest question. Removing the folder loses nothing but time.

    Args:
        folder: where the files lie; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def complete(
        self, model: Model, offsets: npt.NDArray[np.int64], at_ms: npt.NDArray[np.int64], compute: Callable[[Missing], Mapping[str, Column]]
    ) -> dict[str, Column]:
        """The values of n questions, those of earlier calls from the file.

        Args:
            model: whose views and tables.
            offsets: (n,) log offset of each question.
            at_ms: (n,) time of each question.
            compute: given (n,) which questions are wanted, their values by `view__feature` and `table__column`, in order.
        """
        path = self._path(model)
        kept = _read(path)
        found = kept.find(offsets, at_ms)
        missing = found < 0
        if len(kept.offsets) and not missing.any():  # of none kept not even the columns are known
            return {name: column[found] for name, column in kept.values.items()}
        values: dict[str, Column] = {}
        for name, fresh in compute(missing).items():
            values[name] = np.empty(len(found), dtype=fresh.dtype)
            values[name][missing] = fresh
            if not missing.all():
                values[name][~missing] = kept.values[name][found[~missing]]
        self._write(path, _Kept(offsets, at_ms, values))
        return values

    def _path(self, model: Model) -> Path:
        digest = hashlib.sha256(model.source_digest.encode()).hexdigest()[:16]
        return self._folder / f"{model.name}-{digest}.arrow"

    def _write(self, path: Path, kept: _Kept) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for old in self._folder.glob(f"{path.name.rpartition('-')[0]}-*.arrow"):
            if old != path:  # of definitions that have changed since
                old.unlink(missing_ok=True)
        written = path.with_suffix(".new")
        # of text that is all missing Arrow would not know that it is text
        values = {name: pa.array(column, pa.string()) if column.dtype == object else column for name, column in kept.values.items()}
        table = pa.table({_OFFSET: kept.offsets, _AT: kept.at_ms, **values})
        feather.write_feather(table, written, compression="uncompressed")
        written.replace(path)


def _read(path: Path) -> _Kept:
    if not path.exists():
        return _Kept(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64), {})
    table = feather.read_table(path, memory_map=False)
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    return _Kept(columns.pop(_OFFSET), columns.pop(_AT), columns)
