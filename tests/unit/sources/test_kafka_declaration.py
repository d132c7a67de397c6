"""A Kafka source as the project file declares it: checked at once, handed to other processes, without a secret in it."""

from __future__ import annotations

import gc
import pickle
import warnings
from collections.abc import Callable

import orjson
import pytest

from tests.feeds import project_of
from tidemill.errors import NotReadyError, ProjectError, SettingsError
from tidemill.events import Copied
from tidemill.sources import Avro, Kafka, KafkaSecurity
from tidemill.sources.kafka_position import TopicPosition, other_topic
from tidemill.sources.kafka_values import json_text, with_fields

WHOLE = Kafka(
    "taps",
    ["10.0.0.1:9092", "10.0.0.2:9092"],
    group=None,
    begin="latest",
    on_gap="earliest",
    value=Avro("https://registry.example", username_env="R_USER", password_env="R_PASSWORD"),
    key_field="tap_id",
    header_fields={"g": "gate"},
    security=KafkaSecurity(ca_file="ca.pem", key_password_env="KEY_PASSWORD"),
)


def test_it_can_be_sent_to_another_process_and_told_from_others() -> None:
    assert pickle.loads(pickle.dumps(WHOLE)) == WHOLE
    assert hash(project_of(WHOLE).streams[0]) == hash(project_of(WHOLE).streams[0])
    assert Kafka("taps") != WHOLE


@pytest.mark.parametrize("bootstrap", ["a:1,b:2", "a:1, b:2 ", ["a:1", "b:2"], ("a:1", "b:2")])
def test_brokers_are_named_in_several_ways(bootstrap: str | list[str]) -> None:
    assert Kafka("taps", bootstrap).brokers == ["a:1", "b:2"]
    assert Kafka("taps", bootstrap).description == "kafka topic taps at a:1,b:2"


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: Kafka(""), "a topic and a broker must be named"),
        (lambda: Kafka("taps", " , "), "a topic and a broker must be named"),
        (lambda: Kafka("taps", begin="newest"), "begin='newest' is not known; write 'earliest' or 'latest'"),  # type: ignore[arg-type]  # the test
        (lambda: Kafka("taps", on_gap="skip"), "on_gap='skip' is not known; write 'fail' or 'earliest'"),  # type: ignore[arg-type]  # the test
        (lambda: Kafka("taps", value="xml"), "value='xml' is not known"),  # type: ignore[arg-type]  # the test
        (lambda: Avro(), "it needs a registry or a schema"),
        (lambda: Avro("http://r", schema='"int"'), "it needs a registry or a schema"),
        (lambda: Avro("http://ada:secret@r"), "an address may hold no password"),
        (lambda: Avro(schema='{"type": "recard"}'), "the schema is none"),
    ],
)
def test_a_mistake_is_said_when_the_project_loads(declare: Callable[[], object], said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        declare()


def test_secrets_come_from_the_environment() -> None:
    security = KafkaSecurity(cert_file="c.pem", key_file="k.pem", key_password_env="KEY_PASSWORD")
    environ = {"KAFKA_USERNAME": "ada", "KAFKA_PASSWORD": "s3cret", "KEY_PASSWORD": "k3y"}
    config = security.config(environ)
    assert (config["sasl_plain_username"], config["sasl_plain_password"], config["ssl_password"]) == ("ada", "s3cret", "k3y")
    for name in environ:
        with pytest.raises(SettingsError, match=f"the environment has no {name}"):
            security.config({other: value for other, value in environ.items() if other != name})
    assert KafkaSecurity("SSL").config({}) == {
        "security_protocol": "SSL",
        "ssl_cafile": None,
        "ssl_certfile": None,
        "ssl_keyfile": None,
    }


@pytest.mark.parametrize("checkpoint", ["", '{"file":"a.csv","rows":3}', '{"topic":"others","id":"x","offsets":{"0":3}}', "7", "[1]", "?"])
def test_what_another_source_has_kept_says_nothing_of_this_topic(checkpoint: str) -> None:
    assert TopicPosition.of("taps", checkpoint) is None


def test_a_topic_is_told_from_another_of_its_name() -> None:
    held = TopicPosition("taps", "", {0: 3, 1: 0})
    assert other_topic(held, "an id, since the cluster was upgraded", frozenset({0, 1, 2})) is None
    assert other_topic(TopicPosition("taps", "x", {0: 3, 1: 0}), "x", frozenset({0})) is None, "a broker that has not heard of it yet"
    assert other_topic(held, "", frozenset({0})) == "it was deleted and made anew (partition 1 is gone)"


def test_an_empty_partition_counts_as_not_read_at_all() -> None:
    assert TopicPosition("taps", "x", {0: 3}).lag({0: 5, 1: 4}) == 6
    assert TopicPosition("taps", "x", {0: 3}).lag({}) is None


@pytest.mark.parametrize("text", ["", " ", "null", "[{}]", '"{"', "7"])
def test_only_objects_get_fields(text: str) -> None:
    assert with_fields(text, {"key": "k"}) == text


@pytest.mark.parametrize("text", ['{"a":}', "{,}", '{"a":1', "{"])
def test_what_is_no_json_stays_so_with_fields(text: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        orjson.loads(with_fields(text, {"key": "k"}))


def test_a_prefix_alone_is_an_empty_text() -> None:
    assert json_text(b"\0\0\0\0\7") == ""


def test_while_nobody_is_there_no_socket_is_left_open() -> None:
    source = Kafka("taps", "127.0.0.1:1", connect_s=0.3)
    gc.collect()
    with warnings.catch_warnings(record=True) as seen, pytest.raises(NotReadyError):
        warnings.simplefilter("always")
        source.open(project_of(source).streams[0], Copied("", lambda _: False))
    with warnings.catch_warnings(record=True) as seen_later:
        warnings.simplefilter("always")
        gc.collect()
    assert [str(one.message) for one in [*seen, *seen_later] if "unclosed" in str(one.message)] == []
