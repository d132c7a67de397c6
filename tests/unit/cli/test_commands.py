"""The commands that read, and the ones that act without a server, on a small workspace."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from tests import tiny
from tests.unit.ui.ferry import CANDIDATES
from tidemill.cli.main import app
from tidemill.clock import HOUR_MS, to_utc
from tidemill.errors import ConflictError, InputError, NotFoundError, ProjectError
from tidemill.events import why_unreadable
from tidemill.project import Workspace
from tidemill.stores import Decision, lines_of
from tidemill.stores.decision_records import Ending
from tidemill.streams import Books, Entry

RUNNER = CliRunner()
COMMANDS = (
    *("up", "serve", "work", "demo", "status", "doctor", "features", "views", "drift", "audit", "parity", "deadletters"),
    *("replay", "predict", "backfill", "train", "retrain", "promote", "rollback", "freeze", "unfreeze"),
    *("release", "backup", "restore", "forget", "alerts", "init"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Half a day of the tiny project, with one event that is no JSON; the environment is put back afterwards."""
    folder = tmp_path_factory.mktemp("home")
    workspace = Workspace.open(tiny.project, folder)
    workspace.log.append([*tiny.history(0, 1), Entry("orders", "{torn", tiny.START_MS + 24 * HOUR_MS)], 0)
    workspace.engine().drain(1_000)
    workspace.lake_writer().flush()
    workspace.close()
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(folder), "TIDEMILL_PROJECT": str(tiny.FILE)}):
        yield folder


def said(*arguments: str) -> str:
    """What a command prints; an error of ours is raised as it is."""
    result = RUNNER.invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches(command: str) -> None:
    text = said(command, "--help")
    assert "Usage:" in text
    assert len(text.splitlines()) > 5


def test_a_shell_is_given_what_completes_its_words() -> None:
    with patch("shellingham.detect_shell", return_value=("bash", "/bin/bash")):
        script = RUNNER.invoke(app, ["--show-completion"], prog_name="tidemill")
    assert script.exit_code == 0, script.output
    assert "_TIDEMILL_COMPLETE=complete_bash" in script.stdout
    assert re.search(r"^complete .*_tidemill_completion tidemill$", script.stdout, re.MULTILINE)
    asked = {"_TIDEMILL_COMPLETE": "complete_bash", "COMP_WORDS": "tidemill unfr", "COMP_CWORD": "1"}  # as the script does
    assert RUNNER.invoke(app, [], prog_name="tidemill", env=asked).stdout.split() == ["unfreeze"]


def test_status_shows_the_books(home: Path) -> None:
    status = json.loads(said("status", "--json"))
    books = status["books"]["orders"]
    assert (books["applied"], books["rejected"], books["pending"]) == (24 * tiny.AN_HOUR, 1, 0)
    assert "orders" in said("status")


def test_dead_letters_are_shown_with_the_reason(home: Path) -> None:
    (letter,) = json.loads(said("deadletters", "orders", "--json"))
    assert (letter["reason"], letter["payload"]) == ("not_json", "{torn")
    assert "not_json" in said("deadletters", "orders")
    assert "no dead letters" in said("deadletters", "deliveries")


def test_features_come_from_the_tiles_or_for_an_earlier_time_from_the_lake(home: Path) -> None:
    now = json.loads(said("features", "by_shop", "a", "--json"))
    then = json.loads(said("features", "by_shop", "a", "--at", str(now["at_ms"] - 6 * HOUR_MS), "--json"))
    assert (now["source"], then["source"]) == ("tiles", "lake")
    assert then["values"]["n_3h"] > 0
    for same in (to_utc(then["at_ms"]).isoformat(), f"{to_utc(then['at_ms']):%Y-%m-%d %H:%M}"):
        assert json.loads(said("features", "by_shop", "a", "--at", same, "--json")) == then
    for odd in ("yesterday", "99999999999999999"):
        with pytest.raises(InputError, match=r"--at: '\w+' is no time .* write e\.g\. 2026-03-01T10:00:00Z"):
            said("features", "by_shop", "a", "--at", odd)
    assert "mean_delay_3h" in said("features", "by_shop", "a")


@pytest.mark.parametrize("key", ["[/x]", "[red]a"])
def test_what_a_key_says_is_printed_as_it_stands(home: Path, key: str) -> None:
    assert said("features", "by_shop", key).startswith(f"by_shop of {key} at 20")


