"""The heat map: a strip for each watched column over time, drawn as small SVG paths so that a year of forty columns is a few kilobytes.

A strip is a row of cells of equal time. The darker a cell, the nearer the column came to a warning; what is quiet is not drawn at all.
Where a warning says since when the column has changed there is a mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import ColumnChange, Heat
from tidemill.ui.formats import age, date, utc

CELL = 10  # width of a cell in the strip's own units
N_ROWS = 12  # shown at once; the others are behind a fold
_LEVELS = ((150, "h4"), (100, "h3"), (80, "h2"), (60, "h1"))  # percent of what warns, and the class of the colour
_MOST_TICKS = 4
_STEPS = {HOUR_MS: "an hour", 6 * HOUR_MS: "six hours", DAY_MS: "a day", 7 * DAY_MS: "a week"}


@dataclass(frozen=True)
class Mark:
    """A change point in a strip, in its units, and what it says."""

    x: float
    text: str


@dataclass(frozen=True)
class Shape:
    """The distribution of a column, learnt from and now: labels and shares of bins, missing last."""

    labels: tuple[str, ...]
    reference: tuple[float, ...]
    now: tuple[float, ...]

    @property
    def highest(self) -> float:
        """The largest share, to scale by."""
        return max((*self.reference, *self.now), default=0.0) or 1.0

    @property
    def words(self) -> str:
        """What changed most, for who does not see the picture."""
        by = [now - was for now, was in zip(self.now, self.reference, strict=True)]
        up, down = (max(range(len(by)), key=lambda place: sign * by[place]) for sign in (1, -1))
        if max(map(abs, by), default=0.0) < 0.02:
            return "as in the reference"
        told = [f"{self.labels[at]}: {self.reference[at]:.0%} in the reference, {self.now[at]:.0%} now" for at in dict.fromkeys((up, down))]
        return "; ".join(told)

    def path(self, which: str, height: int = 60) -> str:
        """The outline of the bins as an SVG path; each bin is ten wide."""
        shares = self.reference if which == "reference" else self.now
        tops = [round(height * (1 - share / self.highest), 1) for share in shares]
        return f"M0 {height}" + "".join(f"V{top:g}h10" for top in tops) + f"V{height}"


@dataclass(frozen=True)
class Strip:
    """One column over time.

    Args:
        column: its name.
        paths: the class of a colour and the SVG path of its cells.
        marks: its change points.
        words: the same in words.
        shape: its distributions; None before a complete window.
    """

    column: str
    paths: tuple[tuple[str, str], ...] = ()
    marks: tuple[Mark, ...] = ()
    words: str = ""
    shape: Shape | None = None


@dataclass(frozen=True)
class HeatMap:
    """All strips on one axis: those that warned last first. `ticks` are dates at a share of the width."""

    strips: tuple[Strip, ...] = ()
    n_cells: int = 0
    from_ms: int = 0
    step_ms: int = 0
    ticks: tuple[tuple[float, str], ...] = ()

    @property
    def until_ms(self) -> int:
        """Where the last cell ends."""
        return self.from_ms + self.n_cells * self.step_ms

    @property
    def step(self) -> str:
        """How much time a cell is, in words."""
        return _STEPS.get(self.step_ms, age(self.step_ms))

    @property
    def revision(self) -> str:
        """Changes when a cell is begun, a window is complete or a column warns, so that the page asks for the map again only then."""
        told = [(strip.column, len(strip.marks), strip.shape and strip.shape.now) for strip in self.strips]
        return sha256(repr((self.from_ms, self.step_ms, self.n_cells, told)).encode()).hexdigest()[:12]

    def marks(self, changes: Iterable[tuple[int, str]]) -> tuple[Mark, ...]:
        """Marks of other changes on the same axis; those that lie outside are left out."""
        return tuple(
            Mark(_x(self.from_ms, self.step_ms, at_ms), f"{utc(at_ms)}: {text}")
            for at_ms, text in sorted(changes)
            if self.from_ms <= at_ms < self.until_ms
        )


@dataclass
class _Column:
    levels: Sequence[int] = ()
    changes: list[ColumnChange] = field(default_factory=list)


def read_heat(state: Mapping[str, Any]) -> HeatMap:
    """The heat map of a state saved as `windows:MODEL`; empty where an older release saved none."""
    heat, shapes = Heat.from_state(state.get("heat")), state.get("shapes") or {}
    if not heat.n_cells:
        return HeatMap()
    columns = {name: _Column(levels) for name, levels in heat.cells.items()}
    for change in heat.changes:
        if change.column in columns:
            columns[change.column].changes.append(change)
    ordered = sorted(columns, key=lambda name: (-_last(columns[name]), -max(columns[name].levels), name))
    strips = tuple(_strip(name, columns[name], heat, shapes.get(name)) for name in ordered)
    return HeatMap(strips, heat.n_cells, heat.from_ms, heat.step_ms, _ticks(heat))


def _strip(name: str, column: _Column, heat: Heat, shape: Mapping[str, Any] | None) -> Strip:
    inside = [change for change in column.changes if change.since_ms >= heat.from_ms]
    marks = tuple(
        Mark(_x(heat.from_ms, heat.step_ms, change.since_ms), f"{utc(change.since_ms)}: changed, seen {utc(change.at_ms)}")
        for change in inside
    )
    drawn = None if shape is None else Shape(tuple(shape["labels"]), tuple(shape["reference"]), tuple(shape["now"]))
    return Strip(name, _paths(column.levels), marks, _words(column, heat), drawn)


def _paths(levels: Sequence[int]) -> tuple[tuple[str, str], ...]:
    """The cells of each colour, those side by side as one.

    >>> _paths([10, 120, 110, -1, 160])
    (('h4', 'M40 0h10v10h-10z'), ('h3', 'M10 0h20v10h-20z'), ('none', 'M30 0h10v10h-10z'))
    """
    runs: dict[str, list[tuple[int, int]]] = {}
    for place, level in enumerate(levels):
        name = "none" if level < 0 else next((name for least, name in _LEVELS if level >= least), "")
        if not name:
            continue
        row = runs.setdefault(name, [])
        if row and row[-1][1] == place:
            row[-1] = row[-1][0], place + 1
        else:
            row.append((place, place + 1))
    order = [*(name for _, name in _LEVELS), "none"]
    return tuple((name, "".join(_box(first, end) for first, end in runs[name])) for name in order if name in runs)


def _box(first: int, end: int) -> str:
    width = (end - first) * CELL
    return f"M{first * CELL} 0h{width}v10h-{width}z"


def _words(column: _Column, heat: Heat) -> str:
    highest = max(column.levels)
    place = column.levels.index(highest)
    if highest < 0:
        return "not judged"
    at = date(heat.from_ms + place * heat.step_ms)
    told = f"at most {highest / 100:.2f} of what warns, in {_STEPS.get(heat.step_ms, age(heat.step_ms))} from {at}"
    if column.changes:
        told += f"; warned {len(column.changes)}×, last of a change on {date(column.changes[-1].since_ms)}"
    return told


def _ticks(heat: Heat) -> tuple[tuple[float, str], ...]:
    span_ms = heat.n_cells * heat.step_ms
    every = max(1, -(-heat.n_cells // _MOST_TICKS))
    name = date if heat.step_ms >= DAY_MS // 4 else _hour
    starts = [heat.from_ms + place * heat.step_ms for place in range(0, heat.n_cells, every)]
    return tuple((round(100 * (at_ms - heat.from_ms) / span_ms, 2), name(at_ms)) for at_ms in starts)


def _hour(at_ms: int | None) -> str:
    return utc(at_ms).removesuffix(" UTC")[5:]


def _x(from_ms: int, step_ms: int, at_ms: int) -> float:
    return round((at_ms - from_ms) / step_ms * CELL, 1)


def _last(column: _Column) -> int:
    return max((change.at_ms for change in column.changes), default=-1)
