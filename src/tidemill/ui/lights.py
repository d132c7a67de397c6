"""One glance: five lights, and one sentence that says whether all is well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tidemill.ui.formats import amount, seconds, utc
from tidemill.ui.overview import ModelPanel, Overview

Level = Literal["none", "ok", "busy", "warn", "bad"]
_WORST: tuple[Level, ...] = ("none", "ok", "busy", "warn", "bad")


@dataclass(frozen=True)
class Light:
    """What one part of the system says of itself; `anchor` is the section that tells more."""

    name: str
    level: Level
    text: str
    detail: str
    anchor: str


def read_lights(overview: Overview) -> tuple[Light, ...]:
    """The lights, always these five in this order."""
    return _books(overview), _serving(overview.models), _drift(overview.models), _decision(overview), _alerts(overview)


def headline(lights: Sequence[Light]) -> tuple[Level, str]:
    """The worst level, and the sentence for it.

    >>> headline([Light("Books", "ok", "", "", ""), Light("Drift", "warn", "", "", "")])
    ('warn', 'Worth a look: drift')
    >>> headline([Light("Books", "none", "", "", "")])
    ('none', 'Nothing has happened yet')
    """
    level = max((light.level for light in lights), key=_WORST.index)
    names = ", ".join(light.name.lower() for light in lights if light.level == level)
    if level in ("warn", "bad"):
        return level, f"{'Worth a look' if level == 'warn' else 'Needs attention'}: {names}"
    if level == "busy":
        return level, "Well, and at work"
    return (level, "Nothing has happened yet") if level == "none" else (level, "All is well")


def _books(overview: Overview) -> Light:
    wrong = [stream.name for stream in overview.streams if not stream.balanced]
    received = sum(stream.books.received for stream in overview.streams)
    pending = sum(stream.books.pending for stream in overview.streams)
    if wrong:
        return Light("Books", "bad", "Not balanced", f"{', '.join(wrong)}: an event is in no place, or in two", "streams")
    if not received:
        return Light("Books", "none", "No event yet", "waiting for the first", "streams")
    return Light("Books", "ok", "Balanced", f"{amount(received)} events, {amount(pending)} pending", "streams")


def _serving(models: Sequence[ModelPanel]) -> Light:
    return max((_serves(model) for model in models), key=_level, default=Light("Serving", "none", "No model", "none defined", "models"))


def _serves(model: ModelPanel) -> Light:
    champion = model.champion
    if champion is None:
        return Light("Serving", "none", "No champion yet", model.name, "models")
    if not champion.servers:
        return Light("Serving", "warn", f"v{champion.version}, no server", f"{model.name}: no server heard for 60 s", "models")
    if len(champion.servers) > 1:
        versions = " and ".join(f"v{version}" for version in sorted(champion.servers, key=int))
        return Light("Serving", "busy", f"{versions}", f"{model.name}: servers are changing over", "models")
    named = model.versions.of("champion")
    if named is not None and named not in champion.servers:
        what = f"{model.name}: v{named} is the champion, and no server serves it; the server's log says why"
        return Light("Serving", "warn", f"v{champion.version}, not v{named}", what, "models")
    since = f"since {utc(champion.since_ms)}" if champion.since_ms else "no outcome of it yet"
    return Light("Serving", "ok", f"v{champion.version}", f"{model.name}, {since}", "models")


def _drift(models: Sequence[ModelPanel]) -> Light:
    return max((_drifts(model) for model in models), key=_level, default=Light("Drift", "none", "No model", "none defined", "drift"))


def _drifts(model: ModelPanel) -> Light:
    drift = model.drift
    if model.champion and model.champion.version in drift.worse:
        return Light("Drift", "bad", "Outcomes are worse", f"{model.name}: v{model.champion.version} does worse than at first", "drift")
    if drift.check and drift.check.failed_twice:
        return Light("Drift", "warn", "Drifted", f"{model.name}: {', '.join(drift.check.failed_twice[:3])} twice running", "drift")
    if drift.unreadable:
        return Light("Drift", "warn", "Not readable", f"{', '.join(drift.unreadable)}: see the log", "drift")
    if drift.warnings:
        names = ", ".join(column.column for column in drift.warnings[:3])
        moved = "1 column moved" if len(drift.warnings) == 1 else f"{len(drift.warnings)} columns moved"
        return Light("Drift", "warn", moved, f"{model.name}: {names}", "drift")
    if not drift.known:
        return Light("Drift", "none", "Not watched yet", f"{model.name}: no outcome, no check", "drift")
    checked = f"checked {utc(drift.check.at_ms)}" if drift.check else "no weekly check yet"
    return Light("Drift", "ok", "Quiet", f"{model.name}, {checked}", "drift")


def _decision(overview: Overview) -> Light:
    if not overview.decisions:
        return Light("Last decision", "none", "None yet", "no alarm, no retrain", "decisions")
    row = overview.decisions[0]
    decision = row.decision
    if decision.outcome is None:
        text = "Retraining" if decision.state == "claimed" else "Retrain asked for"
        return Light("Last decision", "busy", text, f"{decision.model}: {decision.trigger}", "decisions")
    detail = f"{decision.model}, asked {utc(decision.requested_at_ms)}"
    if row.alarm_to_serving_s is not None:
        detail = f"v{decision.to_version} served {seconds(row.alarm_to_serving_s)} after the alarm"
    return Light(
        "Last decision",
        "bad" if decision.outcome == "failed" else "ok",
        decision.outcome.replace("_", " ").capitalize(),
        detail,
        "decisions",
    )


def _alerts(overview: Overview) -> Light:
    failing = [row for row in overview.alerts if row.state == "failing"]
    waiting = [row for row in overview.alerts if row.state == "waiting"]
    if failing:
        return Light("Alerts", "bad", f"{len(failing)} not delivered", failing[0].last_error, "alerts")
    if waiting:
        return Light("Alerts", "busy", f"{len(waiting)} on the way", waiting[0].alert.title, "alerts")
    if not overview.alerts:
        return Light("Alerts", "none", "None yet", "nothing was raised", "alerts")
    kept = [row for row in overview.alerts if row.state in ("held", "silenced")]
    if kept:
        return Light("Alerts", "ok", f"{len(kept)} kept back", "by a cooldown or a silence", "alerts")
    if any(row.state == "unsent" for row in overview.alerts):
        return Light("Alerts", "ok", "Shown here alone", "no channel is set that wants them", "alerts")
    return Light("Alerts", "ok", "All delivered", overview.alerts[0].alert.title, "alerts")


def _level(light: Light) -> int:
    return _WORST.index(light.level)
