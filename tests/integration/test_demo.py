"""The whole loop in a short demo: a real run of `tidemill demo`, a change acted out, and what it says of itself at the end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.databases import fresh_databases
from tests.kafka_server import kafka_server
from tests.services import child_environ, free_port, log_tail, program
from tidemill.project import load_project, project_root
from tidemill.settings import KafkaLogSettings
from tidemill.stores import AlertStore, Databases, PredictionStore, Served, open_loop
from tidemill.stores.kafka_replay import clear_topics
from tidemill.stores.predictions import ALL
from tidemill.streams import Counts, Position

DAYS, FIRST_FIT, DRIFT_FROM, SAME_DAYS = 45, 21, 28, 22
KEYS = [
    "events",
    "applied",
    "duplicates",
    "late",
    "rejected",
    "pending",
    "predictions",
    "labels",
    "auc_frozen",
    "auc_live",
    "log_loss_frozen",
    "log_loss_live",
    "log_loss_weekly",
    "quality_frozen",
    "quality_live",
    "fits",
    "retrains",
    "parity",
    "freshness_ms_p99",
    "wall_s",
]
RETRAIN_KEYS = {"trigger", "from_version", "to_version", "outcome", "metric_champion", "metric_challenger", "alarm_to_serving_s"}

pytestmark = pytest.mark.timeout(1800)  # minutes alone on two cores; whoever shares them waits longer


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    """A free port for each server."""
    return {name: free_port() for name in ("SERVER", "MLFLOW", "PREFECT")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the demo keeps its state."""
    return tmp_path_factory.mktemp("demo") / "home"


@pytest.fixture(scope="module")
def summary(home: Path, ports: dict[str, int]) -> dict[str, Any]:
    """The JSON object that the demo ends with."""
    shape = {"days": DAYS, "first-fit": FIRST_FIT, "drift-from": DRIFT_FROM, "ask-after": 0}
    return run_demo(home, ports, {}, [text for name, number in shape.items() for text in (f"--{name}", str(number))])


def run_demo(home: Path, ports: Mapping[str, int], environ: Mapping[str, str], shape: Sequence[str]) -> dict[str, Any]:
    """What a demo of its own ends with."""
    ours = {"TIDEMILL_HOME": str(home), **environ, **{f"TIDEMILL_{name}__PORT": str(port) for name, port in ports.items()}}
    process = subprocess.Popen(
        [program("tidemill"), "demo", "--exit", "--json", "--fresh", *shape],
        cwd=project_root(),
        env=child_environ() | ours,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=1_700)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT if process.poll() is None else signal.SIGKILL)
    services = home / "logs" / "services.log"
    said = f"{stderr[-6_000:]}\n--- {services.name}\n{log_tail(services) if services.exists() else 'not there'}"
    assert process.returncode == 0, said
    summary: dict[str, Any] = json.loads(stdout.splitlines()[-1])
    return summary


def test_the_last_line_has_exactly_the_promised_keys(summary: dict[str, Any]) -> None:
    assert list(summary) == KEYS
    assert all(set(retrain) == RETRAIN_KEYS for retrain in summary["retrains"])
    assert set(summary["parity"]) == {"checked", "mismatches", "lag_skew"}


def test_every_event_is_counted_once_and_as_the_recording_says(summary: dict[str, Any]) -> None:
    project = load_project(Path("examples/flights/project.py"))
    assert project.recording is not None
    expected = reduce(add, project.recording(days=DAYS, drift_from=DRIFT_FROM).expected().values(), Counts())
    found = Counts(*(summary[name] for name in ("events", "applied", "duplicates", "late", "rejected")))
    assert found == expected
    assert found.duplicate > 0 and found.late > 0 and found.rejected > 0
    assert summary["pending"] == 0


def test_the_change_raises_an_alarm_and_the_gate_decides(summary: dict[str, Any]) -> None:
    judged = [retrain for retrain in summary["retrains"] if retrain["outcome"] in ("promoted", "rejected")]
    assert judged, summary["retrains"]
    assert all(retrain["trigger"] in ("error", "evidently", "labels") for retrain in judged)
    for retrain in judged:
        better = retrain["metric_challenger"] < retrain["metric_champion"]
        assert better or retrain["outcome"] == "rejected"
        assert (retrain["alarm_to_serving_s"] is not None) == (retrain["outcome"] == "promoted")
    promoted = [retrain for retrain in judged if retrain["outcome"] == "promoted"]  # and fitted again where the newest rows are many
    assert promoted, summary["retrains"]
    assert 2 + len(judged) <= summary["fits"] <= 2 + 3 * len(judged) + len(promoted), "the first model twice, three windows at most"


