"""`forget`: an entity's events and all that was made of them are gone, and everything else is as if it had never been there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from tests import payments
from tests.payments import ODD, OTHERS, PLAIN, T0
from tidemill.cli.main import app
from tidemill.clock import HOUR_MS
from tidemill.errors import ConflictError, InputError, NotFoundError
from tidemill.events import FORGOTTEN, Column
from tidemill.project import Workspace, forget_entity, look_for_entity
from tidemill.stores import OFFSET, Answered, Entity, Lookup, back_up
from tidemill.streams import Entry

CARDS = [PLAIN, ODD]


def quiet(*_: object) -> None:
    """Told what is at work, says nothing."""


def filled(home: Path, card: str, n_events: int = 400) -> Workspace:
    """A home with a past, without an engine."""
    workspace = Workspace.open(payments.project, home)
    payments.fill(workspace, card, n_events)
    workspace.close()
    return Workspace.open(payments.project, home)


def files_with(home: Path, card: str) -> set[str]:
    """The files in which a card stands, packed or not, in any form."""
    texts = [card, json.dumps(card)[1:-1], json.dumps(card, ensure_ascii=False)[1:-1], card.replace(",", "\\,")]
    forms = [form.encode() for text in texts for form in (text, json.dumps(text, ensure_ascii=False)[1:-1])]
    found = set()
    for path in (path for path in home.rglob("*") if path.is_file()):
        text = path.read_bytes()
        if path.suffix == ".parquet":
            rows = pq.read_table(path, partitioning=None).to_pylist()
            text += str(rows).encode() + json.dumps(rows, default=str, ensure_ascii=False).encode()
        if any(form in text for form in forms):
            found.add(str(path.relative_to(home)))
    return found


def said(workspace: Workspace, cards: list[str], at_ms: int) -> Mapping[str, Column]:
    """All features of these cards, and of every merchant."""
    merchants = [f"m{place}" for place in range(4)]
    both = [f"{card},{merchant}" for card in cards for merchant in merchants]
    lookups = [
        Lookup("by_card", cards),
        Lookup("by_card_and_merchant", both),
        Lookup("by_merchant", merchants),
        Lookup("holder_info", cards),
    ]
    return workspace.state.tiles.read(lookups, at_ms).values


def same(got: Mapping[str, Column], want: Mapping[str, Column], prefix: str = "") -> None:
    """Whether all values of the views of a name are the same."""
    for name in (name for name in want if name.startswith(prefix)):
        if want[name].dtype == object:
            assert got[name].tolist() == want[name].tolist(), name
        else:
            np.testing.assert_allclose(got[name], want[name], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("card", CARDS)
def test_nothing_is_left_of_it_and_all_else_is_as_if_it_had_never_been(tmp_path: Path, card: str) -> None:
    workspace, entity = filled(tmp_path / "home", card), Entity("card", card)
    before = files_with(workspace.home, card)
    assert {"log.db", "state.db", "serving.db", "loop.db", "cache/old.arrow"} < before
    matches = workspace.reactions.standing()["dear"].waiting
    assert any(name.startswith("lake/payments/_delta_log") for name in before)
    books, at_ms, was = workspace.books(), workspace.now_ms(), said(workspace, OTHERS, workspace.now_ms())
    end, position = workspace.log.end(), workspace.state.position()
    looked = look_for_entity(workspace, entity)
    assert files_with(workspace.home, card) == before, "it only looked"
    found = forget_entity(workspace, entity, quiet)
    assert (found.log, found.dead_letters, found.keys) == (looked.log, looked.dead_letters, looked.keys)
    assert (found.outcomes, found.predictions) == (looked.outcomes, looked.predictions)
    mine = [entry for entry in payments.history(card) if entry not in payments.without(card, payments.history(card))]
    assert sum(found.log.values()) == len(mine) + 1, "and the one that waits"
    assert found.predictions["fraud"] >= 2
    assert (found.reactions, looked.reactions) == ({"dear": 1}, {"dear": 1})
    assert workspace.reactions.standing()["dear"].waiting == matches - 1 > 1
    assert found.keys == {"by_card": 1, "by_card_and_merchant": 4, "holder_info": 1}
    assert found.dead_letters["payments"] >= 3
    remains = {"artifacts": 2, "logs": 1}
    assert {remain.where: remain.files for remain in looked.remains} == remains | {"loop.db": 1}, "until it is deleted"
    assert {remain.where: remain.files for remain in found.remains} == remains
    assert files_with(workspace.home, card) == {"artifacts/1/profile.json", "artifacts/1/sample.parquet", "logs/services.log"}
    assert {path.name for path in workspace.home.iterdir()} >= {"log.db", "lake"}
    assert not (workspace.home / "forgetting").exists()
    assert (workspace.books(), workspace.log.end(), workspace.state.position()) == (books, end, position), "the books stay"
    same(said(workspace, OTHERS, at_ms), was, "by_card")
    same(said(workspace, OTHERS, at_ms), was, "holder_info")
    unknown = said(workspace, [card.replace(",", "\\,")], at_ms)
    assert unknown["by_card__n_6h"].tolist() == [0]
    assert unknown["by_card_and_merchant__n_6h"].tolist() == [0] * 4
    twin = Workspace.open(payments.project, tmp_path / "twin")
    twin.log.append(payments.without(card, payments.history(card)), 0)
    twin.engine().drain(100)
    twin.lake_writer().flush()
    same(said(workspace, OTHERS, at_ms), said(twin, OTHERS, at_ms))
    for stream in workspace.project.stream_names:
        held = [one.lake.dataset(stream).to_table().sort_by(OFFSET).drop_columns([OFFSET]).to_pylist() for one in (workspace, twin)]
        assert held[0] == held[1], stream
    files = [path for path in (workspace.home / "lake").rglob("*.parquet") if path.parent.name != "_delta_log"]
    assert not {str(kind) for path in files for kind in pq.read_schema(path).types} & {"string_view", "large_string"}
    assert all(score.key != "p0" for score in workspace.predictions.scores("fraud", ["p0", "p9"]))
    assert set(workspace.predictions.served("fraud").keys) <= {f"p{place}" for place in range(1, 9)}
    answer = Answered("fraud", at_ms, 1, "{}", "d", ["new"], ["{}"], np.zeros((1, 3)), {"champion": (1, np.array([0.5]))})
    assert workspace.predictions.write(answer) == [len(OTHERS) + 3], "no id is given twice"
    assert workspace.predictions.count("fraud") == len(OTHERS) + 3 - found.predictions["fraud"]
    twin.close()
    workspace.close()


def test_it_goes_on_and_a_replay_of_the_log_comes_to_the_same(tmp_path: Path) -> None:
    workspace = filled(tmp_path / "home", PLAIN)
    forget_entity(workspace, Entity("card", PLAIN), quiet)
    workspace.close()
    workspace = Workspace.open(payments.project, tmp_path / "home")
    assert workspace.engine().drain(10) == 2, "what waited"
    at_ms = workspace.now_ms() + HOUR_MS
    workspace.log.append([Entry("payments", payments.payment("again", at_ms, PLAIN), at_ms)], 0)
    workspace.engine().drain(10)
    workspace.lake_writer().flush()
    assert said(workspace, [PLAIN], at_ms)["by_card__n_6h"].tolist() == [1]
    letters = {letter["log_offset"]: letter for letter in workspace.state.dead_letters("payments", 1_000)}
    assert {(letter["reason"], letter["payload"]) for letter in letters.values() if letter["reason"] == "forgotten"} == {
        ("forgotten", FORGOTTEN)
    }
    workspace.close()
    (tmp_path / "anew").mkdir()
    shutil.copy(tmp_path / "home" / "log.db", tmp_path / "anew")
    workspace = Workspace.open(payments.project, tmp_path / "home")
    anew = Workspace.open(payments.project, tmp_path / "anew")
    anew.engine().drain(50)
    anew.lake_writer().flush()
    for one in (workspace, anew):
        assert all(books.balanced and not books.pending for books in one.books().values())
    same(said(anew, [PLAIN, *OTHERS], at_ms), said(workspace, [PLAIN, *OTHERS], at_ms))
    held = [one.lake.dataset("payments").to_table().sort_by(OFFSET).to_pylist() for one in (workspace, anew)]
    assert held[0] == held[1]
    back_up(workspace.home, tmp_path / "backup", quiet)  # of tables whose history was dropped
    want = said(workspace, OTHERS, at_ms)
    workspace.close()
    shutil.rmtree(tmp_path / "home" / "state.tables")
    workspace = Workspace.open(payments.project, tmp_path / "home")
    workspace.engine()
    same(said(workspace, OTHERS, at_ms), want)
    workspace.close()
    anew.close()


def test_an_engine_at_work_stands_in_its_way_and_it_in_an_engines(tmp_path: Path) -> None:
    workspace = filled(tmp_path / "home", PLAIN)
    other = Workspace.open(payments.project, tmp_path / "home")
    other.engine()
    with pytest.raises(ConflictError, match=r"an engine or a backfill is at work; end it"):
        forget_entity(workspace, Entity("card", PLAIN), quiet)
    other.close()
    steps: list[str] = []

    def meanwhile(step: str) -> None:
        steps.append(step)
        with (
            closing(Workspace.open(payments.project, tmp_path / "home")) as late,
            pytest.raises(ConflictError, match="`tidemill forget` is at work"),
        ):
            late.engine()

    forget_entity(workspace, Entity("card", PLAIN), meanwhile)
    assert len(steps) > 8
    workspace.close()


STOPS = ["the lake's frauds", "building tiles anew", "predictions", "the log", "dead letters", "writing the database serving anew"]


def test_stopped_before_a_step_it_completes_when_it_is_run_again(tmp_path: Path) -> None:
    filled(tmp_path / "past", PLAIN, 60).close()
    for place, stop in enumerate(STOPS):
        home = tmp_path / f"home{place}"
        shutil.copytree(tmp_path / "past", home)
        workspace = Workspace.open(payments.project, home)

        def stopping(step: str, stop: str = stop) -> None:
            if step == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            forget_entity(workspace, Entity("card", PLAIN), stopping)
        assert len(files_with(home, PLAIN)) > 3, "something was left to do"
        forget_entity(workspace, Entity("card", PLAIN), quiet)
        assert files_with(home, PLAIN) == {"artifacts/1/profile.json", "artifacts/1/sample.parquet", "logs/services.log"}, stop
        assert not (home / "forgetting").exists()
        assert not workspace.state.is_lost()
        workspace.close()


def test_what_is_not_there_changes_nothing(tmp_path: Path) -> None:
    workspace = filled(tmp_path / "home", PLAIN)

    def digests() -> dict[str, str]:
        names = ("log.db", "state.db", "serving.db")
        return {name: hashlib.sha256((workspace.home / name).read_bytes()).hexdigest() for name in names}

    workspace.lake_writer().flush()
    was = digests()
    found = forget_entity(workspace, Entity("card", "card-47"), quiet)
    assert not any((found.log, found.lake, found.predictions, found.outcomes))
    assert digests() == was
    with pytest.raises(NotFoundError, match="no field of a stream 'kard'; there is: card, "):
        forget_entity(workspace, Entity("kard", PLAIN), quiet)
    with pytest.raises(InputError, match="it is a float, which names no entity"):
        look_for_entity(workspace, Entity("amount", "5"))
    assert look_for_entity(workspace, Entity("at", str(T0))).log["holders"] == 9, "a whole number"
    assert not look_for_entity(workspace, Entity("card", "abc")).searched
    workspace.close()


def test_the_command_looks_first_and_deletes_when_told(tmp_path: Path) -> None:
    filled(tmp_path / "home", PLAIN).close()

    def output(*arguments: str) -> str:
        result = CliRunner().invoke(app, ["forget", "card", PLAIN, *arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    with patch.dict(os.environ, {"TIDEMILL_HOME": str(tmp_path / "home"), "TIDEMILL_PROJECT": str(payments.FILE), "COLUMNS": "200"}):
        assert "found, and nothing deleted yet" in output()
        text = output("--yes")
        assert f"card {PLAIN}: deleted" in text
        assert "remains: artifacts (2 files): a training sample" in text
        again = json.loads(output("--json"))
        assert (again["log"], again["done"]) == ({}, False)
        (act,) = json.loads(CliRunner().invoke(app, ["acts", "--json"]).stdout)
        assert (act["act"], act["about"]) == ("forget", "card"), "and not whose"
        assert PLAIN not in json.dumps(act)
