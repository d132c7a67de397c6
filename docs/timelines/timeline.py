"""A timeline as SVG.

Times are minutes after 12:00. A drawing has named rows from top to bottom and an axis below; bars, dots, arrows and notes lie in a row,
marks go through all of them. Colours follow the reader's light or dark scheme; the ground is drawn too, so either reads anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil

LEFT, RIGHT, WIDTH, TOP, ROW = 170, 850, 880, 40, 46
STYLE = """
    .ground { fill: #ffffff } text { fill: #1c2b33 } .soft { fill: #4a5a63 } .axis { stroke: #8795a1 } .grid { stroke: #e3e9ec }
    .window { fill: #dbeafe; stroke: #2b6cb0 } .tile { fill: #eef4f6; stroke: #4a6572 } .keep { fill: #fdf3e1; stroke: #b7791f }
    .in { fill: #2b6cb0; stroke: #2b6cb0 } .out { fill: #ffffff; stroke: #8795a1 } .no { stroke: #c53030; stroke-width: 2.5 }
    .bad { fill: #c53030 } .way { fill: none; stroke: #4a6572 } .head { fill: #4a6572 } .mark { stroke: #b7791f; stroke-dasharray: 5 4 }
    @media (prefers-color-scheme: dark) {
      .ground { fill: #0d1117 } text { fill: #e6edf3 } .soft { fill: #a3b1bc } .axis { stroke: #6b7a86 } .grid { stroke: #232b33 }
      .window { fill: #12304d; stroke: #58a6ff } .tile { fill: #1d2730; stroke: #8aa0ad } .keep { fill: #3a2c10; stroke: #d9a441 }
      .in { fill: #58a6ff; stroke: #58a6ff } .out { fill: #0d1117; stroke: #8795a1 } .no { stroke: #ff7b72 }
      .bad { fill: #ff7b72 } .way { stroke: #a3b1bc } .head { fill: #a3b1bc } .mark { stroke: #d9a441 }
    }
"""


def clock(minutes: float) -> str:
    """The time of an axis: minutes after 12:00."""
    return f"{int(12 + minutes // 60)}:{int(minutes % 60):02}"


class Timeline:
    """One drawing.

    Args:
        says: what it shows, for those who cannot see it.
        rows: their names, from top to bottom.
        span: where the axis begins and ends, in minutes after 12:00.
        every: how many minutes lie between two times of the axis.
        name: what the axis calls a minute.
    """

    def __init__(
        self, says: str, rows: Sequence[str], span: tuple[float, float], every: int = 1, name: Callable[[float], str] = clock
    ) -> None:
        self._says, self._rows, self._span, self._every, self._name = says, rows, span, every, name
        self._behind: list[str] = []
        self._front: list[str] = []
        self._bottom = TOP + ROW * len(rows)
        for row, text in enumerate(rows):
            self._front.append(f'<text x="12" y="{self._y(row) + 4}">{escape(text)}</text>')

    def bar(self, row: int, begin: float, end: float, text: str = "", kind: str = "window") -> None:
        """A stretch of time."""
        x, width, y = self._x(begin), self._x(end) - self._x(begin), self._y(row)
        self._behind.append(f'<rect class="{kind}" x="{x:.1f}" y="{y - 13}" width="{width:.1f}" height="26" rx="3"/>')
        if text:
            self.note(row, (begin + end) / 2, text)

    def dot(self, row: int, at: float, text: str = "", kind: str = "in") -> None:
        """An event: `in` counts, `out` does not, `no` is refused; `text` stands above it."""
        x, y = self._x(at), self._y(row)
        cross = f'<path class="no" d="M{x - 5:.1f} {y - 5}l10 10m0 -10l-10 10"/>'
        self._front.append(cross if kind == "no" else f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="5"/>')
        self._front.append(f'<text class="small" x="{x:.1f}" y="{y - 17}" text-anchor="middle">{escape(text)}</text>' if text else "")

    def arrow(self, begin: tuple[int, float], end: tuple[int, float]) -> None:
        """From a (row, minute) to another."""
        (row, at), (to_row, to_at) = begin, end
        x, y, to_x, to_y = self._x(at), self._y(row), self._x(to_at), self._y(to_row)
        length = ((to_x - x) ** 2 + (to_y - y) ** 2) ** 0.5
        dx, dy = 8 * (to_x - x) / length, 8 * (to_y - y) / length
        self._behind.append(f'<path class="way" marker-end="url(#head)" d="M{x + dx:.1f} {y + dy:.1f}L{to_x - dx:.1f} {to_y - dy:.1f}"/>')

    def note(self, row: int, at: float, text: str, kind: str = "", anchor: str = "middle") -> None:
        """Words in a row."""
        place = f'x="{self._x(at):.1f}" y="{self._y(row) + 4}" text-anchor="{anchor}"'
        self._front.append(f'<text class="small {kind}" {place}>{escape(text)}</text>')

    def mark(self, at: float, text: str, anchor: str = "middle") -> None:
        """A moment, through all rows."""
        x = self._x(at)
        self._behind.append(f'<path class="mark" d="M{x:.1f} {TOP - 12}V{self._bottom}"/>')
        self._front.append(f'<text class="small" x="{x:.1f}" y="{TOP - 18}" text-anchor="{anchor}">{escape(text)}</text>')

    def path(self, row: int, points: Sequence[tuple[float, float]]) -> None:
        """A curve in a row, of (minute, height between 0 and 1)."""
        places = " ".join(f"{self._x(at):.1f},{self._y(row) + 15 - 30 * height:.1f}" for at, height in points)
        self._front.append(f'<polyline class="way" points="{places}"/>')

    def svg(self) -> str:
        """The whole file."""
        height = self._bottom + 34
        ticks = []
        for minute in range(ceil(self._span[0]), int(self._span[1]) + 1, self._every):
            x = self._x(minute)
            ticks.append(f'<path class="grid" d="M{x:.1f} {TOP - 6}V{self._bottom}"/>')
            ticks.append(f'<text class="small soft" x="{x:.1f}" y="{self._bottom + 20}" text-anchor="middle">{self._name(minute)}</text>')
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t"'
                ' font-family="system-ui, sans-serif" font-size="13.5" stroke-width="1.5">',
                f'<title id="t">{escape(self._says)}</title>',
                '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="6" markerHeight="6" orient="auto">'
                '<path class="head" d="M0 0 10 5 0 10z"/></marker>',
                f"<style>{STYLE}    text {{ stroke: none }} .small {{ font-size: 12.5px }}\n</style></defs>",
                f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
                *ticks,
                f'<path class="axis" d="M{LEFT} {self._bottom}H{RIGHT}"/>',
                *self._behind,
                *(part for part in self._front if part),
                "</svg>\n",
            ]
        )

    def _x(self, at: float) -> float:
        begin, end = self._span
        return LEFT + (RIGHT - LEFT) * (at - begin) / (end - begin)

    def _y(self, row: int) -> int:
        return TOP + ROW * row + ROW // 2