def test_an_alarm_of_the_errors_links_to_a_report_of_the_inputs(summary: dict[str, Any], home: Path) -> None:
    assert any(retrain["trigger"] == "error" for retrain in summary["retrains"])
    alarms = [record for record in AlertStore(open_loop(Databases(home))).recent(limit=500) if record.alert.explain]
    assert alarms
    assert all(record.explaining_wall_ms for record in alarms)
    assert "/artifacts/report.html" in alarms[-1].alert.link  # the oldest; a version that has served little has too little to check


def test_what_was_served_is_what_history_says(summary: dict[str, Any]) -> None:
    assert summary["parity"]["checked"] >= 5_000
    assert summary["parity"]["mismatches"] == 0
    assert summary["parity"]["lag_skew"] == 0


def test_predictions_meet_their_outcomes(summary: dict[str, Any]) -> None:
    assert summary["predictions"] >= summary["labels"] > 5_000
    assert 0.55 < summary["auc_frozen"] < 1 and 0.55 < summary["auc_live"] < 1
    assert 0 < summary["log_loss_live"] < 1
    assert summary["log_loss_weekly"] is None


def test_nothing_is_left_running(summary: dict[str, Any], ports: dict[str, int]) -> None:
    assert summary["wall_s"] > 0
    for name, port in ports.items():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"{name} still listens on {port}"


def test_on_kafka_and_postgresql_it_says_the_same_to_the_last_bit(
    summary: dict[str, Any], home: Path, ports: dict[str, int], tmp_path: Path, postgres_url: str
) -> None:
    """The days before the world changes, in the server profile: the same questions, vectors and probabilities, after the same events."""
    log = KafkaLogSettings(bootstrap=kafka_server().bootstrap)
    project = load_project(Path("examples/flights/project.py"))
    with fresh_databases(postgres_url, tmp_path / "home") as server:
        environ = {
            "TIDEMILL_PROFILE": "server",
            "TIDEMILL_DATABASE__URL": server.url or "",
            "TIDEMILL_LOG__KIND": "kafka",
            "TIDEMILL_LOG__KAFKA__BOOTSTRAP": log.bootstrap,
        }
        try:
            found = run_demo(server.home, ports, environ, ["--days", str(SAME_DAYS), "--first-fit", str(FIRST_FIT)])
        finally:
            clear_topics(project.streams, log, project.name, drop=True)
        served, scores = said_by(server)
    n_rows = len(served.keys)
    in_files, scores_in_files = said_by(Databases(home), n_rows)
    assert n_rows > 500
    assert found["parity"] == {"checked": n_rows, "mismatches": 0, "lag_skew": 0.0}
    assert (served.keys, served.at_ms.tolist()) == (in_files.keys, in_files.at_ms.tolist())
    positions = [Position.from_token(token) for token in served.positions]
    assert {len(parts) for position in positions for parts in position.offsets.values()} == {log.partitions}
    in_one_log = [Position.from_token(token).last("departures") for token in in_files.positions]
    assert [events_of(position) for position in positions] == in_one_log
    np.testing.assert_array_equal(served.numbers, in_files.numbers)
    np.testing.assert_array_equal(scores, scores_in_files)
    assert {path.name for path in server.home.glob("*.db")} == {"mlflow.db"}


def events_of(position: Position) -> int:
    """How many events of all streams a position has taken; an embedded log numbers them so."""
    return sum(mark.events for parts in position.marks.values() for mark in parts.values())


def said_by(databases: Databases, limit: int = ALL) -> tuple[Served, list[float]]:
    """The first predictions of a home, and the probabilities of its champion."""
    with closing(PredictionStore(databases)) as store:
        served = store.served("late_arrival", limit=limit)
        champions = {
            one.prediction_id: one.answer.probability
            for one in store.scores("late_arrival", served.keys)
            if one.role == "champion" and one.answer.probability is not None
        }
    return served, [champions[prediction] for prediction in served.ids.tolist()]
