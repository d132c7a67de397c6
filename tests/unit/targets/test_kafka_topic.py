"""What is declared to be published is checked when the project file loads."""

from __future__ import annotations

import pytest

from tests.unit.events.taps import TAPS
from tidemill.errors import ProjectError, SettingsError
from tidemill.project import Project
from tidemill.sources import KafkaSecurity
from tidemill.targets import KafkaTopic


def test_a_topic_and_a_broker_are_named() -> None:
    for topic, bootstrap in (("", "127.0.0.1:9092"), ("tides", ""), ("tides", " , "), ("tides", [])):
        with pytest.raises(ProjectError, match="KafkaTopic: a topic and a broker must be named"):
            KafkaTopic(topic, bootstrap)
    assert KafkaTopic("tides", ["a:1", "b:2"]).brokers == ["a:1", "b:2"]


def test_only_what_there_is_can_be_published() -> None:
    with pytest.raises(ProjectError, match=r"publish names 'events', which there is not; choose of alerts, decisions, predictions"):
        Project("tides", streams=[TAPS], publish={"events": KafkaTopic("tides")})  # type: ignore[dict-item]  # what a file may say


def test_a_secret_that_is_missing_is_named_before_anybody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDES_PASSWORD", raising=False)
    monkeypatch.setenv("KAFKA_USERNAME", "ada")
    with pytest.raises(SettingsError, match="the environment has no TIDES_PASSWORD"):
        KafkaTopic("tides", "127.0.0.1:1", security=KafkaSecurity(password_env="TIDES_PASSWORD")).open()
