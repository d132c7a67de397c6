"""How a model is watched, as its owner declares it; what the loop may do then is in `retrain_policy`."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.clock import duration_ms
from tidemill.errors import ProjectError
from tidemill.features.windows import check_duration
from tidemill.learning.budget import Budget


@dataclass(frozen=True)
class Monitor:
    """How drift is watched.

    Args:
        false_alarm_budget: how many false alarms one accepts, e.g. `"1/30d"`: at most one expected in 30 days of stream time, once for
            the alarms of labelled outcomes and once for the warnings of features and score, whatever the number of columns. The
            thresholds follow from it: a smaller budget is quieter, and later.
        cycle: the longest regular rhythm of the data; a baseline holds at least one whole cycle.
        check_every: how often Evidently checks, in stream time.

    Raises:
        ProjectError: a budget or a duration that cannot be read.
    """

    false_alarm_budget: str = "1/30d"
    cycle: str | int = "7d"
    check_every: str | int = "7d"

    def __post_init__(self) -> None:
        """Check the declaration."""
        check_duration(self.cycle, "cycle", "Monitor(cycle=...)")
        check_duration(self.check_every, "check_every", "Monitor(check_every=...)")
        try:
            Budget.parse(self.false_alarm_budget)
        except ValueError as error:
            raise ProjectError(str(error), where="Monitor(false_alarm_budget=...)", fix="1/30d is the default") from error

    @property
    def budget(self) -> Budget:
        """`false_alarm_budget`, read."""
        return Budget.parse(self.false_alarm_budget)

    @property
    def cycle_ms(self) -> int:
        """`cycle` in milliseconds."""
        return duration_ms(self.cycle)

    @property
    def check_every_ms(self) -> int:
        """`check_every` in milliseconds."""
        return duration_ms(self.check_every)
