"""What a command does before it does anything: settings adopted in time, and errors as one line that says what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from tests import tiny
from tests.services import free_port
from tidemill.cli.doctor import examine
from tidemill.cli.main import main
from tidemill.settings import read_settings


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """An empty home of the tiny project, with ports that nobody listens on; the environment is put back afterwards."""
    ports = {f"TIDEMILL_{name}__PORT": str(free_port()) for name in ("SERVER", "MLFLOW", "PREFECT")}
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_PROJECT": str(tiny.FILE), **ports}):
        yield tmp_path


def test_settings_are_adopted_before_prefect_and_mlflow_are_imported() -> None:
    """Both read addresses and switches once, at import: later they talk to a server of their own, or to none."""
    code = (
        "import sys\n"
        "from tidemill.cli import demo_command, run\n"
        "from tidemill.cli.main import app\n"
        "def adopt(project):\n"
        "    adopted.append(name)\n"
        "    sys.exit(','.join(sorted({'prefect', 'mlflow'} & set(sys.modules))) or 0)\n"
        "run.settings_for = demo_command.settings_for = adopt\n"
        "adopted = []\n"
        "for name in ('demo', 'serve', 'work'):\n"
        "    try:\n"
        "        app([name])\n"
        "    except SystemExit as end:\n"
        "        assert end.code == 0 and adopted[-1] == name, f'{name} imports before: {end.code}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["predict", "late_order", "{}"], "start it with `tidemill up`"),
        (["audit", "nobody"], "no model 'nobody'; there is: late_order"),
        (["features", "by_shop", "a,b"], "'a,b' has 2 parts; view 'by_shop' needs shop"),
        (["deadletters", "orders", "--replay"], "has no dead letters"),
        (["status", "--live", "--json"], "ask `tidemill status --json` as often as you need it"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_an_error_is_one_line_on_stderr(
    command: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tidemill", *command])
    with pytest.raises(SystemExit) as end:
        main()
    printed = capsys.readouterr()
    assert (end.value.code, printed.out) == (1, "")
    assert said in " ".join(printed.err.split())
    assert "Traceback" not in printed.err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_whose_files_of_tls_are_not_there_does_not_start(
    workers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torn = tmp_path / "torn.pem"
    torn.write_text("-----BEGIN CERTIFICATE-----\n")
    for file in (torn, tmp_path / "gone.pem"):
        monkeypatch.setenv("TIDEMILL_SERVER__TLS_CERT_FILE", str(file))
        monkeypatch.setenv("TIDEMILL_SERVER__TLS_KEY_FILE", str(file))
        monkeypatch.setattr(sys, "argv", ["tidemill", "serve", "--workers", workers])
        with pytest.raises(SystemExit) as end:
            main()
        printed = " ".join(capsys.readouterr().err.split())
        assert end.value.code == 1
        assert f"TLS cannot be had from {file}" in printed and "name PEM files in TIDEMILL_SERVER__TLS_CERT_FILE" in printed


def test_the_doctor_tells_a_free_port_from_one_that_is_taken(home: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with patch.dict(os.environ, {"TIDEMILL_SERVER__PORT": str(port), "TIDEMILL_PROJECT": str(home / "nowhere.py")}):
            findings = {finding.what.split()[0]: finding for finding in examine(read_settings())}
    assert [findings[name].state for name in ("server", "mlflow", "prefect", "project")] == ["bad", "note", "note", "bad"]
    assert "TIDEMILL_SERVER__PORT" in findings["server"].said
    assert "/healthz does not answer: by a server that hangs" in findings["server"].said, "it may be ours that holds the port"
    assert "`tidemill up` starts it" in findings["mlflow"].said
    assert "--project PATH" in findings["project"].said


@pytest.mark.usefixtures("home")
def test_the_doctor_tells_whether_models_with_code_can_run_and_as_whom() -> None:
    def found(**given: str) -> list[tuple[str, str]]:
        environ = {f"TIDEMILL_PYFUNC__{name.upper()}": value for name, value in given.items()}
        with patch.dict(os.environ, environ):
            return [(finding.state, finding.said) for finding in examine(read_settings()) if finding.what == "models with code"]

    assert found() == [], "nobody asked for them"
    ((state, said),) = found(enabled="true", environment="/bin/sh", user="nobody")
    assert state == "bad" and "TIDEMILL_PYFUNC__ENVIRONMENT" in said, "it is no Python"
    if os.getuid() == 0:
        ((state, said),) = found(enabled="true", user="no-such-user")
        assert state == "bad" and "TIDEMILL_PYFUNC__USER" in said
        if Path("/usr/bin/python3").exists():
            ((state, said),) = found(enabled="true", environment="/usr/bin/python3")
            assert state == "bad" and "set TIDEMILL_PYFUNC__FOLDER to one that it may" in said, "a home is its owner's alone"
    ((state, said),) = found(enabled="true")
    assert (
        (state == "ok" and "as user nobody" in said) or (state == "note" and "as this user" in said) or (state == "bad" and "set " in said)
    )
