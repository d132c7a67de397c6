"""Settings come from `TIDEMILL_*` alone; what is unknown or unsafe is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tidemill.errors import SettingsError
from tidemill.settings import read_settings


def test_without_variables_the_defaults_hold() -> None:
    settings = read_settings({"HOME": "/nowhere", "SERVER__PORT": "1"})
    assert settings.home == Path(".tidemill")
    assert settings.profile == "embedded"
    urls = (settings.server_url, settings.mlflow_uri, settings.prefect_api_url)
    assert urls == ("http://127.0.0.1:8000", "http://127.0.0.1:5000", "http://127.0.0.1:4200/api")


def test_each_section_is_set_by_its_name() -> None:
    settings = read_settings(
        {
            "TIDEMILL_HOME": "state",
            "TIDEMILL_SERVER__HOST": "::1",
            "TIDEMILL_ENGINE__BATCH_EVENTS": "7",
            "TIDEMILL_MLFLOW__URI": "http://127.0.0.1:9",
            "TIDEMILL_PREFECT__API_URL": "http://127.0.0.1:8/api",
            "TIDEMILL_ALERTS__URLS": '["json://127.0.0.1:9000/"]',
        }
    )
    assert (settings.home, settings.server.host, settings.engine.batch_events) == (Path("state"), "::1", 7)
    assert (settings.mlflow_uri, settings.prefect_api_url) == ("http://127.0.0.1:9", "http://127.0.0.1:8/api")
    assert [url.get_secret_value() for url in settings.alerts.urls] == ["json://127.0.0.1:9000/"]
    assert "9000" not in repr(settings)  # an alert's URL may hold a password


def test_the_process_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_SERVER__PORT", "8123")
    assert read_settings().server.port == 8123
    assert read_settings({}).server.port == 8000


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TIDEMILL_SEVER__PORT", "1", r"TIDEMILL_SEVER__PORT is not a setting; the names after TIDEMILL_ are .*SERVER"),
        ("TIDEMILL_SERVER__PROT", "1", "TIDEMILL_SERVER__PROT: is not a setting"),
        ("TIDEMILL_HOME__DIR", "x", "TIDEMILL_HOME__DIR is not a setting; TIDEMILL_HOME has no parts"),
        ("TIDEMILL_SERVER__PORT", "no", "TIDEMILL_SERVER__PORT: .*integer"),
        ("TIDEMILL_SERVER__PORT", "70000", "TIDEMILL_SERVER__PORT: .*65535"),
        ("TIDEMILL_ENGINE__BATCH_EVENTS", "0", "TIDEMILL_ENGINE__BATCH_EVENTS: "),
        ("TIDEMILL_PROFILE", "cluster", "TIDEMILL_PROFILE: .*embedded"),
        ("TIDEMILL_ALERTS__URLS", "json://127.0.0.1/", "TIDEMILL_ALERTS__URLS"),
        ("TIDEMILL_ALERTS", "nonsense", "a list is written as JSON"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(name: str, value: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read_settings({name: value})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", "", "127.0.0.1.example.org", "localhost.example.org"])
def test_only_loopback_may_be_bound(host: str) -> None:
    with pytest.raises(SettingsError, match=r"TIDEMILL_SERVER__HOST: .*is not a loopback address"):
        read_settings({"TIDEMILL_SERVER__HOST": host})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_taken(host: str) -> None:
    assert read_settings({"TIDEMILL_SERVER__HOST": host}).server.host == host


def test_settings_are_frozen() -> None:
    settings = read_settings({})
    with pytest.raises(ValidationError, match="frozen"):
        settings.server.port = 1  # type: ignore[misc]  # the very thing that must fail