def test_a_time_is_told_with_its_zone(home: Path) -> None:
    for told in (said("status"), said("deadletters", "orders"), said("features", "by_shop", "a")):
        assert len(re.findall(r"\d\d:\d\d(?! UTC)", told)) == 0 < len(re.findall(r"\d\d:\d\d UTC", told))


def test_a_model_without_a_past_says_so(home: Path) -> None:
    assert "no check of late_order yet" in said("drift", "late_order")
    assert "no decision about late_order yet" in said("audit", "late_order")
    assert json.loads(said("parity", "late_order", "--json")) == {"checked": 0, "mismatches": [], "lag_skew": 0.0}


def test_a_decision_is_told_with_its_number_or_its_id(home: Path) -> None:
    workspace = Workspace.open(tiny.project, home)
    for number in range(2):
        name = f"d{number}"
        evidence = {"since_ms": tiny.START_MS, "statistic": 11.5}
        asked = Decision(name, "late_order", "error", name, "errors rose", tiny.START_MS, 1_000 + number, evidence, from_version="1")
        workspace.decisions.request(asked)
        workspace.decisions.claim(name, "run", wall_ms=3_000)
    told = {
        "candidates": CANDIDATES,
        "guard": {"labels": 900},
        "mlflow_run": "http://127.0.0.1:5000/#/runs/r7",
        "refit": {"served": "judged", "why": "the newest rows would be 2.6% more"},
    }
    workspace.decisions.mark("d1", "run", "judged", 5_000, told)
    workspace.decisions.finish("d1", Ending("rejected", "no gain", tiny.START_MS, 6_000, to_version="2", fits=1, decided_by="gate"), "run")
    workspace.close()
    table = said("audit", "late_order")
    assert "gate" in table and "--decision 2" in table
    story = said("audit", "late_order", "--decision", "2")
    for words in (
        "decision 2 (d1) about late_order: retrain, trigger error",
        "outcome: rejected by gate: no gain",
        "evidence: since 2025-01-15 00:00 UTC; statistic 11.5",
        "the guard knew: labels 900",
        "challenger change (the best)",
        "gain within +0.11010 and +0.15570",
        "challenger all: not fitted: max_fits is used up",
        "registered as it was judged: the newest rows would be 2.6% more",
        "MLflow http://127.0.0.1:8000/mlflow/#/runs/r7",
    ):
        assert words in story
    found = json.loads(said("audit", "late_order", "--decision", "d1", "--json"))
    assert (found["number"], [step["name"] for step in found["steps"]]) == (2, ["asked", "claimed", "judged", "ended"])
    assert [one["number"] for one in json.loads(said("audit", "late_order", "--json"))] == [2, 1]
    with pytest.raises(NotFoundError, match="no decision '7'; there is: 1 to 2, or an id"):
        said("audit", "late_order", "--decision", "7")


def test_a_filled_view_says_what_it_said(home: Path) -> None:
    before = json.loads(said("features", "by_shop", "a", "--json"))["values"]
    assert "by_shop is whole" in said("backfill", "by_shop")
    assert json.loads(said("features", "by_shop", "a", "--json"))["values"] == before


def test_a_file_is_replayed_as_fast_as_can_be_or_paced(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_text("\n".join(tiny.order(f"new{place}", tiny.START_MS + place, "a") for place in range(3)))
    assert "3 events appended to orders" in said("replay", "orders", str(file))
    assert "3 events appended to orders" in said("replay", "orders", str(file), "--speed", "1000")
    with pytest.raises(InputError, match=r"missing\.jsonl"):
        said("replay", "orders", str(tmp_path / "missing.jsonl"))
    with pytest.raises(InputError, match=r"missing\.jsonl"):
        said("replay", "orders", str(tmp_path / "missing.jsonl"), "--speed", "1000")
    newest = json.loads(said("acts", "--json"))[0]
    assert (newest["act"], newest["about"], newest["detail"]) == ("replay", "orders", "3 events of orders.jsonl")


def test_a_line_that_is_no_text_is_replayed_as_what_tells_which(home: Path, tmp_path: Path) -> None:
    file, good = tmp_path / "torn.jsonl", tiny.order("torn0", tiny.START_MS, "a")
    file.write_bytes(b"\xef\xbb\xbf" + good.encode() + b'\n\n{"shop": "\xfcber"}\n')
    first, torn = lines_of(file)
    assert (first, why_unreadable(torn)) == (good, "torn.jsonl, line 3: not UTF-8, which byte 0xfc is no part of")
    for speed in ("0", "1000"):
        assert "2 events appended to orders" in said("replay", "orders", str(file), "--speed", speed)


def test_a_replay_of_a_csv_file_appends_nothing_and_names_what_reads_it(home: Path, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("order_id,shop\nx,a\n")
    before = books_of_orders(home)
    with pytest.raises(InputError, match=r"orders\.csv: is no file of JSON lines; .*`Files`"):
        said("replay", "orders", str(tmp_path / "orders.csv"))
    assert books_of_orders(home) == before


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path / "taken"))
    with pytest.raises(InputError, match=r"taken: the folder of all state cannot be made.*TIDEMILL_HOME"):
        said("status")


