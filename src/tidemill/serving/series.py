"""Counts and times of what happens at every request, as Prometheus reads them.

The client library's own take several times as long to count as the work of a small request: they look a series up by its labels anew,
and take a lock for each number. Here a series is found once by its name, and one lock guards all of its numbers.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from time import perf_counter

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString


class Counts:
    """A counter with labels.

    Args:
        name: of the metric.
        help_text: what is counted.
        labels: their names.

    >>> asked = Counts("shop_asked", "Requests.", ["route", "status"])
    >>> asked.add("GET /", "200")
    >>> asked.add("GET /", "200", by=2)
    >>> [sample.value for sample in next(asked.collect()).samples]
    [3.0]
    """

    def __init__(self, name: str, help_text: str, labels: Sequence[str]) -> None:
        self._about = (name, help_text, labels)
        self._counts: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()

    def add(self, *labels: str, by: float = 1) -> None:
        """Count something."""
        with self._lock:
            self._counts[labels] = self._counts.get(labels, 0.0) + by

    def collect(self) -> Iterator[CounterMetricFamily]:
        """What was counted."""
        name, help_text, names = self._about
        family = CounterMetricFamily(name, help_text, labels=names)
        with self._lock:
            counts = dict(self._counts)
        for labels, count in counts.items():
            family.add_metric(labels, count)
        yield family


class Level:
    """A number of things that are going on: one more as long as a block runs.

    Args:
        name: of the metric.
        help_text: what is counted.

    >>> going = Level("shop_going", "Requests that are being answered.")
    >>> with going:
    ...     [sample.value for sample in next(going.collect()).samples]
    [1]
    """

    def __init__(self, name: str, help_text: str) -> None:
        self._about = (name, help_text)
        self._now = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._now += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._now -= 1

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """How many there are now."""
        yield GaugeMetricFamily(*self._about, value=self._now)


class Times:
    """A histogram of seconds with one label.

    Args:
        name: of the metric.
        help_text: what is timed.
        label: its name.
        bounds_s: the upper bounds of its buckets, rising; one without a bound comes after them.

    >>> waits = Times("shop_seconds", "Time to answer.", "route", (0.1, 1.0))
    >>> for took_s in (0.05, 0.1, 7.0):
    ...     waits.took("GET /", took_s)
    >>> [(sample.name, sample.labels.get("le"), sample.value) for sample in next(waits.collect()).samples]
    ... # doctest: +NORMALIZE_WHITESPACE
    [('shop_seconds_bucket', '0.1', 2), ('shop_seconds_bucket', '1.0', 2), ('shop_seconds_bucket', '+Inf', 3),
     ('shop_seconds_count', None, 3), ('shop_seconds_sum', None, 7.15)]
    """

    def __init__(self, name: str, help_text: str, label: str, bounds_s: Sequence[float]) -> None:
        self._about = (name, help_text, [label])
        self._bounds_s = bounds_s
        self._series: dict[str, _Series] = {}
        self._lock = threading.Lock()

    def took(self, label: str, took_s: float) -> None:
        """Count a time."""
        self._of(label).took(took_s)

    def timing(self, label: str) -> Timing:
        """Count the time that a block takes."""
        return Timing(self._series.get(label) or self._of(label))

    def _of(self, label: str) -> _Series:
        series = self._series.get(label)
        if series is None:
            with self._lock:
                series = self._series.setdefault(label, _Series(self._bounds_s))
        return series

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What was counted."""
        family = HistogramMetricFamily(self._about[0], self._about[1], labels=self._about[2])
        for label, series in list(self._series.items()):
            counts, total_s = series.held()
            bounds = [*map(floatToGoString, self._bounds_s), "+Inf"]
            family.add_metric([label], [(bound, sum(counts[: place + 1])) for place, bound in enumerate(bounds)], total_s)
        yield family


class Timing:
    """A block that is timed."""

    __slots__ = ("_begin_s", "_series")

    def __init__(self, series: _Series) -> None:
        self._series = series

    def __enter__(self) -> None:
        self._begin_s = perf_counter()

    def __exit__(self, *_error: object) -> None:
        self._series.took(perf_counter() - self._begin_s)


class _Series:
    """The numbers of one label."""

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self._bounds_s = bounds_s
        self._counts = [0] * (len(bounds_s) + 1)
        self._total_s = 0.0
        self._lock = threading.Lock()

    def took(self, took_s: float) -> None:
        bucket = bisect_left(self._bounds_s, took_s)
        with self._lock:
            self._counts[bucket] += 1
            self._total_s += took_s

    def held(self) -> tuple[list[int], float]:
        with self._lock:
            return list(self._counts), self._total_s
