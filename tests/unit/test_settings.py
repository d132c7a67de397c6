"""Settings: what is refused, and with which words."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from tidemill.errors import SettingsError
from tidemill.settings import ServerSettings, Settings, read_settings


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        read_settings(environ)
    return str(caught.value)


def test_nothing_set_means_the_defaults() -> None:
    settings = read_settings({"PATH": "/bin", "TIDE": "low"})
    assert settings == Settings()
    assert (settings.home, settings.profile) == (Path(".tidemill"), "embedded")
    assert settings.server_url == "http://127.0.0.1:8000"
    assert settings.mlflow_uri == "http://127.0.0.1:5000"
    assert settings.prefect_api_url == "http://127.0.0.1:4200/api"


def test_variables_set_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {
        "TIDEMILL_HOME": "/data",
        "TIDEMILL_SERVER__PORT": "8001",
        "TIDEMILL_SERVER__HOST": "::1",
        "TIDEMILL_MLFLOW__URI": "http://127.0.0.1:5001",
        "TIDEMILL_ALERTS__URLS": '["json://127.0.0.1:9000/"]',
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    settings = read_settings()
    assert settings == read_settings(environ)
    assert (settings.home, settings.server.port, settings.server.host) == (Path("/data"), 8001, "::1")
    assert settings.mlflow_uri == "http://127.0.0.1:5001"
    (channel,) = settings.alerts.urls
    assert (channel.url.get_secret_value(), channel.severity) == ("json://127.0.0.1:9000/", "info")
    assert "9000" not in repr(settings), "an alert's address may hold a password"


def test_a_channel_may_ask_for_what_is_grave_and_spans_may_be_none() -> None:
    urls = '["json://a/", {"url": "json://b/", "severity": "critical"}]'
    alerts = read_settings({"TIDEMILL_ALERTS__URLS": urls, "TIDEMILL_ALERTS__GATHER": "0s"}).alerts
    assert [channel.severity for channel in alerts.urls] == ["info", "critical"]
    assert (alerts.gather_ms, alerts.cooldown_ms) == (0, 6 * 3_600_000)
    assert "not a duration" in refused({"TIDEMILL_ALERTS__COOLDOWN": "6 hours"})
    secret = refused({"TIDEMILL_ALERTS__URLS": '[{"url": "json://s3cr3t/", "least": "critical"}]'})
    assert "TIDEMILL_ALERTS__URLS__0__LEAST: is not a setting" in secret
    assert "s3cr3t" not in secret


def test_the_server_profile_names_its_database_and_tells_nobody() -> None:
    url = "postgresql://ann:secret@db/tidemill"
    settings = read_settings({"TIDEMILL_PROFILE": "server", "TIDEMILL_DATABASE__URL": url})
    assert settings.database_url == url
    assert "secret" not in repr(settings)
    assert read_settings({"TIDEMILL_DATABASE__URL": url}).database_url is None, "the embedded profile keeps its state in files"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"TIDEMILL_PROFILE": "server"}, "set TIDEMILL_DATABASE__URL to postgresql://"),
        ({"TIDEMILL_PROFILE": "cluster"}, "TIDEMILL_PROFILE: Input should be 'embedded' or 'server'"),
        ({"TIDEMILL_DATABASE__URL": "mysql://ann:secret@db/x"}, "TIDEMILL_DATABASE__URL: Value error, not the URL of a PostgreSQL"),
    ],
)
def test_a_database_that_is_missing_or_of_another_kind_is_refused(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(environ)
    assert message in str(caught.value)
    assert "secret" not in f"{caught.value}{caught.value.__cause__}"


def test_given_variables_are_all_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_SERVER__PORT", "8001")
    assert read_settings({}).server.port == 8000
    assert read_settings({"TIDEMILL_SERVER__PORT": "8002"}).server.port == 8002


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "TIDEMILL_SERVR__PORT",
            "TIDEMILL_SERVR__PORT is not a setting; the names after TIDEMILL_ are ALERTS, CLIENT, DATABASE, ENGINE, HOME",
        ),
        ("TIDEMILL_PORT", "TIDEMILL_PORT is not a setting; the names after TIDEMILL_ are"),
        ("TIDEMILL_SERVER__PRT", "TIDEMILL_SERVER__PRT: is not a setting"),
        ("TIDEMILL_HOME__PATH", "TIDEMILL_HOME__PATH is not a setting; TIDEMILL_HOME has no parts"),
    ],
)
def test_an_unknown_variable_is_refused(name: str, message: str) -> None:
    assert message in refused({name: "1"})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5"])
def test_a_server_without_keys_is_for_this_machine_alone(host: str) -> None:
    assert "TIDEMILL_SERVER: " in refused({"TIDEMILL_SERVER__HOST": host, "TIDEMILL_SERVER__OPEN": "true"})
    assert read_settings({"TIDEMILL_SERVER__HOST": host}).server.host == host


@pytest.mark.parametrize("host", ["example.org", "", "127.0.0.1.example.org"])
def test_a_host_that_is_no_address_is_refused(host: str) -> None:
    assert "TIDEMILL_SERVER__HOST: " in refused({"TIDEMILL_SERVER__HOST": host})
    with pytest.raises(ValidationError, match="is not an address to bind"):
        ServerSettings(host=host)


def test_nothing_is_open_unless_it_is_said() -> None:
    assert not Settings().server.open


def test_half_of_tls_is_refused() -> None:
    assert "TLS needs both" in refused({"TIDEMILL_SERVER__TLS_CERT_FILE": "cert.pem"})


@pytest.mark.parametrize(
    ("host", "url"), [("0.0.0.0", "http://127.0.0.1:8000"), ("::1", "http://[::1]:8000"), ("127.0.0.2", "http://127.0.0.2:8000")]
)
def test_the_server_is_reached_where_it_listens(host: str, url: str) -> None:
    assert ServerSettings(host=host).host == host
    assert read_settings({"TIDEMILL_SERVER__HOST": host}).server_url == url


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("tm_secret\n")
    settings = read_settings({"TIDEMILL_CLIENT__KEY_FILE": str(tmp_path / "key")})
    assert settings.client.key.get_secret_value() == "tm_secret"
    assert "tm_secret" not in repr(settings)


def test_a_secret_file_that_is_away_or_one_of_two_is_refused(tmp_path: Path) -> None:
    assert "cannot be read (FileNotFoundError)" in refused({"TIDEMILL_DATABASE__URL_FILE": str(tmp_path / "away")})
    both = {"TIDEMILL_CLIENT__KEY_FILE": str(tmp_path), "TIDEMILL_CLIENT__KEY": "tm_secret"}
    assert "are both set; keep one" in refused(both)
    assert "tm_secret" not in refused(both)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_loopback_host_is_taken(host: str) -> None:
    assert read_settings({"TIDEMILL_SERVER__HOST": host}).server.host == host


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("TIDEMILL_SERVER__PORT", "http", "TIDEMILL_SERVER__PORT: Input should be a valid integer"),
        ("TIDEMILL_SERVER__PORT", "70000", "TIDEMILL_SERVER__PORT: Input should be less than or equal to 65535"),
        ("TIDEMILL_ENGINE__LAKE_EVERY_S", "0", "TIDEMILL_ENGINE__LAKE_EVERY_S: Input should be greater than 0"),
        ("TIDEMILL_PROFILE", "cluster", "TIDEMILL_PROFILE: Input should be 'embedded'"),
        ("TIDEMILL_ALERTS__URLS", "json://127.0.0.1/", "a list is written as JSON, e.g. TIDEMILL_ALERTS__URLS='[\"json:"),
        ("TIDEMILL_SERVER", "8001", "TIDEMILL_SERVER: Input should be a valid dictionary"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_its_variable(name: str, value: str, message: str) -> None:
    assert message in refused({name: value})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        read_settings({}).server.port = 1  # type: ignore[misc]  # the mistake