def test_a_paced_replay_does_not_wait_for_a_line_without_a_time(home: Path, tmp_path: Path) -> None:
    """Its first line has none, and is as old as 1970 to nobody."""
    file = tmp_path / "orders.jsonl"
    lines = ["no event", tiny.order("paced0", tiny.START_MS, "a"), "nor this", tiny.order("paced1", tiny.START_MS + 1, "a")]
    file.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())
    before = books_of_orders(home)
    with patch("tidemill.cli.pacing.time.sleep", side_effect=AssertionError("waits")):
        assert "4 events appended to orders" in said("replay", "orders", str(file), "--speed", "1")
    now = books_of_orders(home)
    assert (now.late - before.late, now.rejected - before.rejected) == (2, 2)


def books_of_orders(home: Path) -> Books:
    """Once an engine has applied what waits."""
    with closing(Workspace.open(tiny.project, home)) as workspace:
        workspace.engine().drain(100)
        return workspace.books()["orders"]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (("freeze", "late_order", "--reason", " "), "say in a word why"),
        (("retrain", "late_order", "--reason", ""), "say in a word why"),
        (("release", "late_order", "--percent", "20"), "it is a canary's; say --canary VERSION too"),
        (("release", "late_order", "--replace", "2"), "say by which version, as --shadow VERSION or --canary VERSION"),
    ],
    ids=str,
)
def test_what_was_left_out_is_asked_for(home: Path, asked: tuple[str, ...], why: str) -> None:
    refused = RUNNER.invoke(app, list(asked))
    assert why in (refused.output if refused.exit_code == 2 else str(refused.exception))
    with closing(Workspace.open(tiny.project, home)) as workspace:
        assert workspace.decisions.frozen("late_order") is None


def test_a_freeze_is_kept_until_it_is_lifted(home: Path) -> None:
    said("freeze", "late_order", "--reason", "a holiday")
    workspace = Workspace.open(tiny.project, home)
    freeze = workspace.decisions.frozen("late_order")
    assert freeze is not None
    assert freeze.reason == "a holiday"
    with pytest.raises(ConflictError, match="frozen already"):
        said("freeze", "late_order", "--reason", "another")
    said("unfreeze", "late_order")
    assert workspace.decisions.frozen("late_order") is None
    with pytest.raises(ConflictError, match="not frozen"):
        said("unfreeze", "late_order")
    assert [act.act for act in workspace.acts.recent(10) if "freeze" in act.act] == ["unfreeze", "freeze"], "what changed nothing is no act"


def test_doctor_says_of_a_home_that_others_may_read_how_to_close_it(home: Path) -> None:
    def findings() -> dict[str, str]:
        return {one["what"]: one["said"] for one in json.loads(RUNNER.invoke(app, ["doctor", "--json"]).stdout)}

    home.mkdir(exist_ok=True)
    home.chmod(0o750)
    assert f"{home.resolve()} has mode 750" in findings()["home"]
    home.chmod(0o700)
    assert "home" not in findings()


def test_doctor_names_what_it_looked_at(home: Path) -> None:
    result = RUNNER.invoke(app, ["doctor", "--json"])
    found = {finding["what"]: finding for finding in json.loads(result.stdout)}
    assert found["project"]["said"] == "tiny: 2 streams, 1 views, 1 models"
    assert found["mlflow"]["state"] == "ok"


def test_what_is_not_there_is_named_with_what_is(home: Path) -> None:
    with pytest.raises(NotFoundError, match="no stream 'order'; there is: deliveries, orders"):
        said("deadletters", "order")


def test_a_mistake_in_the_project_file_is_reported_with_its_line(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "project.py"
    file.write_text("from tidemill import Stream\n\nstreams = [Streem()]\n")
    with pytest.raises(ProjectError, match=rf"{file}:3: NameError: .*mend this line"):
        said("status", "--project", str(file))
