"""What `docs/cookbook.md` and `docs/values.md` show is run: each page is a project, each table of events and values a replay.

```
 | id | happened | known | ... |   events, appended in the order in which they become known
 | asked | card | `view__n` |     questions, each when everything known by then is applied; the values must be those of the table
```
Every answer is logged as a server would log it, and computed again from the lake: parity must find no mismatch and no lag.
"""

from __future__ import annotations

import re
import runpy
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import orjson
import pytest

from tidemill.clock import duration_ms, to_ms
from tidemill.errors import ProjectError
from tidemill.events import Stream
from tidemill.features import Table, View, count, floor_ms
from tidemill.features.windows import default_bucket_ms
from tidemill.learning import Parity, check_parity
from tidemill.project import Project, Workspace, load_project, project_root
from tidemill.serving.features import read_features
from tidemill.stores import Answered, Lookup
from tidemill.streams import Entry

DOCS = project_root() / "docs"
PAGES = ("cookbook.md", "values.md")
MONDAY = datetime(2025, 1, 6, tzinfo=UTC)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# what an event holds where its table does not say
FIELDS: dict[str, Any] = {"card": "a", "merchant": "bakery", "country": "DE", "amount": 10.0, "balance": None}
FIELDS |= {"approved": True, "online": False, "fraud": True}
Row = Mapping[str, str]


