"""The story of a decision in words: what came when, and what was found on the way. The page and `tidemill audit` tell the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidemill.clock import to_utc
from tidemill.stores.decisions import Decision

_MEANING = {
    "asked": "asked for",
    "claimed": "a run took it",
    "guarded": "the guard spoke",
    "snapshot": "rows gathered",
    "fitted": "challengers fitted",
    "judged": "held against the champion",
    "ready": "winner made ready and exported",
    "registered": "in MLflow",
    "deploying": "alias moves",
    "deployed": "every server serves it",
    "ended": "ended",
}


@dataclass(frozen=True)
class Step:
    """A stage that was reached: its name, what it means, when (wall time), and how many seconds after the one before."""

    name: str
    meaning: str
    wall_ms: int
    took_s: float


@dataclass(frozen=True)
class Rival:
    """One challenger as it was written down; None for what was not measured.

    Args:
        window: what it was fitted on.
        text: the rows, or why there is none.
        champion: the champion's loss on the rows that judged.
        challenger: its own.
        interval: of the gain, 95 %.
        notes: slices, calibration, latency and the gate's word, for a person.
        best: whether it is the one the decision is about.
    """

    window: str
    text: str
    champion: float | None
    challenger: float | None
    interval: tuple[float, float] | None
    notes: tuple[str, ...]
    best: bool


def steps(decision: Decision) -> tuple[Step, ...]:
    """The stages of a decision in the order in which they came; a run that died and was followed by another shows the last one's times.

    >>> one = Decision("d", "late", "error", "k", "r", 0, 1_000, claimed_wall_ms=3_000, stages={"guarded": 3_500}, finished_wall_ms=4_000)
    >>> [(step.name, step.took_s) for step in steps(one)]
    [('asked', 0.0), ('claimed', 2.0), ('guarded', 0.5), ('ended', 0.5)]
    """
    times = {
        "asked": decision.requested_wall_ms,
        "claimed": decision.claimed_wall_ms,
        **decision.stages,
        "ended": decision.finished_wall_ms,
    }
    known = sorted(((at_ms, list(_MEANING).index(name), name) for name, at_ms in times.items() if at_ms is not None and name in _MEANING))
    before = [known[0][0], *(at_ms for at_ms, _, _ in known)]
    return tuple(
        Step(name, _MEANING[name], at_ms, round((at_ms - was_ms) / 1_000, 3))
        for (at_ms, _, name), was_ms in zip(known, before, strict=False)
    )


def rivals(decision: Decision) -> tuple[Rival, ...]:
    """The challengers of a decision, the best first as the gate ordered them."""
    told = decision.findings.get("candidates")
    return tuple(_rival(one) for one in told if isinstance(one, Mapping)) if isinstance(told, Sequence) else ()


def made_ready(decision: Decision) -> str:
    """Whether what was registered is what was judged, or was fitted again, and why; empty where nothing was registered.

    >>> told = {"refit": {"served": "judged", "why": "the newest rows would be 2.6% more"}}
    >>> made_ready(Decision("d", "late", "error", "k", "r", 0, 1_000, findings=told))
    'as it was judged: the newest rows would be 2.6% more'
    """
    refit = decision.findings.get("refit")
    if not isinstance(refit, Mapping):
        return ""
    if refit.get("served") == "refitted":
        return f"fitted again with the rows that judged it; scores differ by {refit['difference']} on average"
    return f"as it was judged: {refit['why']}" if "why" in refit else "as it was judged"


def asked_for(decision: Decision) -> tuple[tuple[str, str], ...]:
    """The evidence, name by name; times as dates.

    >>> asked_for(Decision("d", "late", "error", "k", "r", 0, 1_000, evidence={"since_ms": 60_000, "statistic": 11.5}))
    (('since', '1970-01-01 00:01 UTC'), ('statistic', '11.5'))
    """
    return tuple(_pair(name, value) for name, value in decision.evidence.items())


def knew(decision: Decision) -> tuple[tuple[str, str], ...]:
    """What the guard knew, name by name."""
    guard = decision.findings.get("guard")
    return tuple(_pair(name, value) for name, value in guard.items() if value not in (None, "")) if isinstance(guard, Mapping) else ()


def _rival(told: Mapping[str, Any]) -> Rival:
    window = str(told.get("window"))
    if "left_out" in told:
        return Rival(window, f"not fitted: {told['left_out']}", None, None, None, (), False)
    rows = f"{told['rows']:,} rows {_utc(told['from_ms'])} to {_utc(told['to_ms'])}, "
    rows += f"judged on {told['judged_rows']:,} up to {_utc(told['judged_to_ms'])}"
    notes = [str(told.get("verdict", ""))]
    if told.get("calibration"):
        notes.append(f"calibration error {told['calibration'][1]:.4f}, the champion's {told['calibration'][0]:.4f}")
    if told.get("latency_ms"):
        notes.append(f"{told['latency_ms'][1]:.3f} ms a row, the champion {told['latency_ms'][0]:.3f}")
    for one in told.get("worst_slices", ())[:3]:
        notes.append(
            f"{one['column']} = {one['value'] if one['value'] is not None else 'missing'}: gain {one['gain']:+.4f} on {one['rows']:,}"
        )
    interval = told.get("interval")
    between = None if not interval else (float(interval[0]), float(interval[1]))
    return Rival(window, rows, told.get("champion"), told.get("challenger"), between, tuple(notes), bool(told.get("best")))


def _pair(name: str, value: Any) -> tuple[str, str]:
    if name.endswith("_ms") and isinstance(value, int):
        return name.removesuffix("_ms"), _utc(value)
    return name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, Mapping):
        return ", ".join(" ".join(_pair(str(key), held)) for key, held in value.items())
    return ", ".join(str(each) for each in value) if isinstance(value, list | tuple) else str(value)


def _utc(at_ms: int) -> str:
    return f"{to_utc(at_ms):%Y-%m-%d %H:%M} UTC"
