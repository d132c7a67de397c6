"""What is published is in the topic at least once and in order, whatever ends, stops or refuses in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.kafka_server import PASSWORD, USER, KafkaServer, kafka_server
from tests.published import first_ids, predict, project_to, records
from tidemill.errors import NotReadyError
from tidemill.project import Project, Workspace
from tidemill.serving import Publisher, publishers
from tidemill.sources import KafkaSecurity
from tidemill.stores import Alert, Decision
from tidemill.stores.decision_records import Ending
from tidemill.targets import KafkaTopic
from tidemill.targets.kafka_sender import _PRODUCER

PATIENCE_S = 240.0
IMPATIENT = {"request_timeout_ms": 2_000, "linger_ms": 2_000, "delivery_timeout_ms": 4_000}


@pytest.fixture
def server() -> KafkaServer:
    """The broker."""
    return kafka_server()


@contextmanager
def home(project: Project, folder: Path) -> Iterator[Workspace]:
    """A home of the project, in which all it publishes has begun."""
    with closing(Workspace.open(project, folder / "home")) as workspace:
        publishers(workspace, "first")
        yield workspace


def publish_all(workspace: Workspace) -> int:
    """Send until nothing waits; answers how many messages."""
    sent = 0
    for publisher in publishers(workspace, "first"):
        with closing(publisher):
            while n := publisher.step():
                sent += n
    return sent


@contextmanager
def publishing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All that the project publishes is, by a thread each, as in a running system but with short pauses."""
    monkeypatch.setattr("tidemill.serving.retrying._MAX_WAIT_S", 0.2)
    monkeypatch.setattr("tidemill.targets.kafka_sender._PRODUCER", _PRODUCER | IMPATIENT)
    stopping = threading.Event()
    threads = [threading.Thread(target=one.run, args=(stopping,)) for one in publishers(workspace, "first")]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def wait_until(holds: Callable[[], object]) -> None:
    """Until it holds."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to hold"
        time.sleep(0.05)


def an_alert(key: str) -> Alert:
    """One of a model."""
    return Alert(key, "busy", "warning", "Errors rose", "0.31 -> 0.38", "", at_ms=900, explain="3")


def test_each_kind_is_published_as_documented(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic(partitions=3)
    with home(project_to(topic, server.bootstrap), tmp_path) as workspace:
        ids = predict(workspace, 3, request='{"line":"a"}')
        workspace.alerts.raise_alert(an_alert("a1"))
        workspace.alerts.raise_alert(an_alert("a1"))
        workspace.decisions.request(Decision("d1", "busy", "error", "cusum", "errors rose", requested_at_ms=900, requested_wall_ms=5))
        workspace.decisions.claim("d1", "run-a", 6)
        workspace.decisions.claim("d1", "run-a", 7)  # a sign of life is no change
        workspace.decisions.release_stale(10, now_ms=950, wall_ms=20)
        workspace.decisions.claim("d1", "run-b", 21)
        workspace.decisions.finish("d1", Ending("promoted", "better", at_ms=960, wall_ms=30, to_version="4", fits=2), "run-b")
        assert publish_all(workspace) == 3 + 1 + 5
        assert publish_all(workspace) == 0
        standing = workspace.publications.standing()
    found = records(server, topic)
    assert all(one.headers == {name: one.body[name] for name in ("id", "kind", "project")} for one in found)
    said = {one.body["prediction_id"]: one for one in found if one.headers["kind"] == "prediction"}
    assert said[str(ids[2])].body == {
        "id": f"2000-{ids[2]}",
        "kind": "prediction",
        "project": "tides",
        "prediction_id": str(ids[2]),
        "model": "busy",
        "model_version": 3,
        "key": said[str(ids[2])].key,
        "at_ms": 1_000,
        "made_wall_ms": 2_000,
        "prediction": 1,
        "probability": 1.0,
        "request": {"line": "a"},
        "position": "{}",
    }
    (alert,) = [one for one in found if one.headers["kind"] == "alert"]
    told: dict[str, object] = {
        "model": "busy",
        "cause": "a1",
        "severity": "warning",
        "title": "Errors rose",
        "body": "0.31 -> 0.38",
        "harm": "",
        "link": "",
    }
    told |= {"at_ms": 900, "since_ms": None, "condition": "", "ended_at_ms": None, "ended_why": ""}
    assert (alert.key, alert.body) == ("busy", {"id": "a1", "kind": "alert", "project": "tides", **told})
    changes = [one.body for one in found if one.headers["kind"] == "decision"]
    assert [(one["id"], one["change"], one["state"], one["flow_run_id"]) for one in changes] == [
        ("d1.0", 0, "requested", None),
        ("d1.1", 1, "claimed", "run-a"),
        ("d1.2", 2, "requested", None),
        ("d1.3", 3, "claimed", "run-b"),
        ("d1.4", 4, "finished", "run-b"),
    ]
    assert (changes[-1]["decision_id"], changes[-1]["outcome"], changes[-1]["to_version"], changes[-1]["fits"]) == (
        "d1",
        "promoted",
        "4",
        2,
    )
    assert {kind: (one.sent, one.kept, one.last_error) for kind, one in standing.items()} == {
        "predictions": (3, 0, ""),
        "alerts": (1, 0, ""),
        "decisions": (5, 0, ""),
    }


def test_it_begins_when_it_is_declared_and_is_forgotten_when_it_is_not(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic()
    silent = project_to(topic, server.bootstrap, ())
    with home(silent, tmp_path) as workspace:
        predict(workspace, 2)
        workspace.alerts.raise_alert(an_alert("before"))
    with home(project_to(topic, server.bootstrap), tmp_path) as workspace:
        predict(workspace, 1)
        workspace.alerts.raise_alert(an_alert("a1"))
    with home(silent, tmp_path) as workspace:
        assert workspace.publications.standing() == {}
        predict(workspace, 1)
    with home(project_to(topic, server.bootstrap), tmp_path) as workspace:
        (last,) = predict(workspace, 1)
        assert publish_all(workspace) == 1
    assert [one.body["prediction_id"] for one in records(server, topic)] == [str(last)]


def test_while_the_broker_is_down_it_waits_says_so_and_goes_on_after(
    server: KafkaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidemill.serving.publishing._FAILURES_TO_ALERT", 2)
    topic = server.new_topic(partitions=2)
    with home(project_to(topic, server.bootstrap, ("predictions", "alerts")), tmp_path) as workspace, publishing(workspace, monkeypatch):
        standing = workspace.publications.standing
        predict(workspace, 100)
        wait_until(lambda: standing()["predictions"].sent == 100)
        server.stop()
        try:
            predict(workspace, 300)
            wait_until(lambda: workspace.alerts.recent("predictions"))
            assert standing()["predictions"].last_error
        finally:
            server.start()
        wait_until(lambda: (standing()["predictions"].sent, standing()["predictions"].last_error) == (400, ""))
        wait_until(lambda: standing()["alerts"].sent and not standing()["alerts"].kept)  # those that say so are published too
        assert [one.alert.title for one in workspace.alerts.recent("predictions")] == ["predictions are not published"]
    firsts = first_ids(records(server, topic), "prediction")
    assert sum(map(len, firsts.values())) == 400
    assert all(ids == sorted(ids, key=lambda text: int(text.split("-")[1])) for ids in firsts.values())


def test_one_that_the_broker_refuses_holds_up_no_other_and_raises_an_alert(
    server: KafkaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = server.new_topic(configs={"max.message.bytes": "20000"})
    with home(project_to(topic, server.bootstrap, ("predictions",)), tmp_path) as workspace:
        before = predict(workspace, 3)
        for size in (30_000, 2_000_000):  # refused by the broker, and by the client
            predict(workspace, 1, request=f'"{"x" * size}"')
        after = predict(workspace, 3)
        with publishing(workspace, monkeypatch):
            wait_until(lambda: workspace.publications.cursor("predictions") == after[-1])
            wait_until(lambda: workspace.publications.standing()["predictions"].last_error == "")
        standing = workspace.publications.standing()["predictions"]
        (alert,) = workspace.alerts.recent("predictions")
    assert (standing.sent, standing.refused) == (6, 2)
    assert alert.alert.title == "one of the predictions was not published"
    assert {one.body["prediction_id"] for one in records(server, topic)} == {str(one) for one in before + after}


def test_of_two_processes_one_publishes_and_the_other_goes_on_when_it_ends(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic()
    with home(project_to(topic, server.bootstrap, ("predictions",)), tmp_path) as workspace:
        first, second = Publisher(workspace, "predictions", "first"), Publisher(workspace, "predictions", "second")
        predict(workspace, 2)
        assert [first.step(), second.step(), first.step()] == [2, 0, 0]
        predict(workspace, 2)
        assert second.step() == 0
        first.close()
        assert second.step() == 2
        second.close()
    assert len(records(server, topic)) == 4


def test_a_topic_that_is_not_there_is_never_made(server: KafkaServer, tmp_path: Path) -> None:
    with home(project_to("taps-that-is-not-there", server.bootstrap, ("alerts",)), tmp_path) as workspace:
        (publisher,) = publishers(workspace, "first")
        with pytest.raises(NotReadyError, match=r"taps-that-is-not-there at .*: there is no such topic; make it"):
            publisher.step()
        publisher.close()
    assert "taps-that-is-not-there" not in server.admin.list_topics()


def test_a_login_through_tls(server: KafkaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = server.new_topic()
    monkeypatch.setenv("KAFKA_USERNAME", USER)
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    target = KafkaTopic(topic, server.tls_bootstrap, security=KafkaSecurity(ca_file=str(server.certificate)))
    project = project_to(topic, server.bootstrap, ())
    with home(Project("tides", streams=project.streams, publish={"predictions": target}), tmp_path) as workspace:
        predict(workspace, 2)
        assert publish_all(workspace) == 2
    assert len(records(server, topic)) == 2
