"""`tidemill init`: what is guessed of a CSV file, what is asked for, and that the project which comes of it loads."""

from __future__ import annotations

import csv
import json
import os
import random
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from tidemill.cli.main import app
from tidemill.cli.starting import Asked, Start, find_roles, read_sample, write_orders
from tidemill.cli.starting.writing import render
from tidemill.clock import DAY_MS, to_utc
from tidemill.errors import ConflictError, InputError, TidemillError
from tidemill.project import Project, load_project
from tidemill.settings import read_settings

BEGIN_MS = 1_767_225_600_000  # 2026-01-01
HEADERS = ("Payment ID", "paid at", "card", "merchant kind", "amount", "class", "settled")


def payments(n_rows: int = 400) -> list[tuple[object, ...]]:
    """Rows of a file with names that no field may have, an empty cell now and then, and an outcome of two words."""
    rng, rows = random.Random(1), list[tuple[object, ...]]()
    for number in range(n_rows):
        at_ms = BEGIN_MS + number * DAY_MS // 20
        fate, kind = ("bad" if rng.random() < 0.1 else "good"), rng.choice(["food", "fuel", "toys", ""])
        settled = to_utc(at_ms + DAY_MS).isoformat()
        rows.append((number, to_utc(at_ms).isoformat(sep=" ")[:19], f"0{rng.randrange(60)}", kind, rng.choice([1.5, 2, ""]), fate, settled))
    return rows


def write(file: Path, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with file.open("w", newline="") as text:
        csv.writer(text).writerows([headers, *rows])
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "card payments.csv", HEADERS, payments())


def guessed(file: Path, asked: Asked | None = None) -> Mapping[str, object]:
    roles = find_roles(read_sample(file), asked or Asked(), wants_label=True)
    several = {name: [column.name for column in getattr(roles, name)] for name in ("keys", "numbers", "categories", "others")}
    one = {name: column and column.name for name in ("time", "event_id", "label", "label_time") for column in [getattr(roles, name)]}
    return {**several, **one, "task": roles.task, "positive": roles.positive}


def test_roles_are_guessed_of_names_and_values(file: Path) -> None:
    assert guessed(file) == {
        "keys": ["card"],
        "numbers": ["amount"],
        "categories": ["merchant_kind"],
        "others": ["settled"],
        "time": "paid_at",
        "event_id": "payment_id",
        "label": "class_",
        "label_time": None,
        "task": "binary",
        "positive": "bad",
    }


def test_what_an_option_says_is_not_guessed(file: Path) -> None:
    said = guessed(file, Asked(keys=("merchant kind", "card"), label="amount", label_time="settled", ignored=("class",)))
    assert (said["keys"], said["label"], said["task"]) == (["merchant_kind", "card"], "amount", "regression")
    assert (said["label_time"], said["categories"], said["others"]) == ("settled", [], [])


