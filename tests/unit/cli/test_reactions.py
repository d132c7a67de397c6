"""`tidemill reactions`: what is declared, what became of it, and nothing secret."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from tests.unit.events.taps import T0, entry
from tidemill.cli.main import app
from tidemill.cli.reacting import Reacting
from tidemill.errors import NotReadyError
from tidemill.project import Workspace, load_project, project_root
from tidemill.serving.reactions import ReactionWatch
from tidemill.streams import Entry

RUNNER = CliRunner()
PROJECT = """
from tests.unit.events.taps import BY_LINE, TAPS
from tidemill import Project, col, on
dear = on(TAPS, name="dear", when=(col("fare") > 2) & col("line").isin(["a", "b"]), run="investigate/taps", once_per="line", within="90min")
hook = on(TAPS, name="hook", when=col("by_line__n_all") >= 2, features=[BY_LINE], webhook="http://127.0.0.1:9/s3cr3t")
project = Project("tides", streams=[TAPS], views=[BY_LINE], reactions=[dear, hook])
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """A project of two reactions; commands find it in the environment."""
    file = tmp_path / "tides.py"
    file.write_text(PROJECT)
    opened = Workspace.open(load_project(file), tmp_path / "home")
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(tmp_path / "home"), "TIDEMILL_PROJECT": str(file), "COLUMNS": "250"}):
        yield opened
    opened.close()


def said(*arguments: str) -> str:
    """What the command prints, with spaces made one."""
    result = RUNNER.invoke(app, ["reactions", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def test_it_teaches() -> None:
    assert "on(orders," in said("--help")


def test_a_project_without_any_says_so(tmp_path: Path) -> None:
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_PROJECT": "tests/tiny.py"}):
        assert said() == "the project declares no reaction"
        assert said("--json") == "{}"


def test_one_that_has_not_begun_is_declared_all_the_same(workspace: Workspace) -> None:
    text = said()
    assert "dear taps ((\"fare\" > 2) and (\"line\" among ('a', 'b'))) line within 90min run investigate/taps 0 0 0 0 not begun" in text
    assert "webhook 127.0.0.1:9 " in text
    assert "s3cr3t" not in text + said("--json")
    assert "matches" not in json.loads(said("--json"))["dear"]


def test_what_was_sent_what_waits_and_why(workspace: Workspace) -> None:
    watch = ReactionWatch(workspace)
    workspace.log.append([entry("t1", T0, line="a", fare=3.0), entry("t2", T0, line="a", fare=3.0)], 0)
    workspace.engine().drain(10)
    watch.step()
    started: list[tuple[str, dict[str, object], str]] = []
    reacting = Reacting(workspace, lambda *run: started.append(run), {})
    assert [reacting.step(name, 1).sent for name in reacting.names] == [1, 0]
    assert [run[:2] for run in started] == [("investigate/taps", {})]
    found = json.loads(said("--json"))
    assert {name: found["dear"][name] for name in ("matches", "sent", "waiting", "given_up")} == {
        **{"matches": 1, "sent": 1},
        **{"waiting": 0, "given_up": 0},
    }
    assert (found["hook"]["waiting"], found["hook"]["sent"]) == (2, 0)
    assert found["hook"]["last_error"] == "no answer: NewConnectionError"
    assert "2 0 2 0 no answer: NewConnectionError" in said()


def test_a_narrow_terminal_shows_names_and_errors_whole(workspace: Workspace) -> None:
    with patch.dict(os.environ, {"COLUMNS": "80"}):
        text = said()
    assert "reaction dear stream taps when" in text
    assert "once per line within 90min does run investigate/taps matches 0 sent 0 waiting 0 given up 0 last error not begun; is" in text
    assert "does webhook 127.0.0.1:9 matches 0" in text
    assert "…" not in text


class Answer:
    """What Prefect's client raises with."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


class StatusError(Exception):
    """As httpx's: it holds the answer."""

    def __init__(self, status_code: int) -> None:
        self.response = Answer(status_code)
        super().__init__("the client's words")


@pytest.mark.parametrize(("status_code", "refused"), [(409, True), (422, True), (404, False), (503, False)])
def test_parameters_that_a_flow_cannot_take_are_refused_and_all_else_is_tried_again(
    workspace: Workspace, status_code: int, refused: bool
) -> None:
    watch = ReactionWatch(workspace)
    workspace.log.append([entry("t1", T0, line="a", fare=3.0)], 0)
    workspace.engine().drain(10)
    watch.step()

    def start(*_: object) -> None:
        raise NotReadyError("Prefect did not start it") from StatusError(status_code)

    reacting = Reacting(workspace, start, {})
    given_up = [reacting.step("dear", hour * 3_600_000).given_up for hour in range(8)]
    assert given_up == ([0] * 4 + [1] + [0] * 3 if refused else [0] * 8)


def test_the_project_of_the_docs_reacts_as_they_say(tmp_path: Path) -> None:
    code = re.findall(r"```python\n(.*?)```", (project_root() / "docs" / "reactions.md").read_text(encoding="utf-8"), re.DOTALL)[0]
    (tmp_path / "payments.py").write_text(code, encoding="utf-8")
    workspace = Workspace.open(load_project(tmp_path / "payments.py"), tmp_path / "home")
    watch, engine = ReactionWatch(workspace), workspace.engine()
    for number in range(1, 5):
        payment = {"payment_id": f"p{number}", "paid_at": f"2026-11-25T10:00:0{number}Z", "card": "c7", "amount": 1200}
        workspace.log.append([Entry("payments", json.dumps(payment))], 1_795_600_800_000 + number * 1_000)
        engine.drain(10)
        watch.step()
    (waiting,) = workspace.reactions.due("big_payment", 0)
    workspace.close()
    assert json.loads(waiting.body)["parameters"] == {"card": "c7", "amount": 1200, "lately": 3}
    assert waiting.event_id == "p3"
