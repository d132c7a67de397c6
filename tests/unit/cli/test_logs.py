"""Log lines beside a progress display, and for a program that reads them."""

from __future__ import annotations

import io
import json
import logging
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from rich.live import Live

from tests import tiny
from tests.services import child_environ
from tidemill.cli.logs import CurrentStderr, JsonLines
from tidemill.project import project_root


def test_a_line_logged_while_a_display_is_up_stands_above_it() -> None:
    screen = io.StringIO()
    logger = logging.Logger("a test")
    logger.addHandler(CurrentStderr())
    with Live("wall 12 s", console=Console(file=screen, force_terminal=True, width=80), auto_refresh=False) as live:
        logger.warning("an alert was delivered")
        live.refresh()
    assert "an alert was delivered\n" in screen.getvalue()
    assert "wall 12 san alert" not in screen.getvalue()


def test_an_error_that_is_logged_as_it_is_makes_a_line_too() -> None:
    record = logging.LogRecord("others", logging.ERROR, "", 0, OSError(98, "Address already in use"), None, None)
    told = json.loads(JsonLines().format(record))
    assert (told["level"], told["message"], told["fields"]) == ("error", "[Errno 98] Address already in use", {})


def test_a_warning_that_comes_again_is_written_once_a_minute_with_how_often(capsys: pytest.CaptureFixture[str]) -> None:
    handler = CurrentStderr()

    def log(at_s: float, level: int, message: str, *args: object) -> list[str]:
        record = logging.LogRecord("a test", level, "", 0, message, args, None)
        record.created = at_s
        handler.handle(record)
        return capsys.readouterr().err.splitlines()

    assert log(100, logging.WARNING, "away error=%s", "down") == ["away error=down"]
    assert log(101, logging.WARNING, "away error=%s", "starting") == ["away error=starting"], "news"
    assert [log(at_s, logging.WARNING, "away error=%s", "down") for at_s in (102, 120, 159)] == [[], [], []]
    assert log(160, logging.WARNING, "away error=%s", "down") == ["away error=down again=3"]
    assert log(161, logging.WARNING, "away error=%s", "down") == []
    assert log(99, logging.WARNING, "away error=%s", "down") == ["away error=down again=1"], "the clock was set back"
    assert [log(100, logging.WARNING, "100 % of it") for _ in range(2)] == [["100 % of it"], []]
    assert log(170, logging.WARNING, "100 % of it") == ["100 % of it again=1"]
    assert [log(200, logging.INFO, "promoted") for _ in range(2)] == [["promoted"]] * 2, "news, each of them"


def test_what_a_kafka_client_says_beside_its_errors_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    handler = CurrentStderr()
    for name in ("kafka.net.manager", "tidemill.stores.kafka_log"):
        handler.handle(logging.LogRecord(name, logging.ERROR, "", 0, f"{name}: no broker", None, None))
    assert capsys.readouterr().err.splitlines() == ["tidemill.stores.kafka_log: no broker"]


def test_a_process_that_is_told_to_writes_one_json_object_a_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ours = {
            "TIDEMILL_PROJECT": str(tiny.FILE),
            "TIDEMILL_HOME": str(tmp_path),
            "TIDEMILL_TELEMETRY__LOGS": "json",
            "TIDEMILL_SERVER__HOST": "0.0.0.0",
            "TIDEMILL_SERVER__PORT": str(taken.getsockname()[1]),  # so that it ends by itself, once it has said what it has to
        }
        command = [sys.executable, "-c", "from tidemill.cli.main import main; main()", "serve", "--workers", "2"]
        done = subprocess.run(command, cwd=project_root(), env=child_environ() | ours, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert all(set(line) == {"time", "level", "logger", "message", "fields"} for line in lines)
    keys, clear, port = lines
    assert (keys["level"], keys["logger"], keys["fields"]) == ("warning", "tidemill.cli.run", {})
    assert keys["message"].startswith("no key stands yet, so calls are refused;")
    assert clear["message"].startswith("keys go in the clear host=0.0.0.0;")
    assert clear["fields"] == {"host": "0.0.0.0"}
    assert (port["level"], port["logger"]) == ("error", "uvicorn.error"), "and what others log, be it an error as it is"
    assert [datetime.fromisoformat(line["time"]).tzinfo for line in lines] == [UTC] * 3
