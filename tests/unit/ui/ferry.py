"""A small ferry line with its log and stores: what the tests of the page look at. Stream time begins on Thursday 2026-01-01."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydantic import BaseModel
from sklearn.linear_model import LogisticRegression

from tidemill import Label, Model, Project, Requests, Stream, View, col, mean
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS, to_ms, to_utc
from tidemill.drift import ColumnChange, FeatureDrift, Heat, OutcomeMonitor, profile_quality, profile_reference
from tidemill.project import Workspace
from tidemill.serving.feature_watch import levels, shown
from tidemill.stores import Answered, Decision, Lookup, Moment, Plan, Planned
from tidemill.stores.decision_records import Ending
from tidemill.stores.held_versions import held_folder
from tidemill.streams import Entry

START_MS = to_ms(datetime(2026, 1, 1, tzinfo=UTC))
WALL_MS = START_MS + 30 * DAY_MS
RUN_ID = "123e4567-e89b-12d3-a456-426614174000"
PROMOTED = Ending(
    "promoted",
    "the challenger is better on 1,204 mature labels",
    at_ms=START_MS + 16 * DAY_MS + HOUR_MS,
    wall_ms=WALL_MS + 17 * MINUTE_MS + 42_300,
    from_version="1",
    to_version="2",
    metric_name="log_loss",
    metric_champion=0.5731,
    metric_challenger=0.4402,
    fits=1,
)

MLFLOW_RUN = "http://127.0.0.1:5000/#/experiments/1/runs/r7"
CANDIDATES = [
    {
        "window": "change",
        "rows": 1_404,
        "from_ms": START_MS + 12 * DAY_MS,
        "to_ms": START_MS + 15 * DAY_MS,
        "judged_rows": 602,
        "judged_to_ms": START_MS + 16 * DAY_MS,
        "best": True,
        "promoted": True,
        "verdict": "log_loss 0.44020 against 0.57310 on 602 rows, gain 0.13290",
        "champion": 0.5731,
        "challenger": 0.4402,
        "gain": 0.1329,
        "interval": [0.1101, 0.1557],
        "calibration": [0.11, 0.03],
        "latency_ms": [0.02, 0.02],
        "worst_slices": [{"column": "port", "value": None, "gain": 0.0104, "rows": 211}],
    },
    {"window": "all", "left_out": "max_fits is used up"},
]


class Departure(BaseModel):
    """A ferry leaves."""

    trip: str
    left_at: datetime
    port: str
    delay_min: float | None


class Arrival(BaseModel):
    """A ferry arrives: the outcome."""

    trip: str
    arrived_at: datetime
    delay_min: float


class Question(BaseModel):
    """Will it be late?"""

    trip: str
    port: str


def ferries() -> Project:
    """The project."""
    departures = Stream("departures", schema=Departure, event_time="left_at", event_id="trip")
    arrivals = Stream("arrivals", schema=Arrival, event_time="arrived_at", event_id="trip")
    ports = View("ports", departures, entity="port", features={"mean_delay_3h": mean("delay_min", over="3h")})
    late = Model(
        "late_ferry",
        request=Question,
        requests=Requests(departures, at=col("left_at")),
        features=[ports],
        label=Label(arrivals, key="trip", value=col("delay_min") >= 15, within="24h"),
        estimator=LogisticRegression,
    )
    return Project("ferries", streams=[departures, arrivals], views=[ports], models=[late])


@dataclass(frozen=True)
class Ferry:
    """A workspace with hands to work it."""

    workspace: Workspace

    @classmethod
    def open(cls, home: Path) -> Ferry:
        """A fresh one in `home`."""
        return cls(Workspace.open(ferries(), home))

    def send(self, stream: str, payloads: Sequence[str], at_ms: int) -> None:
        """Append events as they are."""
        self.workspace.log.append([Entry(stream, payload, at_ms) for payload in payloads], at_ms)

    def apply(self) -> None:
        """Let the engine take everything in."""
        self.workspace.engine().drain(10_000)

    def leave(self, trip: str, at_ms: int, delay_min: float = 0.0) -> None:
        """One departure, applied."""
        self.send("departures", [departure(trip, at_ms, delay_min)], at_ms)
        self.apply()

    def arrive(self, trips: Sequence[str], at_ms: int, delays_min: Sequence[float]) -> None:
        """Arrivals, applied."""
        pairs = zip(trips, delays_min, strict=True)
        arrivals = [json.dumps({"trip": trip, "arrived_at": to_utc(at_ms).isoformat(), "delay_min": delay}) for trip, delay in pairs]
        self.send("arrivals", arrivals, at_ms)
        self.apply()

    def predict(
        self, trips: Sequence[str], at_ms: int, version: int, said: tuple[Sequence[float], Sequence[float]], port: str = "north"
    ) -> None:
        """Predictions of the champion and of the frozen first version with the vectors they read, as a server logs them."""
        reading = self.workspace.state.tiles.read([Lookup("ports", [port] * len(trips))], at_ms)
        live, frozen = (np.asarray(values, dtype=np.float64) for values in said)
        self.workspace.predictions.write(
            Answered(
                model="late_ferry",
                at_ms=at_ms,
                made_wall_ms=WALL_MS,
                position="{}",
                digest=self.workspace.project.models[0].source_digest,
                keys=list(trips),
                requests=["{}"] * len(trips),
                numbers=np.column_stack(list(reading.values.values())),
                scores={"champion": (version, live), "frozen": (1, frozen)},
            )
        )

    def sail(self, days: int, *, first_day: int = 0, version: int = 1, trips_a_day: int = 24, seed: int = 0) -> None:
        """Whole days of departures, predictions and arrivals; the frozen model is worse from version 2 on."""
        rng = np.random.default_rng(seed + first_day)
        for day in range(first_day, first_day + days):
            at_ms = START_MS + day * DAY_MS + 8 * HOUR_MS
            trips = [f"t{day}-{number}" for number in range(trips_a_day)]
            late = rng.random(trips_a_day) < 0.3
            noise = rng.normal(0.0, 0.25, (2, trips_a_day))
            live = np.clip(0.25 + 0.35 * late + noise[0], 0.02, 0.98)
            frozen = live if version == 1 else np.clip(0.35 + 0.15 * late + noise[1], 0.02, 0.98)
            self.send("departures", [departure(trip, at_ms, 3.0) for trip in trips], at_ms)
            self.apply()
            self.predict(trips, at_ms, version, (live, frozen))
            self.arrive(trips, at_ms + 90 * MINUTE_MS, [20.0 if each else 2.0 for each in late])

    def hold(self, *versions: int, days: int = 14) -> None:
        """Versions that a server has loaded: judged on days like those of `sail`, so that their answers can be estimated."""
        rng = np.random.default_rng(11)
        at_ms = START_MS + np.arange(days * 24 * 10) * HOUR_MS // 10
        late = rng.random(len(at_ms)) < 0.3
        said = np.clip(0.25 + 0.35 * late + rng.normal(0.0, 0.25, len(at_ms)), 0.02, 0.98)
        profile = profile_reference({"mean_delay": rng.random(len(at_ms))}, said, at_ms)
        made = replace(profile, quality=profile_quality(late.astype(np.float64), said, at_ms, DAY_MS)).to_json()
        for version in versions:
            folder = held_folder(self.workspace.home, self.workspace.project.registered_name("late_ferry"), version)
            folder.mkdir(parents=True)
            (folder / "reference.json").write_text(made)

    def watch(self) -> None:
        """Run the real monitors over something that drifted, and save their states as the loop does."""
        rng = np.random.default_rng(7)
        outcomes = OutcomeMonitor()
        for hour in range(900):
            outcomes.update("1", int(rng.random() < 0.3), 0.3, START_MS + hour * HOUR_MS)
        outcomes.update("2", 1, 0.4, START_MS + 900 * HOUR_MS)
        self.workspace.monitors.save("outcomes:late_ferry", 0, 1, outcomes.state())

        hours = START_MS + np.arange(4_000) * HOUR_MS
        profile = profile_reference({"wind": rng.normal(size=4_000), "waves": rng.normal(size=4_000)}, rng.random(4_000), hours)
        features = FeatureDrift(profile)
        heat = Heat()
        for first in range(0, 400, 40):
            times = hours[first : first + 40]
            found = features.update({"wind": rng.normal(2.0, size=40), "waves": rng.normal(size=40)}, times)
            heat.take(int(times[-1]), levels(features))
            heat.warn(ColumnChange(each.column, each.since_ms, each.at_ms) for each in found)
        state = {"version": 1, "detector": features.state(), **shown(features), "heat": heat.state()}
        self.workspace.monitors.save("windows:late_ferry", 0, 1, state)

        check = {
            "at_ms": START_MS + 21 * DAY_MS,
            "failed": ["wind", "port"],
            "failed_twice": ["wind"],
            "unjudged": {"tide": "too few rows"},
            "share": 0.5,
            "run_id": "r1",
            "url": "http://127.0.0.1:5000/#/experiments/1/runs/r1",
            "values": {"wind": 0.41, "port": 0.22},
            "thresholds": {"wind": 0.12, "port": 0.2},
        }
        self.workspace.monitors.save("check:late_ferry", 0, 1, check)

    def tell(self, *keys: str, error: str = "", channel: str = "json#1f2a") -> None:
        """Put alerts into a message each; it is delivered, to no channel where its name is "", or has failed once."""
        messages = self.workspace.alert_messages
        for key in keys:
            alert = self.workspace.alerts.get(key)
            planned = Planned(alert.model, alert.kind, alert.severity, "alerts", (key,), awaits_end=bool(alert.condition))
            messages.keep(Plan(messages=(planned,)), Moment(alert.at_ms, WALL_MS))
            number = max(message.number for message in messages.pending(WALL_MS, 1_000))
            if error:
                messages.mark_failed(number, error, WALL_MS)
                continue
            if channel:
                messages.mark_reached(number, channel, WALL_MS)
            messages.mark_delivered(number, WALL_MS)

    def decide(self, name: str, ending: Ending | None, day: int = 17, reason: str = "20.1% of 340 predictions were wrong") -> None:
        """One decision by the error monitor, claimed, and ended if `ending` says how."""
        at_ms = START_MS + day * DAY_MS
        wall_ms = WALL_MS + day * MINUTE_MS
        self.workspace.decisions.request(Decision(name, "late_ferry", "error", name, reason, at_ms, wall_ms))
        self.workspace.decisions.claim(name, RUN_ID, wall_ms + 1_000)
        self.workspace.decisions.mark(name, RUN_ID, "guarded", wall_ms + 1_500, {"guard": {"labels": 2_408, "running": ""}})
        found = {"candidates": CANDIDATES, "refit": {"served": "refitted", "difference": "0.0123"}, "mlflow_run": MLFLOW_RUN}
        self.workspace.decisions.mark(name, RUN_ID, "judged", wall_ms + 9_000, found)
        if ending is not None:
            self.workspace.decisions.finish(name, ending, RUN_ID)

    def serve(self, version: int, server: str = "s1", seen_wall_ms: int = WALL_MS) -> None:
        """A server says what it serves."""
        self.workspace.predictions.confirm(server, "late_ferry", version, seen_wall_ms)

    def close(self) -> None:
        """Let go of the files."""
        self.workspace.close()


def departure(trip: str, at_ms: int, delay_min: float | None = 0.0, port: str = "north") -> str:
    """A departure as a source sends it."""
    return json.dumps({"trip": trip, "left_at": to_utc(at_ms).isoformat(), "port": port, "delay_min": delay_min})
