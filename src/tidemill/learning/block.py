"""What a value of the past is made of: questions, and a block of events, both placed on one axis of keys and times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.events import Columns
from tidemill.kernels import Ints, cover_runs, find_runs

_PAIRS = 1_000_000  # most (question, row) pairs looked at together: about 100 MB


@dataclass(frozen=True)
class Axis:
    """Moments of many keys on one axis, key after key: a place is `key * span + (moment - begin)`.

    Moments before the axis are at its begin, moments after it at its end, so that none falls among those of another key.

    >>> axis = Axis(begin=100, span=10)
    >>> axis.places(np.array([0, 2]), np.array([103, 50]))
    array([ 3, 20])
    """

    begin: int
    span: int

    def places(self, key: Ints, moment: Ints) -> Ints:
        """(n,) int64 places."""
        return key * self.span + np.clip(moment - self.begin, 0, self.span - 1)

    def keys(self, places: Ints) -> Ints:
        """(n,) the key of each place."""
        return places // self.span

    def moments(self, places: Ints) -> Ints:
        """(n,) the moment of each place."""
        return places % self.span + self.begin


@dataclass(frozen=True)
class Asked:
    """n questions: the number of their key, their time, and up to what they know; all (n,) int64."""

    key: Ints
    at_ms: Ints
    known_up_to: Ints

    def rows(self, which: slice | Ints) -> Asked:
        """Those that `which` picks."""
        return Asked(self.key[which], self.at_ms[which], self.known_up_to[which])

    def __len__(self) -> int:
        """How many."""
        return len(self.key)


@dataclass(frozen=True)
class Events:
    """n events ordered by place (key and time), then offset.

    Args:
        axis: what the places mean, in ms.
        place: (n,) int64.
        known: (n,) int64, when each became known, in the clock of the questions.
        fields: (n,) columns as of `EventBatch.columns`.
        ids: (n,) texts, or none where nothing depends on them.
    """

    axis: Axis
    place: Ints
    known: Ints
    fields: Columns
    ids: npt.NDArray[np.object_]

    def __len__(self) -> int:
        """How many."""
        return len(self.place)

    @property
    def at_ms(self) -> Ints:
        """(n,) int64, when each happened."""
        return self.axis.moments(self.place)

    def rows(self, which: slice | Ints) -> Events:
        """Those that `which` picks, in its order."""
        fields = {name: column[which] for name, column in self.fields.items()}
        return Events(self.axis, self.place[which], self.known[which], fields, self.ids[which] if len(self.ids) else self.ids)


@dataclass(frozen=True)
class Runs:
    """For each of n questions the rows `low:low + count` that it may read."""

    low: Ints
    count: Ints

    @classmethod
    def between(cls, places: Ints, begin: Ints, end: Ints) -> Runs:
        """The rows whose places lie in `[begin, end)` of each question; all three rise."""
        return cls(*find_runs(places, begin, end))

    def where(self, kept: npt.NDArray[np.bool_]) -> Runs:
        """The same, with nothing to read for the other questions."""
        return Runs(self.low, np.where(kept, self.count, 0))

    @staticmethod
    def compact(several: Sequence[Runs]) -> tuple[Ints, list[Runs]]:
        """The rows between each question's first and last, rising, and its runs counted in those; `several` are of the same questions."""
        low = np.minimum.reduce([runs.low for runs in several])
        covered, first = cover_runs(low, np.maximum.reduce([runs.low + runs.count for runs in several]))
        return covered, [Runs(runs.low - low + first, runs.count) for runs in several]

    def parts(self) -> Iterator[Part]:
        """The pairs of a question and a row that it may read, in parts that fit in memory; a question is always in one."""
        total = np.cumsum(self.count)
        begin = 0
        while begin < len(total):
            done = int(total[begin - 1]) if begin else 0
            end = max(int(np.searchsorted(total, done + _PAIRS, side="right")), begin + 1)
            low, count = self.low[begin:end], self.count[begin:end]
            first = np.cumsum(count) - count
            row = np.arange(int(count.sum())) + np.repeat(low - first, count)
            yield Part(slice(begin, end), count, row)
            begin = end


@dataclass(frozen=True)
class Part:
    """Pairs of a question and a row that it may read, question by question.

    Args:
        which: of all questions those that are here, n of them.
        count: (n,) how many rows each reads.
        row: (sum of count,) the rows.
    """

    which: slice
    count: Ints
    row: Ints

    def each(self, of_questions: Ints) -> Ints:
        """What is said of every question, beside each of its rows."""
        return np.repeat(of_questions[self.which], self.count)
