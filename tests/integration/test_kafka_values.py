"""What is in a topic's records, and who may read them: keys, headers, tombstones, damage, Avro, compression, TLS and logins."""

from __future__ import annotations

import logging
import re
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import fastavro
import orjson
import pytest
from kafka import KafkaProducer

from tests.feeds import Tap, project_of, taps
from tests.kafka_server import PASSWORD, USER, KafkaServer, PatientCopier, kafka_server
from tidemill.errors import NotReadyError, SettingsError
from tidemill.events import Copied
from tidemill.project import Workspace
from tidemill.sources import Avro, Kafka, KafkaSecurity
from tidemill.streams import Position

PATIENCE_S = 120.0


@pytest.fixture
def server() -> KafkaServer:
    """The broker."""
    return kafka_server()


@contextmanager
def copied(source: Kafka, n_events: int, folder: Path) -> Iterator[Workspace]:
    """A home that holds so many events of a topic, and they are all."""
    workspace = Workspace.open(project_of(replace(source, connect_s=PATIENCE_S)), folder / "home")
    with closing(PatientCopier(workspace, workspace.project.streams[0], 1_000_000)) as copier:
        deadline_s = time.monotonic() + PATIENCE_S
        while workspace.log.behind(Position({})) < n_events:
            assert time.monotonic() < deadline_s, f"of {n_events} events only {workspace.log.behind(Position({}))} came"
            copier.step()
        assert copier.step() == 0
    yield workspace
    workspace.close()


def texts(workspace: Workspace) -> list[str]:
    """What the log holds."""
    return list(workspace.log.read(Position({}), 1_000_000)[0].payloads)


def held(workspace: Workspace) -> list[Tap]:
    """The events in the log, by id."""
    return sorted(map(Tap.model_validate_json, texts(workspace)), key=lambda tap: tap.tap_id)


def values(events: list[Tap]) -> list[bytes]:
    """As records hold them."""
    return [orjson.dumps(event.model_dump()) for event in events]


