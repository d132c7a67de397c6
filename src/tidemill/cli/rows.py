"""Rows of figures that no terminal is too narrow for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

_WIDE = 1_000  # columns of a terminal in which any table fits


@dataclass(frozen=True)
class Rows:
    """A table where the terminal has room for it, else a line for each row: half a figure would be read as another one.

    Args:
        names: of the columns.
        rows: their cells; of a line an empty one is left out.
        folded: a column that may take two lines.
    """

    names: Sequence[str]
    rows: Sequence[Sequence[str | Text]]
    folded: str = ""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = Table(*(Column(name, no_wrap=name != self.folded) for name in self.names), box=None)
        for row in self.rows:
            table.add_row(*row)
        if Measurement.get(console, options.update(max_width=_WIDE), table).minimum <= options.max_width:
            yield table
            return
        for row in self.rows:
            cells = [Text.assemble(f"{name} ", cell) for name, cell in zip(self.names, row, strict=True) if cell]
            yield Text("  ").join(cells)
