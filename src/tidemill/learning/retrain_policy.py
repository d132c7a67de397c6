"""What a model's owner allows the loop to do, as plain data: when it may retrain, what a challenger must show, its probation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from tidemill.clock import duration_ms
from tidemill.errors import ProjectError
from tidemill.features.windows import check_duration

Cause = Literal["error", "evidently", "schedule"]
Window = Literal["change", "recent", "all"]


@dataclass(frozen=True)
class RetrainPolicy:
    """When the loop may retrain without being asked, and what serves then.

    Args:
        on: which triggers may request a retrain; the gate decides what serves.
        cooldown: stream time between two automatic retrains, counted from promotion, rejection and rollback alike.
        min_labels: labels known since the champion was trained that make a retrain worth while.
        max_retrains: most automatic retrains in any `period`; None for no limit.
        period: see `max_retrains`.
        follow_ups: after an alarm try again at so many labels since the change, rising; a champion that came of it is followed up on twice
            as many as it had, or more, once where that is beyond the last.
        max_fits: most estimators fitted for one alarm, its follow-ups and the winner's last fit included.
        windows: what challengers are fitted on, in this order: the rows since the change (`change`), all of them (`all`), those of the last
            `recent`. The first that passes ends it, unless it is `change` and the champion has kept some skill.
        recent: see `windows`.
        update_labels: for estimators with `partial_fit`: after so many new labels the champion goes on from its parameters on them, under
            the same gate; None for never. It counts neither for the cooldown nor for the budget.
        max_age: with `"schedule"`, retrain when the champion is this old.
        gate: the newest mature labels that champion and challenger are judged on, as stream time; of rows since a change at most 30 %, so
            that the challenger has seen the others.
        min_gain: by how much the challenger's metric must be better; a thousandth of the champion's at least.
        z: by how many standard errors the gain must lie above 0; 0 asks for none.
        slice_margin: loss of a slice by more than this, beyond `z` standard errors, keeps a challenger from serving. Where there are many
            slices the standard errors are more, so that luck alone keeps it from serving as seldom as with one.
        slice_min_rows: a value with fewer rows is not judged.
        calibration_margin: by how much the challenger's calibration error may exceed the champion's, beyond `z` standard errors.
        latency_factor: how many times the champion's time a row the challenger may take.
        probation: stream time after a promotion in which a new champion that turns out worse is rolled back; None for none.
        probation_labels: least labels of the new champion to judge it by.
        probation_z: by how many standard errors it must be worse than the one before it.

    Raises:
        ProjectError: names the argument and what to write instead.
    """

    on: tuple[Cause, ...] = ("error", "evidently")
    cooldown: str | int = "7d"
    min_labels: int = 2_000
    max_retrains: int | None = None
    period: str | int = "30d"
    follow_ups: tuple[int, ...] = (1_000, 2_000, 4_000)
    max_fits: int = 16
    windows: tuple[Window, ...] = ("change", "recent", "all")
    recent: str | int = "28d"
    update_labels: int | None = None
    max_age: str | int = "28d"
    gate: str | int = "7d"
    min_gain: float = 0.0
    z: float = 1.0
    slice_margin: float = 0.0
    slice_min_rows: int = 200
    calibration_margin: float = 0.02
    latency_factor: float = 3.0
    probation: str | int | None = "2d"
    probation_labels: int = 500
    probation_z: float = 3.0

    def __post_init__(self) -> None:
        """Check the declaration."""
        for name, given, known in (("on", self.on, get_args(Cause)), ("windows", self.windows, get_args(Window))):
            for one in given:
                if one not in known:
                    raise ProjectError(f"unknown {one!r}", where=f"RetrainPolicy({name}=...)", fix=f"choose of {', '.join(known)}")
        if not self.windows:
            raise ProjectError("nothing to fit on", where="RetrainPolicy(windows=...)", fix='write windows=("all",)')
        if list(self.follow_ups) != sorted({number for number in self.follow_ups if number > 0}):
            raise ProjectError(
                f"{self.follow_ups} does not rise from above 0", where="RetrainPolicy(follow_ups=...)", fix="write e.g. (500, 1000)"
            )
        if self.update_labels is not None and self.update_labels < 1:
            raise ProjectError(f"{self.update_labels} labels", where="RetrainPolicy(update_labels=...)", fix="write at least 1, or None")
        if self.max_fits < 2:
            fix = "write at least 2: a challenger, and its last fit on all rows"
            raise ProjectError(f"{self.max_fits} fits make no champion", where="RetrainPolicy(max_fits=...)", fix=fix)
        self._check_durations()

    def _check_durations(self) -> None:
        for name in ("cooldown", "period", "recent", "max_age", "gate", "probation"):
            if (lasting := getattr(self, name)) is not None:
                check_duration(lasting, name, f"RetrainPolicy({name}=...)")

    @property
    def cooldown_ms(self) -> int:
        """`cooldown` in milliseconds."""
        return duration_ms(self.cooldown)

    @property
    def period_ms(self) -> int:
        """`period` in milliseconds."""
        return duration_ms(self.period)

    @property
    def recent_ms(self) -> int:
        """`recent` in milliseconds."""
        return duration_ms(self.recent)

    @property
    def gate_ms(self) -> int:
        """`gate` in milliseconds."""
        return duration_ms(self.gate)

    @property
    def max_age_ms(self) -> int:
        """`max_age` in milliseconds."""
        return duration_ms(self.max_age)

    @property
    def probation_ms(self) -> int | None:
        """`probation` in milliseconds."""
        return None if self.probation is None else duration_ms(self.probation)
