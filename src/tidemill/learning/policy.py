"""What a model's owner allows the loop to do, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tidemill.clock import duration_ms
from tidemill.errors import ProjectError

Trigger = Literal["error", "evidently", "schedule"]
_TRIGGERS = ("error", "evidently", "schedule")


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


@dataclass(frozen=True)
class RetrainPolicy:
    """When the loop may retrain without being asked.

    Args:
        on: which triggers may request a retrain; the gate decides what serves.
        cooldown: stream time between two automatic retrains.
        min_labels: labels known since the champion was trained that make a retrain worth while.
        gate: the newest mature labels that champion and challenger are judged on, as stream time.
        min_gain: by how much the challenger's metric must be better.
        max_age: with `"schedule"`, retrain when the champion is this old.

    Raises:
        ProjectError: an unknown trigger.
    """

    on: tuple[Trigger, ...] = ("error", "evidently")
    cooldown: str | int = "7d"
    min_labels: int = 2_000
    gate: str | int = "7d"
    min_gain: float = 0.0
    max_age: str | int = "28d"

    def __post_init__(self) -> None:
        """Check the declaration."""
        for trigger in self.on:
            if trigger not in _TRIGGERS:
                raise ProjectError(f"unknown trigger {trigger!r}", where="RetrainPolicy(on=...)", fix=f"choose of {', '.join(_TRIGGERS)}")

    @property
    def cooldown_ms(self) -> int:
        """`cooldown` in milliseconds."""
        return duration_ms(self.cooldown)

    @property
    def gate_ms(self) -> int:
        """`gate` in milliseconds."""
        return duration_ms(self.gate)

    @property
    def max_age_ms(self) -> int:
        """`max_age` in milliseconds."""
        return duration_ms(self.max_age)
