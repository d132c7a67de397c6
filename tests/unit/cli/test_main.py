"""What a command says when it fails."""

from __future__ import annotations

import sys

import pytest
from typer.testing import CliRunner

from tidemill.cli import main
from tidemill.cli.main import app
from tidemill.errors import ConflictError


@pytest.mark.parametrize("what", ["pip install 'tidemill[pyfunc]'", "no file at /data[/x]", "[red]orders[/red]"])
def test_an_error_is_told_as_it_is(what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise ConflictError(what)

    module = sys.modules[main.__module__]
    monkeypatch.setattr(module, "app", fails)
    monkeypatch.setattr(module, "log_to_stderr", lambda: None)
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err == f"error {what}\n"


def test_help_breaks_its_lines_where_the_terminal_does() -> None:
    told = {" ".join(one.split()) for one in CliRunner().invoke(app, ["promote", "--help"], env={"COLUMNS": "400"}).stdout.splitlines()}
    assert any(line.startswith("The server does it at once") and line.endswith("takes some seconds.") for line in told)
