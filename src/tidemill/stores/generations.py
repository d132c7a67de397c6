"""Rows that grow old together: one table for each span of time, so that the old ones go by dropping a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.stores.hash_table import HashTable
from tidemill.stores.table_files import TableFiles


@dataclass(frozen=True)
class Generations:
    """The tables of one kind of row, generation n holding what belongs to `[n * span_ms, (n + 1) * span_ms)`.

    Args:
        name: unique among the tables of the folder; no `@` in it.
        span_ms: how long a generation is.
        width: float64 in a row.
    """

    name: str
    span_ms: int
    width: int

    def ensure(self, files: TableFiles, generation: int, more: int) -> HashTable:
        """The table of a generation with room for `more` rows; a new one is made as large as the one before has become."""
        return files.ensure(self._table(generation), self.width, more, like=self._table(generation - 1))

    def among(self, tables: Mapping[str, HashTable]) -> dict[int, HashTable]:
        """By generation, those of some tables that are of this kind; oldest first."""
        mine = {int(name.rpartition("@")[2]): table for name, table in tables.items() if name.rpartition("@")[0] == self.name}
        return dict(sorted(mine.items()))

    def before(self, tables: Mapping[str, HashTable], keep_from_ms: int) -> list[str]:
        """The names of the tables that hold nothing from `keep_from_ms` on."""
        return [self._table(generation) for generation in self.among(tables) if (generation + 1) * self.span_ms <= keep_from_ms]

    def _table(self, generation: int) -> str:
        return f"{self.name}@{generation}"
