"""The versions of a model: which answered when, what each is now, and what is tried beside the champion."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tidemill.clock import SECOND_MS
from tidemill.drift.quality_report import VersionFigures
from tidemill.learning import Interval, Model
from tidemill.project import Workspace
from tidemill.registry import Beside, Named, compare_trials
from tidemill.registry.named import CHAMPION, PREVIOUS, held_aliases
from tidemill.stores import Decision, Role
from tidemill.ui.quality_cache import Run

_TRIALS_MS = 30 * SECOND_MS  # wall time for which a comparison of trials is shown again: it reads four weeks of outcomes


@dataclass(frozen=True)
class Span:
    """A stretch of stream time in which a version answered; `share` of the whole, percent."""

    version: str
    from_ms: int
    until_ms: int
    share: float


@dataclass(frozen=True)
class VersionRow:
    """A version.

    Args:
        version: its number.
        aliases: what it is now, e.g. champion.
        from_ms: stream time of its first answer whose outcome is known; None if it never answered.
        decision: what made it, or made it champion last.
        n: answers with their outcome.
        figures: its quality by metric, over the windows that quality is told of.
    """

    version: str
    aliases: tuple[str, ...] = ()
    from_ms: int | None = None
    decision: Decision | None = None
    n: int = 0
    figures: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Versions:
    """All of them, the newest first, and when each answered, the oldest first."""

    rows: tuple[VersionRow, ...] = ()
    spans: tuple[Span, ...] = ()
    trials: tuple[Beside, ...] = ()

    def of(self, alias: str) -> str | None:
        """The version that an alias names."""
        return next((row.version for row in self.rows if alias in row.aliases), None)

    def trial(self, role: Role) -> Beside | None:
        """What is tried in a role."""
        return next((trial for trial in self.trials if trial.role == role), None)

    @property
    def previous(self) -> str | None:
        """What a rollback goes back to."""
        return self.of(PREVIOUS)

    @property
    def others(self) -> tuple[str, ...]:
        """What can be promoted: all but the champion."""
        return tuple(row.version for row in self.rows if CHAMPION not in row.aliases)


class TrialMemory:
    """What is tried, compared anew when it changes, and now and then."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[Named, int, tuple[Beside, ...]]] = {}

    def read(self, workspace: Workspace, model: Model, named: Named, now_wall_ms: int) -> tuple[Beside, ...]:
        """Shadow and canary beside the champion."""
        was = self._last.get(model.name)
        if was is None or was[0] != named or not 0 <= now_wall_ms - was[1] < _TRIALS_MS:
            self._last[model.name] = was = named, now_wall_ms, tuple(compare_trials(workspace, model, named))
        return was[2]


def aliases_of(workspace: Workspace, model: str) -> Named:
    """What the aliases name, as this home was told last: the page asks no registry."""
    return held_aliases(workspace.home, workspace.project.registered_name(model)) or Named({})


def version_rows(
    named: Named, runs: Sequence[Run], decisions: Iterable[Decision], figures: Iterable[VersionFigures]
) -> tuple[VersionRow, ...]:
    """Every version that anything here tells of, the newest first."""
    first = {run.version: run.at_ms for run in reversed(runs)}
    # one that failed may name a version that never was
    made = {decision.to_version: decision for decision in reversed(list(decisions)) if decision.to_version and decision.outcome != "failed"}
    judged = {each.version: each for each in figures}
    known = {str(version) for version in named.versions.values()} | first.keys() | made.keys()
    rows = []
    for version in sorted(filter(str.isdecimal, known), key=int, reverse=True):
        aliases = tuple(alias for alias, number in named.versions.items() if str(number) == version)
        own = judged.get(version)
        told = (own.n, own.figures) if own else (0, {})
        rows.append(VersionRow(version, aliases, first.get(version), made.get(version), *told))
    return tuple(rows)


def version_spans(runs: Sequence[Run], now_ms: int) -> tuple[Span, ...]:
    """When each version answered, up to now.

    >>> [(span.version, span.share) for span in version_spans([Run("1", 0), Run("2", 30), Run("1", 90)], 100)]
    [('1', 30.0), ('2', 60.0), ('1', 10.0)]
    """
    if not runs or now_ms <= runs[0].at_ms:
        return ()
    ends = [*(run.at_ms for run in runs[1:]), now_ms]
    whole_ms = now_ms - runs[0].at_ms
    return tuple(
        Span(run.version, run.at_ms, until_ms, round(100 * (until_ms - run.at_ms) / whole_ms, 2))
        for run, until_ms in zip(runs, ends, strict=True)
    )