def test_a_number_of_seconds_is_a_time_where_the_name_says_so(tmp_path: Path) -> None:
    rows = [(BEGIN_MS // 1_000 + place, f"m{place % 3}", place % 7 / 2, ["a", "b", "c"][place % 3]) for place in range(30)]
    said = guessed(write(tmp_path / "readings.csv", ("ts", "machine", "heat", "fate"), rows))
    assert (said["time"], said["event_id"], said["keys"], said["label"], said["task"]) == ("ts", None, ["machine"], "fate", "multiclass")


@pytest.mark.parametrize(
    ("headers", "row", "said"),
    [
        ("day,card,bad", "03/31/2026,c1,1", r"no column tells when.*day \(03/31/2026\).*--time"),
        ("at,amount,bad", "2026-03-01,3.5,1", "no column says what an event is about.*--key"),
        ("at,card,n", "2026-03-01,c1,5", "no column looks like an outcome.*--label, of .*--template features"),
        ("at;card;bad", "2026-03-01;c1;1", "separated by ';'.*commas"),
        ("at", "2026-03-01", "must name the columns"),
        ("at,card,card", "2026-03-01,c1,1", "two columns are called 'card'.*rename one"),
        ("at,card,Card", "2026-03-01,c1,1", "card and Card would all be the field card; rename all but one"),
        ("at,card", "2026-03-01,c1,1", "every row has more values than its first line has names"),
    ],
)
def test_what_cannot_be_guessed_is_asked_for_by_name(headers: str, row: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    other = row.replace("c1", "c2").replace(",1", ",0")
    file.write_text("\n".join([headers, *[row] * 3, *[other] * 3]))
    with pytest.raises(InputError, match=said):
        guessed(file)


def test_what_keeps_a_column_from_being_the_time_is_shown(tmp_path: Path) -> None:
    times = ["2026-03-01"] * 9
    for wrong, shown in (("soon", r"at \(soon\)"), ("", r"at \(a row has none\)")):
        rows = [(at, f"c{place % 2}", place % 2) for place, at in enumerate([*times, wrong])]
        with pytest.raises(InputError, match=f"no column tells when.*{shown}"):
            guessed(write(tmp_path / "events.csv", ("at", "card", "bad"), rows))


def test_an_id_that_repeats_is_taken_with_a_note(file: Path) -> None:
    roles = find_roles(read_sample(file), Asked(event_id="merchant kind"), wants_label=True)
    assert any("merchant kind repeats, or has no value, in" in note and "count once" in note for note in roles.notes)


def test_several_outcomes_are_named(tmp_path: Path) -> None:
    rows = [("2026-03-01", f"c{place % 5}", place % 2, (place // 2) % 2) for place in range(20)]
    with pytest.raises(InputError, match=r"several may be the outcome: refunded, late; .*--label"):
        guessed(write(tmp_path / "orders.csv", ("at", "customer", "refunded", "late"), rows))
    with pytest.raises(InputError, match="no column 'lat'; there is: at, customer, refunded, late"):
        guessed(tmp_path / "orders.csv", Asked(label="lat"))


def test_of_a_long_file_the_begin_and_the_end_are_looked_at(tmp_path: Path) -> None:
    rows = [(to_utc(BEGIN_MS + place * 60_000).isoformat(), f"c{place % 9}", place % 2) for place in range(30_000)]
    sample = read_sample(write(tmp_path / "long.csv", ("at", "card", "bad"), rows))
    assert not sample.is_whole and 20_000 < sample.n_rows < 30_000
    assert find_roles(sample, Asked(), wants_label=True).last_ms == BEGIN_MS + 29_999 * 60_000


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_no_row_is_looked_at_twice(mark: str, tmp_path: Path) -> None:
    """Where begin and end overlap, an id would not be one."""
    rows = [f"{to_utc(BEGIN_MS + place * 60_000).isoformat()},ö{place},c{place % 9},{place % 2}" for place in range(20_100)]
    (tmp_path / "long.csv").write_text("\n".join([f"{mark}at,order_id,card,bad", *rows, ""]), encoding="utf-8")
    sample = read_sample(tmp_path / "long.csv")
    assert 20_000 < sample.n_rows <= 20_100
    event_id = find_roles(sample, Asked(), wants_label=True).event_id
    assert event_id is not None and event_id.name == "order_id"


def made(folder: Path, file: Path, asked: Asked | None = None, *, label: bool = True) -> Project:
    """The project that comes of a file."""
    sample = read_sample(file)
    start = Start(folder, sample, find_roles(sample, asked or Asked(), wants_label=label), "12h", is_own=True)
    folder.mkdir()
    (folder / "data").mkdir()
    (folder / "data" / file.name).write_bytes(file.read_bytes())
    for name, text in render(start).items():
        (folder / name).write_text(text)
    return load_project(folder / "project.py")


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (Asked(), "condition"),
        (Asked(label="merchant kind", label_time="settled", ignored=("class",)), "text"),
        (Asked(label="amount", ignored=("merchant kind",)), "number"),
    ],
    ids=["yes or no", "one of several", "a number"],
)
def test_the_project_loads_and_what_it_tells_is_what_its_schemas_ask_for(asked: Asked, kind: str, file: Path, tmp_path: Path) -> None:
    project = made(tmp_path / "pay", file, asked)
    (model,) = project.models
    assert model.label.kind == kind
    assert project.recording is not None
    recording = project.recording(days=7)
    n_asked = 0
    for question in recording.requests():
        model.request.model_validate_json(json.dumps(question.request), strict=True)
        n_asked += 1
    assert n_asked == 140
    counts = recording.expected()
    assert counts["card_payments"].applied == counts["card_payments"].received == 140
    assert 60 < counts["card_payments_outcomes"].applied == counts["card_payments_outcomes"].received < 140


def test_features_alone_need_no_outcome(file: Path, tmp_path: Path) -> None:
    project = made(tmp_path / "pay", file, Asked(ignored=("class",)), label=False)
    assert (project.models, [view.name for view in project.views]) == ((), ["by_card"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command makes by itself."""
    folder = tmp_path_factory.mktemp("init") / "my shop"
    said = CliRunner().invoke(app, ["init", str(folder)], catch_exceptions=False)
    assert said.exit_code == 0, said.output
    assert "tidemill demo --days 40 --first-fit 20" in said.output
    assert "the outcome" in said.output
    return folder


def test_the_command_writes_what_runs_at_once(shop: Path) -> None:
    names = {str(path.relative_to(shop)) for path in shop.rglob("*") if path.is_file()}
    assert {"project.py", "README.md", "test_project.py", ".gitignore", "data/orders.csv"} <= names
    assert load_project(shop / "project.py").name == "my_shop"
    assert "tidemill demo --days 40 --first-fit 20" in (shop / "README.md").read_text()
    assert len((shop / "README.md").read_text().splitlines()) <= 60
    assert "data/" not in (shop / ".gitignore").read_text()


def test_what_it_writes_is_clean_and_its_test_holds(shop: Path, tmp_path: Path) -> None:
    ruff = [str(Path(sys.executable).parent / "ruff"), "check", "--isolated", "--line-length=180", "--select=E,F,I", str(shop)]
    linted = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout
    tests = runpy.run_path(str(shop / "test_project.py"))
    tests["test_events_and_questions_are_what_the_schemas_ask_for"]()
    tests["test_three_events_of_one_key_count_three"](tmp_path)


def test_a_history_that_is_too_short_for_the_first_fit_is_said_before_anything_starts(shop: Path, tmp_path: Path) -> None:
    with (
        patch.dict(os.environ, {"TIDEMILL_HOME": str(tmp_path / "home")}),
        pytest.raises(ConflictError, match="the recording has 41 days, so a first fit after 59 leaves nothing; lower --first-fit"),
    ):
        CliRunner().invoke(app, ["demo", "--project", str(shop / "project.py")], catch_exceptions=False)
    assert not (tmp_path / "home" / "logs").exists()


def test_nothing_is_overwritten(shop: Path) -> None:
    with pytest.raises(ConflictError, match=r"project\.py is there already"):
        CliRunner().invoke(app, ["init", str(shop)], catch_exceptions=False)
    with pytest.raises(TidemillError, match="--outcome-after: 'soon' is not a duration"):
        CliRunner().invoke(app, ["init", str(shop / "new"), "--outcome-after", "soon"], catch_exceptions=False)
    assert not (shop / "new").exists()


def test_a_folder_that_cannot_be_made_and_a_file_that_is_not_there_are_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(InputError, match=r"taken/data: cannot be written: Not a directory; name another folder"):
        CliRunner().invoke(app, ["init", str(tmp_path / "taken")], catch_exceptions=False)
    with pytest.raises(InputError, match=r"^\S+nowhere\.csv: cannot be read: No such file or directory$"):
        CliRunner().invoke(app, ["init", str(tmp_path / "new"), "--from", str(tmp_path / "nowhere.csv")], catch_exceptions=False)


def test_what_comes_next_can_be_pasted_and_another_name_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = CliRunner().invoke(app, ["init", "my shop"], catch_exceptions=False).output
    assert "next: cd 'my shop', and tidemill demo" in said
    assert "note: the project is called my_shop, since names are" in said
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir("shop")
    assert "next: tidemill demo" in CliRunner().invoke(app, ["init", "."], catch_exceptions=False).output


def test_in_its_folder_no_option_names_the_project(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_settings({}).project == Path("examples/flights/project.py")
    monkeypatch.chdir(shop)
    assert read_settings({}).project == Path("project.py")
    assert read_settings({"TIDEMILL_PROJECT": "other.py"}).project == Path("other.py")


def test_the_made_up_orders_are_the_same_for_the_same_end_and_change_when_they_say(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.csv", "two.csv")]
    for each in files:
        write_orders(each, BEGIN_MS)
    assert files[0].read_bytes() == files[1].read_bytes()
    with files[0].open(newline="") as text:
        rows = list(csv.DictReader(text))
    for begin, end, of_dear, of_french in ((0, 2_800, True, False), (2_800, 4_000, False, True)):
        part = [(float(row["amount"]) > 60, row["country"] == "fr", row["refunded"] == "true") for row in rows[begin:end]]
        dear, french = (
            [is_refunded for is_dear, _, is_refunded in part if is_dear],
            [is_refunded for _, is_fr, is_refunded in part if is_fr],
        )
        assert (sum(dear) / len(dear) > 0.5, sum(french) / len(french) > 0.5) == (of_dear, of_french)