def test_keys_and_headers_become_fields_unless_the_event_has_them(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic()
    bare = {"at": "2026-03-01T00:00:00Z", "zones": 1, "fare": None, "is_child": False}
    headers = [("gate", b"first"), ("gate", "zweite, ü".encode()), ("other", b"?")]
    server.send(topic, [orjson.dumps(bare)], key=b"tap-1", headers=headers)
    server.send(topic, [orjson.dumps({**bare, "tap_id": "its own", "gate": None})], key=b"tap-2", headers=headers)
    server.send(topic, [orjson.dumps({**bare, "tap_id": "tap-3"})])
    source = Kafka(topic, server.bootstrap, key_field="tap_id", header_fields={"gate": "gate"})
    with copied(source, 3, tmp_path) as workspace:
        workspace.engine().drain(100)
        assert workspace.books()["taps"].late == 3  # valid, and of last March
        assert {(tap.tap_id, tap.gate) for tap in held(workspace)} == {("tap-1", "zweite, ü"), ("its own", None), ("tap-3", None)}


def test_tombstones_are_passed_and_damage_is_kept(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic()
    good, bad = values(taps(0, 2)), b'{"tap_id":"\xff\xfe"}'
    server.send(topic, [good[0], None, bad, b"", good[1], None], key=b"k")
    with copied(Kafka(topic, server.bootstrap), 4, tmp_path) as workspace:
        workspace.engine().drain(100)
        books = workspace.books()["taps"]
        assert (books.received, books.late, books.rejected) == (4, 2, 2)
        letters = {letter["payload"]: letter["reason"] for letter in workspace.state.dead_letters("taps")}
        assert {payload: reason for payload, reason in letters.items() if reason != "late"} == {
            '{"tap_id":"\\xff\\xfe"}': "not_json",
            "": "not_json",
        }
        assert orjson.loads(workspace.log.copied("taps").checkpoint)["offsets"] == {"0": 6}


@pytest.mark.parametrize("codec", ["gzip", "lz4", "snappy", "zstd"])
def test_compressed_batches_are_read(server: KafkaServer, tmp_path: Path, codec: str) -> None:
    topic = server.new_topic()
    with closing(KafkaProducer(bootstrap_servers=server.bootstrap, compression_type=codec, linger_ms=100)) as producer:
        for value in values(taps(0, 50)):
            producer.send(topic, value)
        producer.flush()
    with copied(Kafka(topic, server.bootstrap), 50, tmp_path) as workspace:
        assert held(workspace) == taps(0, 50)


ZONE = {"type": "record", "name": "Zone", "fields": [{"name": "zones", "type": "int"}]}
TAP = {
    "type": "record",
    "name": "Tap",
    "fields": [
        {"name": "tap_id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "gate", "type": ["null", "string"]},
        {"name": "fare", "type": ["null", "double"]},
        {"name": "zones", "type": "int"},
        {"name": "is_child", "type": "boolean"},
    ],
}


class Registry(BaseHTTPRequestHandler):
    """Answers as a schema registry does."""

    ANSWERS: ClassVar = {
        "/schemas/ids/7": {"schema": orjson.dumps(TAP).decode()},
        "/schemas/ids/8": {
            "schema": orjson.dumps({"type": "record", "name": "Ride", "fields": [{"name": "zone", "type": "Zone"}]}).decode(),
            "references": [{"name": "Zone", "subject": "the zone", "version": 2}],
        },
        "/schemas/ids/9": {"schema": "{}", "schemaType": "PROTOBUF"},
        "/subjects/the%20zone/versions/2": {"schema": orjson.dumps(ZONE).decode()},
    }

    def do_GET(self) -> None:
        """One request."""
        is_known = self.headers["Authorization"] == "Basic YWRhOnMzY3JldC1vZi1hZGE="
        answer = self.ANSWERS.get(self.path)
        self.send_response(401 if not is_known else 404 if answer is None else 200)
        self.end_headers()
        self.wfile.write(orjson.dumps(answer if is_known and answer else {"error_code": 40403}))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Avro]:
    """A registry on loopback that knows some schemas, and asks for a password."""
    monkeypatch.setenv("REGISTRY_USER", USER)
    monkeypatch.setenv("REGISTRY_PASSWORD", PASSWORD)
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{served.server_address[1]}"
        yield Avro(address, username_env="REGISTRY_USER", password_env="REGISTRY_PASSWORD")
        served.shutdown()
        thread.join()


def avro(schema: object, row: dict[str, object]) -> bytes:
    """A row in Avro's binary encoding."""
    written = BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(orjson.loads(orjson.dumps(schema))), row)
    return written.getvalue()


def prefix(number: int) -> bytes:
    """What the clients of a registry write first."""
    return b"\0" + number.to_bytes(4, "big")


def test_avro_of_a_registry_arrives_with_every_value_and_what_is_none_is_kept(server: KafkaServer, registry: Avro, tmp_path: Path) -> None:
    topic = server.new_topic()
    good = [prefix(7) + avro(TAP, event.model_dump()) for event in taps(0, 20)]
    bad = [prefix(404) + b"x", prefix(9) + b"x", b"{}", prefix(7) + b"\xff", good[0] + b"more"]
    server.send(topic, [*good, *bad])
    with copied(Kafka(topic, server.bootstrap, value=registry), 25, tmp_path) as workspace:
        workspace.engine().drain(100)
        books = workspace.books()["taps"]
        assert (books.late, books.rejected) == (20, 5)
        assert sorted((Tap.model_validate_json(text) for text in texts(workspace)[:20]), key=lambda tap: tap.tap_id) == taps(0, 20)
        kept = [orjson.loads(text)[0] for text in texts(workspace)[20:]]
        assert [b64decode(one["_undecodable"]) for one in kept] == bad
        whys = [one["_error"] for one in kept]
        assert "has no /schemas/ids/404" in whys[0]
        assert "schema 9 is of the type PROTOBUF" in whys[1]
        assert "does not begin with a byte 0" in whys[2]
        assert "4 bytes are left over" in whys[4]


def test_a_schema_may_refer_to_others(server: KafkaServer, registry: Avro, tmp_path: Path) -> None:
    topic = server.new_topic()
    server.send(topic, [prefix(8) + avro(ZONE, {"zones": 3})])
    with copied(Kafka(topic, server.bootstrap, value=registry), 1, tmp_path) as workspace:
        assert texts(workspace) == ['{"zone":{"zones":3}}']


def test_a_registry_that_does_not_answer_stops_the_copy_and_loses_nothing(server: KafkaServer, registry: Avro, tmp_path: Path) -> None:
    topic = server.new_topic()
    server.send(topic, [prefix(7) + avro(TAP, event.model_dump()) for event in taps(0, 5)])
    strangers = replace(registry, username_env=None, password_env=None)
    for avro_of, said in ((Avro("http://127.0.0.1:1"), "does not answer"), (strangers, "with status 401")):
        with pytest.raises(NotReadyError, match=said), copied(Kafka(topic, server.bootstrap, value=avro_of), 5, tmp_path):
            pass
    with copied(Kafka(topic, server.bootstrap, value=registry), 5, tmp_path) as workspace:
        assert held(workspace) == taps(0, 5)


def test_json_with_the_prefix_of_a_registry_is_read(server: KafkaServer, tmp_path: Path) -> None:
    topic = server.new_topic()
    server.send(topic, [prefix(7) + value for value in values(taps(0, 5))] + values(taps(5, 5)))
    with copied(Kafka(topic, server.bootstrap), 10, tmp_path) as workspace:
        assert held(workspace) == taps(0, 10)


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> KafkaSecurity:
    """Whom the environment names."""
    monkeypatch.setenv("KAFKA_USERNAME", USER)
    monkeypatch.setenv("KAFKA_PASSWORD", PASSWORD)
    return KafkaSecurity("SASL_PLAINTEXT", "PLAIN")


def test_a_login_lets_in_and_no_log_says_its_password(
    server: KafkaServer, login: KafkaSecurity, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topic = server.new_topic()
    server.send(topic, values(taps(0, 5)))
    source = Kafka(topic, server.sasl_bootstrap, security=login)
    with caplog.at_level(logging.DEBUG), copied(source, 5, tmp_path) as workspace:
        assert held(workspace) == taps(0, 5)
    assert len(caplog.records) > 10
    assert PASSWORD not in caplog.text + repr(source) + source.description


def test_scram_through_tls_lets_in_where_the_certificate_is_trusted(server: KafkaServer, login: KafkaSecurity, tmp_path: Path) -> None:
    topic = server.new_topic()
    server.send(topic, values(taps(0, 5)))
    trusting = KafkaSecurity("SASL_SSL", "SCRAM-SHA-512", ca_file=str(server.certificate))
    with copied(Kafka(topic, server.tls_bootstrap, security=trusting), 5, tmp_path) as workspace:
        assert held(workspace) == taps(0, 5)


@pytest.mark.parametrize("how", ["a wrong password", "a certificate that nobody trusts", "nobody there"])
def test_who_is_kept_out_is_told_why_and_leaves_no_thread(
    server: KafkaServer, login: KafkaSecurity, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "a guess")
    address, security, said = {
        "a wrong password": (server.sasl_bootstrap, login, "(Invalid username or password|disconnected).*is the login right"),
        "a certificate that nobody trusts": (server.tls_bootstrap, KafkaSecurity(), "certificate verify failed"),
        "nobody there": ("127.0.0.1:1", None, "ECONNREFUSED$"),
    }[how]
    for connect_s in (0.7, 5.0, 60.0):  # it tries so long each time; a slow broker has not said why after the first
        source = Kafka("taps", address, security=security, connect_s=connect_s)
        with pytest.raises(NotReadyError) as error:
            source.open(project_of(source).streams[0], Copied("", lambda _: False))
        assert "a guess" not in str(error.value)
        if re.search(said, str(error.value)):
            break
    assert re.search(said, str(error.value))
    deadline_s = time.monotonic() + PATIENCE_S
    while "kafka-io-tidemill-taps" in {thread.name for thread in threading.enumerate()}:
        assert time.monotonic() < deadline_s, "its thread goes on"
        time.sleep(0.01)


def test_a_variable_that_is_missing_is_named(
    server: KafkaServer, login: KafkaSecurity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KAFKA_PASSWORD")
    with pytest.raises(SettingsError, match="no KAFKA_PASSWORD"), copied(Kafka("taps", server.sasl_bootstrap, security=login), 1, tmp_path):
        pass
