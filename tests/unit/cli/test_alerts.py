"""`tidemill alerts`: what is shown, and what a person can do about it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from getpass import getuser
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from tests import tiny
from tests.receiver import receiving
from tests.services import free_port
from tidemill.cli.main import app
from tidemill.clock import HOUR_MS, wall_ms
from tidemill.errors import InputError, NotFoundError
from tidemill.project import Workspace
from tidemill.stores import Alert

RUNNER = CliRunner()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A home with two alerts, which commands find in the environment."""
    opened = Workspace.open(tiny.project, tmp_path)
    worse = Alert(
        "outcomes:late_order:1:error:9", "late_order", "critical", "it has become worse", "sum 12", "", at_ms=9_000, harm="31% to 38%"
    )
    opened.alerts.raise_alert(worse)
    opened.alerts.raise_alert(Alert("deadletters:orders:8", "orders", "warning", "more than usual", "12 of 90", "", 8_000, condition="d"))
    environ = {"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_PROJECT": str(tiny.FILE), "COLUMNS": "250", "NO_PROXY": "127.0.0.1"}
    with patch.dict(os.environ, environ):
        yield opened
    opened.close()


def said(*arguments: str, exit_code: int = 0) -> str:
    """What `tidemill alerts` prints, with spaces made one."""
    result = RUNNER.invoke(app, ["alerts", *arguments], catch_exceptions=False)
    assert result.exit_code == exit_code, result.output
    return " ".join(result.stdout.split())


def test_alerts_are_shown_newest_first(workspace: Workspace) -> None:
    text = said()
    assert "it has become worse: sum 12 (31% to 38%) happened once; delivery: waiting outcomes:late_order:1:error:9" in text
    assert "more than usual: 12 of 90 goes on; delivery: waiting deadletters:orders:8" in text
    assert text.index("worse") < text.index("usual")
    assert "usual" not in said("--model", "late_order")
    assert said("--model", "nobody") == "no alert yet"
    workspace.alerts.end("d", 3_600_000, "quiet")
    found = json.loads(said("--json", "--model", "orders"))
    (one,) = found["alerts"]
    assert (one["kind"], one["delivery"], one["ended_why"], one["channels"]) == ("deadletters", "waiting", "quiet", [])
    assert found["silences"] == []


@pytest.mark.usefixtures("workspace")
def test_a_key_can_be_copied_from_a_narrow_terminal() -> None:
    with patch.dict(os.environ, {"COLUMNS": "20"}):
        lines = RUNNER.invoke(app, ["alerts"], catch_exceptions=False).stdout.splitlines()
    assert {"outcomes:late_order:1:error:9", "deadletters:orders:8"} <= {line.strip() for line in lines}


def test_an_acknowledgement_is_written_down(workspace: Workspace) -> None:
    assert said("ack", "deadletters:orders:8") == f"1 acknowledged by {getuser()}"
    assert said("ack", "deadletters:orders:8") == "all of them had been acknowledged before"
    assert f"goes on, known to {getuser()}" in said()
    with pytest.raises(NotFoundError, match="no alert 'nobody'"):
        RUNNER.invoke(app, ["alerts", "ack", "nobody"], catch_exceptions=False)


def test_a_silence_begins_is_shown_and_ends(workspace: Workspace) -> None:
    text = said("silence", "late_order", "--kind", "windows", "--for", "8h", "--reason", "a migration")
    assert text.startswith(f"late_order, windows is silenced by {getuser()} until ")
    (standing,) = workspace.alert_silences.standing(wall_ms())
    assert 7 * HOUR_MS < standing.until_wall_ms - wall_ms() <= 8 * HOUR_MS
    assert "a migration" in said()
    said("silence", "late_order", "--for", "1h", "--reason", "all of it")
    assert said("unsilence", "late_order", "--kind", "windows") == "1 ended; what still goes on is told now"
    assert said("unsilence", "late_order") == "1 ended; what still goes on is told now"
    with pytest.raises(NotFoundError, match="no standing silence of 'late_order'"):
        RUNNER.invoke(app, ["alerts", "unsilence", "late_order"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["nobody", "--for", "8h"], NotFoundError, "'nobody'; there is: "),
        (["late_order", "--for", "8 hours"], InputError, "for: '8 hours' is not a duration"),
        (
            ["late_order", "--for", "8h", "--kind", "drift"],
            NotFoundError,
            "no kind of alert 'drift'; there is: check, deadletters, outcomes",
        ),
    ],
)
def test_a_silence_of_nothing_is_refused(workspace: Workspace, arguments: list[str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        RUNNER.invoke(app, ["alerts", "silence", *arguments, "--reason", "r"], catch_exceptions=False)
    assert workspace.alert_silences.standing(wall_ms()) == ()


def test_each_channel_is_tried_and_says_how_it_went(workspace: Workspace) -> None:
    assert said("test").startswith("no channel is set, so alerts go into the log; set one, e.g. TIDEMILL_ALERTS__URLS=")
    with receiving() as receiver:
        good = f"json{receiver.url.removeprefix('http')}/s3cr3t"
        with patch.dict(os.environ, {"TIDEMILL_ALERTS__URLS": json.dumps([{"url": good, "severity": "critical"}])}):
            assert "critical yes" in said("test")
            urls = json.dumps([good, f"json://127.0.0.1:{free_port()}/s3cr3t"])
            with patch.dict(os.environ, {"TIDEMILL_ALERTS__URLS": urls}):
                text = said("test", exit_code=1)
                assert "info yes" in text
                assert "info no answer, or refused" in text
                assert [one["error"] for one in json.loads(said("test", "--json", exit_code=1))] == ["", "no answer, or refused"]
    assert {one.body["title"] for one in receiver.received} == {"A test of tidemill"}
    assert "s3cr3t" not in text
    assert [one.delivery for one in workspace.alerts.recent()] == ["waiting", "waiting"], "a test is no alert"
