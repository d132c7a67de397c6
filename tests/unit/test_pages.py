"""Where people are led to MLflow and Prefect: on the page, in a message, by the programs themselves."""

from __future__ import annotations

import pytest

from tidemill.cli.environment import shared_environ
from tidemill.errors import SettingsError
from tidemill.loop import text_of
from tidemill.pages import Pages
from tidemill.settings import read_settings
from tidemill.stores.alert_records import Alert, AlertRecord, Message

STORED = "http://mlflow:5000/#/experiments/1/runs/r7/artifacts/report.html"
GIVEN = {"TIDEMILL_MLFLOW__URI": "http://mlflow:5000/", "TIDEMILL_SERVER__URL": "https://ml.example.com/"}


def test_a_stored_link_leads_through_the_server() -> None:
    settings = read_settings(GIVEN)
    rest = "#/experiments/1/runs/r7/artifacts/report.html"
    assert Pages.of(settings).shown(STORED) == f"/mlflow/{rest}"
    assert Pages.abroad(settings).shown(STORED) == f"https://ml.example.com/mlflow/{rest}"
    own = read_settings({**GIVEN, "TIDEMILL_MLFLOW__PAGE": "https://runs.example.com/m/"})
    assert Pages.of(own).shown(STORED) == f"https://runs.example.com/m/{rest}"
    assert Pages.of(settings).shown("http://mlflow:50001/#/x") == "http://mlflow:50001/#/x", "another server"


def test_a_message_leads_to_the_report_or_to_the_alerts() -> None:
    pages, told = Pages.abroad(read_settings(GIVEN)), []
    for link in (STORED, ""):
        record = AlertRecord(Alert("k", "late", "critical", "Errors rose", "so", link, 1), None, "", "", None, None, None, None, 1)
        told.append(text_of(Message(1, "late", "outcomes", "critical", "alerts", 0, frozenset(), (record,)), pages).body.splitlines()[-1])
    assert told == ["https://ml.example.com/mlflow/#/experiments/1/runs/r7/artifacts/report.html", "https://ml.example.com/#alerts"]


def test_prefects_page_is_made_for_its_place_behind_the_server() -> None:
    environ = shared_environ(read_settings(GIVEN))
    assert (environ["PREFECT_SERVER_UI_SERVE_BASE"], environ["PREFECT_SERVER_UI_API_URL"]) == ("/prefect", "/prefect/api")
    assert environ["PREFECT_UI_URL"] == "https://ml.example.com/prefect"
    assert environ["PREFECT_API_URL"] == "http://127.0.0.1:4200/api", "programs speak to it directly"
    own = shared_environ(read_settings({"TIDEMILL_PREFECT__PAGE": "https://runs.example.com"}))
    assert "PREFECT_SERVER_UI_SERVE_BASE" not in own and own["PREFECT_UI_URL"] == "https://runs.example.com"


@pytest.mark.parametrize("name", ["SERVER__URL", "MLFLOW__PAGE", "PREFECT__PAGE"])
def test_what_is_no_web_address_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=f"TIDEMILL_{name}.*no web address"):
        read_settings({f"TIDEMILL_{name}": "javascript:alert(1)"})
