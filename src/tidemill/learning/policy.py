"""How a model is watched, as its owner declares it; what the loop may do then is in `retrain_policy`."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.clock import duration_ms


@dataclass(frozen=True)
class Monitor:
    """How drift is watched.

    Args:
        false_alarm_budget: how many false alarms one accepts, e.g. `"1/30d"` of stream time. Kept for the thresholds that will
            follow from it; those in force are the defaults of `tidemill.drift.OutcomeSettings`, measured at 0.4 in 30 days.
        cycle: the longest regular rhythm of the data; a baseline holds at least one whole cycle.
        check_every: how often Evidently checks, in stream time.
        slices: text columns of the vector by whose values quality is told apart, e.g. `("origin",)`; `tidemill quality` names the worst.
    """

    false_alarm_budget: str = "1/30d"
    cycle: str | int = "7d"
    check_every: str | int = "7d"
    slices: tuple[str, ...] = ()

    @property
    def cycle_ms(self) -> int:
        """`cycle` in milliseconds."""
        return duration_ms(self.cycle)

    @property
    def check_every_ms(self) -> int:
        """`check_every` in milliseconds."""
        return duration_ms(self.check_every)