@dataclass(frozen=True)
class Section:
    """A part of a page: its title, text, code and tables."""

    title: str
    text: str

    @property
    def code(self) -> str:
        return "\n\n".join(re.findall(r"```python\n(.*?)```", self.text, re.DOTALL))

    def table(self, first: str) -> list[Row]:
        """The rows of the table whose first column has that name; none if there is no such table."""
        rows: list[Row] = []
        for block in re.findall(r"(?:^\|.*\n)+", self.text, re.MULTILINE):
            head, _, *body = ([cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines())
            if head[0] == first:
                rows += [dict(zip(head, cells, strict=True)) for cells in body]
        return rows


@cache
def sections(page: str) -> list[Section]:
    parts = (DOCS / page).read_text(encoding="utf-8").split("\n## ")
    return [Section(part.split("\n", 1)[0], part) for part in parts]


def runs(page: str) -> list[Section]:
    return [section for section in sections(page) if section.table("asked")]


@cache
def project_of(page: str) -> Project:
    """The page's blocks put one below the other, loaded as a project file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "project.py"
        file.write_text("\n\n".join(section.code for section in sections(page)), encoding="utf-8")
        return load_project(file)


def part_of(project: Project, section: Section) -> Project:
    """Of a project what the columns of a section need."""
    (model,) = project.models
    needed = {head.strip("`") for head in section.table("asked")[0]}
    for column in reversed(model.derived):  # each stands after those it reads
        needed |= set(column.parameters) if column.name in needed else set()
    sources = [source for source in model.sources if needed.intersection(source.feature_columns)]
    views, tables = [one for one in sources if isinstance(one, View)], [one for one in sources if isinstance(one, Table)]
    derived = [column for column in model.derived if column.name in needed]
    return replace(project, views=views, tables=tables, models=[replace(model, features=[*sources, *derived])])


def time_ms(text: str) -> int:
    """The ms of `Tue 12:00`, `12:00:01` or `12:00:00.001`, on Monday if no day is named."""
    day, _, clock = text.rpartition(" ")
    parts = [float(part) for part in clock.split(":")]
    seconds = sum(part * size for part, size in zip(parts, (3_600, 60, 1), strict=False))
    return to_ms(MONDAY + timedelta(days=DAYS.index(day or "Mon"), milliseconds=round(seconds * 1_000)))


def cell(text: str, kind: type) -> Any:
    """What a cell says of a field; a cell that does not fit is sent as it is, for the door to refuse."""
    if text in ("null", "yes", "no"):
        return {"null": None, "yes": True, "no": False}[text]
    if kind is int and text.isdecimal():
        return int(text)
    return float(text) if kind is float and re.fullmatch(r"-?[\d.]+", text) else text


def payload(stream: Stream, row: Row) -> str:
    said = {name: cell(row[name], kind) for name, kind in stream.python_types.items() if row.get(name)}
    default = {name: value for name, value in FIELDS.items() if name in stream.kinds}
    happened = datetime.fromtimestamp(time_ms(row["happened"]) / 1_000, UTC).isoformat()
    return orjson.dumps({**default, **said, stream.event_id: row["id"], stream.event_time: happened}).decode()


def entries(workspace: Workspace, events: Sequence[Row]) -> list[Entry]:
    """Events on their way to the log, in the order in which they become known."""
    made = []
    for row in events:
        stream = workspace.project.stream(row.get("stream", "payments"))
        made.append(Entry(stream.name, payload(stream, row), time_ms(row.get("known", row["happened"]))))
    return sorted(made, key=lambda entry: entry.known_at_ms or 0)


def ask(workspace: Workspace, row: Row, number: int) -> dict[str, Any]:
    """The vector that answers a row, logged as a server logs it; views' values as they are, before rounding."""
    (model,), at_ms = workspace.project.models, time_ms(row["asked"])
    now = datetime.fromtimestamp(at_ms / 1_000, UTC)
    types = {name: kind for name, kind in model.requests.stream.python_types.items() if name in model.request_kinds}
    said = {name: cell(row[name], kind) if name in row else FIELDS.get(name, now) for name, kind in types.items()}
    request = model.request.model_validate({**said, model.label.key: f"q{number}"})
    columns = model.request_columns([request.__dict__])
    reading = workspace.state.tiles.read([Lookup(source.name, source.keys(columns)) for source in model.sources], at_ms)
    vector = model.assemble(columns, reading.values)
    numbers, scores = np.column_stack([vector[name] for name in model.number_columns]), np.array([0.5])
    token, text = reading.position.token, request.model_dump_json()
    texts = [orjson.dumps({name: vector[name][0] for name in model.logged_texts})]
    answered = Answered(
        model.name, at_ms, at_ms, token, model.source_digest, [f"q{number}"], [text], numbers, {"champion": (1, scores)}, texts
    )
    workspace.predictions.write(answered)
    return {name: column[0] for name, column in (vector | dict(reading.values)).items()}


def check(row: Row, got: Mapping[str, Any], where: str) -> int:
    """Compare the columns in backticks to the last digit that the page shows; answers how many there were."""
    shown = {head.strip("`"): text for head, text in row.items() if head.startswith("`")}
    for name, text in shown.items():
        value = got[name]
        said = f"{where}, asked {row['asked']}: {name} is {value}, the page says {text}"
        if text == "missing":
            assert value is None or value != value, said
        elif isinstance(value, str):
            assert value == text, said
        else:
            number, _, within = text.partition(" ± ")
            digits = len(number.partition(".")[2])
            slack = float(number) * float(within.removesuffix(" %")) / 100 if within else 0.5 * 10**-digits if digits else 1e-9
            assert value is not None and abs(value - float(number)) <= slack, said
    return len(shown)


def replay(workspace: Workspace, section: Section) -> None:
    """Run a section: each question when what is known by then is applied, or no more than its row says."""
    events, questions = section.table("id"), section.table("asked")
    waiting, engine = entries(workspace, events), workspace.engine()
    places = {row["id"]: place for place, row in enumerate(events, 1)}
    n_compared = 0
    for number, row in enumerate(questions):
        known = [entry for entry in waiting if (entry.known_at_ms or 0) <= time_ms(row["asked"])]
        waiting = waiting[len(known) :]
        workspace.log.append(known, 0)
        up_to = places.get(row.get("applied by then", ""), len(events))
        while workspace.state.position().offset("payments") < up_to and engine.step(1):
            pass
        if "answered from" not in row:
            n_compared += check(row, ask(workspace, row, number), section.title)
    workspace.log.append(waiting, 0)
    engine.drain(100)
    check_verdicts(workspace, events)
    workspace.lake_writer().flush()
    for row in questions:
        if "answered from" in row:
            view = workspace.project.views[0]
            answer = read_features(workspace, view, "a", time_ms(row["asked"]))
            assert answer.source == row["answered from"]
            n_compared += check(row, {view.column(name): value for name, value in answer.values.items()}, section.title)
    assert n_compared, f"{section.title}: the page shows no value"


def check_verdicts(workspace: Workspace, events: Sequence[Row]) -> None:
    """Each event went where its row says (applied, where it says nothing), and the books say the same."""
    told, state = dict[str, list[str]](), workspace.state
    for offset, row in enumerate(sorted(events, key=lambda row: time_ms(row.get("known", row["happened"]))), 1):
        stream = row.get("stream", "payments")
        dead = {letter["log_offset"]: letter["reason"] for letter in state.dead_letters(stream)}
        verdict = "duplicate" if state.not_applied(stream, offset, offset) else "applied"
        if offset in dead:
            verdict = "late" if dead[offset] == "late" else "rejected"
        assert verdict == row.get("verdict", "applied"), f"event {row['id']} at place {offset}"
        told.setdefault(stream, []).append(verdict)
    for stream, verdicts in told.items():
        books, counted = workspace.books()[stream], Counter(verdicts)
        said = {name: getattr(books, name) for name in ("applied", "duplicate", "late", "rejected")}
        assert said == {name: counted[name] for name in said}
        assert (books.received, books.pending) == (len(verdicts), 0)


@pytest.mark.parametrize(("page", "section"), [pytest.param(page, section, id=section.title) for page in PAGES for section in runs(page)])
def test_the_values_are_those_that_the_page_shows(page: str, section: Section, tmp_path: Path) -> None:
    rows = section.table("asked")
    behind = [row for row in rows if row.get("known by then", row.get("`by_card__n`")) != row.get("`by_card__n`")]
    answered = 0 if "answered from" in rows[0] else len(rows)
    with closing(Workspace.open(part_of(project_of(page), section), tmp_path, durable_log=False)) as workspace:
        replay(workspace, section)
        (model,) = workspace.project.models
        served = workspace.predictions.sample(model.name, 1_000, 0, 0)
        assert check_parity(model, workspace.lake, served) == Parity(answered, (), len(behind) / max(answered, 1))
    assert not behind or f"mismatches 0, lag skew {len(behind) / answered:g}" in section.text


def test_every_recipe_is_run_and_every_feature_is_shown() -> None:
    recipes = [section for section in sections("cookbook.md") if re.match(r"\d", section.title)]
    assert len(recipes) >= 10
    assert recipes == runs("cookbook.md")
    assert [recipe.title.split(".")[0] for recipe in recipes] == [str(number) for number in range(1, len(recipes) + 1)]
    (model,) = project_of("cookbook.md").models
    shown = {head.strip("`") for recipe in recipes for head in recipe.table("asked")[0]}
    made = {column for source in model.sources for column in source.feature_columns} | {one.name for one in model.derived}
    assert made - shown == {"recency__last_paid_at", "pairs__first_paid_at"}, "all but the two clock times"
    defined = re.findall(r"^def (\w+)", "\n".join(recipe.code for recipe in recipes), re.MULTILINE)
    assert sorted(defined) == sorted(one.name for one in model.derived)


def test_every_timeline_has_a_drawing_that_the_script_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS / "timelines")  # as when it is run
    drawn = runpy.run_path(str(DOCS / "timelines" / "draw.py"))["drawings"]()
    shown = [name for section in runs("values.md") for name in re.findall(r"!\[.+?\]\(timelines/(.+?)\)", section.text)]
    assert sorted(shown) == sorted(drawn) == sorted(path.name for path in (DOCS / "timelines").glob("*.svg"))
    for name, svg in drawn.items():
        assert (DOCS / "timelines" / name).read_text(encoding="utf-8") == svg, f"{name} is not up to date: run docs/timelines/draw.py"
        assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_buckets_and_the_refusal_are_those_that_the_page_shows() -> None:
    (section,) = (section for section in runs("values.md") if section.title == "Buckets")
    for row in section.table("window"):
        extra = row["the window may reach back"].replace(" ", "").removesuffix("more")
        assert default_bucket_ms(duration_ms(row["window"])) == duration_ms(row["bucket"]) == duration_ms(extra)
    assert len(section.table("window")) > 5
    with pytest.raises(ProjectError) as refused:
        replace(project_of("values.md").views[0], features={"n": count(over="25min", bucket="10min")})
    assert f"```text\n{refused.value}\n```" in section.text


def test_windows_begin_where_the_page_says() -> None:
    (section,) = (section for section in runs("values.md") if "sawtooth" in section.title)
    feature = project_of("values.md").views[0].features["n"]
    for row in section.table("asked"):
        begin_ms = floor_ms(time_ms(row["asked"]), feature.bucket_ms) - feature.window_ms
        assert begin_ms == time_ms(row["the window begins at"])
        assert time_ms(row["asked"]) - begin_ms == time_ms(f"00:{row['and is long']}") - time_ms("00:00")
