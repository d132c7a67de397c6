"""From a check to a verdict: is what Evidently found reason to ask for a retrain?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

ALARM_SHARE = 0.3


class Checked(Protocol):
    """What a verdict needs of a check; `monitoring.checks.CheckResult` fulfils it."""

    @property
    def failed_columns(self) -> tuple[str, ...]:
        """Columns that failed."""

    @property
    def values(self) -> dict[str, float]:
        """Distance of each judged column."""

    @property
    def thresholds(self) -> dict[str, float]:
        """Threshold of each judged column."""

    @property
    def unjudged(self) -> dict[str, str]:
        """Columns nothing could be said about, and why."""


@dataclass(frozen=True)
class Verdict:
    """What follows from a check.

    Args:
        alarm: whether to ask for a retrain; the guard and the gate still decide.
        columns: columns that failed this check and the one before, the worst (distance / threshold) first.
        share: those columns / the judged columns.
        reason: the same for a person.
        remember: hand this to the next `judge`.
    """

    alarm: bool
    columns: tuple[str, ...]
    share: float
    reason: str
    remember: frozenset[str]


def judge(result: Checked, previous_failed: frozenset[str], *, alarm_share: float = ALARM_SHARE) -> Verdict:
    """An alarm needs the share of columns that failed twice running to reach `alarm_share`; one odd week is none.

    A column that could not be judged this time keeps what was known of it, so a gap in the data neither makes nor clears an alarm.

    Args:
        result: the newest check.
        previous_failed: `remember` of the verdict before; empty for the first.
        alarm_share: share of the judged columns, above 0, at most 1.

    >>> from types import SimpleNamespace
    >>> check = SimpleNamespace(failed_columns=("a",), values={"a": 0.4, "b": 0.0}, thresholds={"a": 0.1, "b": 0.1}, unjudged={})
    >>> first = judge(check, frozenset())
    >>> second = judge(check, first.remember)
    >>> first.alarm, second.alarm, second.columns, second.share
    (False, True, ('a',), 0.5)
    """
    if not 0.0 < alarm_share <= 1.0:
        raise ValueError(f"alarm_share is a share above 0 and at most 1, not {alarm_share!r}")
    failed = frozenset(result.failed_columns)
    twice = _worst_first(result, failed & previous_failed)
    share = len(twice) / len(result.values) if result.values else 0.0
    return Verdict(
        alarm=bool(twice) and share >= alarm_share,
        columns=tuple(twice),
        share=share,
        reason=f"{len(twice)} of {len(result.values)} columns failed two checks running{_named(result, twice)}",
        remember=failed | (previous_failed & frozenset(result.unjudged)),
    )


def describe(result: Checked) -> str:
    """One check by itself, for a person who has an alarm of the errors before them.

    >>> from types import SimpleNamespace
    >>> describe(SimpleNamespace(failed_columns=("a",), values={"a": 0.4, "b": 0.0}, thresholds={"a": 0.1, "b": 0.1}, unjudged={}))
    '1 of 2 columns failed: a 0.4 (limit 0.1)'
    """
    failed = _worst_first(result, result.failed_columns)
    return f"{len(failed)} of {len(result.values)} columns failed{_named(result, failed)}"


def _worst_first(result: Checked, columns: Iterable[str]) -> list[str]:
    return sorted(columns, key=lambda name: (-result.values[name] / result.thresholds[name], name))


def _named(result: Checked, columns: list[str]) -> str:
    """The first five with their distances, and how many more."""
    named = ", ".join(f"{name} {result.values[name]:.3g} (limit {result.thresholds[name]:.3g})" for name in columns[:5])
    more = f" and {len(columns) - 5} more" if len(columns) > 5 else ""
    return f": {named}{more}" if columns else ""
