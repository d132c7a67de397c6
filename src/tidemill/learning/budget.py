"""How many false alarms an owner accepts: a number in a span of stream time."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.clock import duration_ms, duration_text


@dataclass(frozen=True)
class Budget:
    """At most `alarms` false alarms expected in `period_ms` of stream time.

    Args:
        alarms: how many, above 0; a fraction is fine.
        period_ms: in which time.

    Raises:
        ValueError: nothing is allowed, or in no time.

    >>> Budget.parse("1/30d").within(60 * 86_400_000)
    2.0
    """

    alarms: float
    period_ms: int

    def __post_init__(self) -> None:
        """Check the budget: a budget of none can only be kept by watching nothing."""
        if not 0 < self.alarms < float("inf") or self.period_ms <= 0:
            raise ValueError(
                f"a budget allows a number of false alarms above 0 in a time above 0, not {self.alarms} in {self.period_ms} ms"
            )

    @classmethod
    def parse(cls, text: str) -> Budget:
        """The budget of a text like `"1/30d"`, `"2/1w"` or `"0.5/30d"`.

        Raises:
            ValueError: it has another form.

        >>> Budget.parse("0.5/1w")
        Budget(alarms=0.5, period_ms=604800000)
        """
        alarms, slash, period = text.partition("/")
        try:
            if not slash:
                raise ValueError("there is no slash")
            return cls(float(alarms), duration_ms(period))
        except ValueError as error:
            raise ValueError(f"{text!r} is not a budget of false alarms ({error}); write how many in which time, e.g. '1/30d'") from error

    def within(self, span_ms: float) -> float:
        """False alarms allowed in a span of stream time."""
        return self.alarms * span_ms / self.period_ms

    def part(self, share: float) -> Budget:
        """The budget of one of several detectors that keep this one together."""
        return Budget(self.alarms * share, self.period_ms)

    def __str__(self) -> str:
        """As it is written in a project file."""
        return f"{self.alarms:g}/{duration_text(self.period_ms)}"
