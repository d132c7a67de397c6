"""Rows of tables in the state: what is kept, how a later table is filled, and how all come back when the files are lost."""

from __future__ import annotations

import random
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.unit.events.planes import OWNED, PLANE, PLANES, Row, plain
from tests.unit.events.taps import BY_LINE, TAPS, entry
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.errors import ConflictError
from tidemill.features import Table
from tidemill.project import Project, Workspace
from tidemill.stores import AppliedReader, Databases, Lake, LakeWriter, Lookup, MappedState, SqlLog, backfill_view, rebuild
from tidemill.streams import Engine

T0 = 1_400_000_000_000
RETENTION_MS = {"planes": PLANE.retention_ms, "taps": BY_LINE.retention_ms}
STREAMS = [PLANES, TAPS]


class Home:
    """A folder with a log, a state with some tables beside a view, and a lake."""

    def __init__(self, folder: Path, tables: list[Table], log: SqlLog | None = None) -> None:
        self.folder = folder
        self.log = log or SqlLog(Databases(folder), ["planes", "taps"])
        self.state = MappedState(folder / "state.db", [BY_LINE, *tables], {}, RETENTION_MS)
        self.lake = Lake(folder / "lake", STREAMS)

    def apply(self, batch: int = 3) -> None:
        Engine(self.log, self.state, STREAMS, RETENTION_MS).drain(batch)

    def flush(self) -> None:
        LakeWriter(self.applied, self.state, self.lake).flush()

    @property
    def applied(self) -> AppliedReader:
        return AppliedReader(self.log, self.state, STREAMS)

    def seats(self, *tails: str | None, at_ms: int | None = None) -> list[float | str | None]:
        at_ms = self.state.position_and_time()[1] if at_ms is None else at_ms
        return plain(self.state.tiles.read([Lookup("plane", list(tails))], at_ms).values["plane__seats"])

    def kept(self) -> list[tuple[str, str]]:
        with sqlite3.connect(self.folder / "state.db") as connection:
            return connection.execute("select key, event_id from table_row order by key, at_ms, event_id").fetchall()


def seats(row_id: str, tail: str, n: int | None, at_ms: int, known_at_ms: int | None = None) -> Row:
    return Row(row_id, at_ms, at_ms if known_at_ms is None else known_at_ms, tail, seats=n)


def test_only_what_can_still_be_asked_is_kept(tmp_path: Path) -> None:
    home = Home(tmp_path, [PLANE])
    rows = [seats("a", "n1", 1, T0), seats("b", "n1", 2, T0 + 1), seats("c", "n1", 4, T0 + HOUR_MS, T0 + 2), seats("d", "n2", 8, T0 + 3)]
    home.log.append([row.entry for row in rows], 0)
    home.apply()
    assert home.kept() == [("n1", "b"), ("n1", "c"), ("n2", "d")], "a can be asked for no more; c comes to hold in an hour"
    assert home.seats("n1", "n2", "n1", None, "n9") == [2, 8, 2, None, None]
    assert home.seats("n1", at_ms=T0 + HOUR_MS - 1) == [2]
    assert home.seats("n1", at_ms=T0 + HOUR_MS) == [4]
    late = [seats("e", "n1", 16, T0 - DAY_MS, T0 + 2 * HOUR_MS), seats("f", "n2", None, T0 + 2 * HOUR_MS)]
    home.log.append([row.entry for row in late], 0)
    home.apply()
    assert home.kept() == [("n1", "c"), ("n2", "f")], "e was never the newest"
    assert home.seats("n1", "n2") == [4, None], "a null replaces what an older row had"
    assert home.seats("n1", at_ms=T0) == [4], "of a time before the position, the position answers"


def test_tiles_and_rows_are_read_at_one_position(tmp_path: Path) -> None:
    home = Home(tmp_path, [PLANE])
    home.log.append([seats("a", "n1", 1, T0).entry, entry("t1", T0 + 1, line="n1", fare=2.0)], 0)
    home.apply()
    lookups = [Lookup("by_line", ["n1"]), Lookup("plane", ["n1"])]
    for _ in range(2):  # the second time the view's value is remembered
        reading = home.state.tiles.read(lookups, T0 + 1)
        assert (reading.values["by_line__n_all"].tolist(), reading.values["plane__seats"].tolist()) == ([1], [1])
        assert reading.position == home.log.end()


@pytest.mark.parametrize("in_lake", [0, 40])
def test_a_table_that_comes_later_is_missing_until_it_is_filled(tmp_path: Path, in_lake: int) -> None:
    draw = random.Random(in_lake)
    log = SqlLog(Databases(tmp_path), ["planes", "taps"])
    rows = [
        Row(f"r{draw.random()}", T0 + number - draw.choice([0, 7, 20 * DAY_MS]), T0 + number, draw.choice("abc"), "ua", seats=number)
        for number in range(60)
    ]
    without, always = Home(tmp_path / "without", [PLANE], log), Home(tmp_path / "always", [PLANE, OWNED], log)
    log.append([row.entry for row in rows[:in_lake]], 0)
    without.apply()
    without.flush()
    log.append([row.entry for row in rows[in_lake:]], 0)
    without.apply()
    without.state.close()
    later = Home(tmp_path / "without", [PLANE, OWNED], log)
    keys = ["a,ua", "b,ua", "c,ua"]

    def owned(home: Home) -> list[float | str | None]:
        return plain(home.state.tiles.read([Lookup("owned", keys)], T0 + 100).values["owned__seats"])

    assert later.state.sets.partial() == ["owned"]
    assert owned(later) == [None] * 3
    later.flush()
    assert backfill_view(later.state, later.lake, OWNED, at_once=7) == 60
    assert backfill_view(later.state, later.lake, OWNED) == 0, "it is whole"
    always.apply(11)
    assert owned(later) == owned(always)
    assert None not in owned(later)
    assert later.kept() == always.kept()
    assert later.state.sets.partial() == []


def test_a_row_counts_however_old_it_was_when_the_table_is_filled(tmp_path: Path) -> None:
    """The retention says how late a row may be known, not how long it counts."""
    home = Home(tmp_path, [PLANE])
    home.log.append([Row("old", T0, T0, "n1", "ua", maker="BOEING").entry, seats("new", "n2", 1, T0 + 4_000 * DAY_MS).entry], 0)
    home.apply()
    home.flush()
    home.state.close()
    later = Home(tmp_path, [PLANE, OWNED])
    backfill_view(later.state, later.lake, OWNED)
    assert later.state.tiles.read([Lookup("owned", ["n1,ua"])], T0 + 4_000 * DAY_MS).values["owned__maker"].tolist() == ["BOEING"]


def test_a_changed_table_begins_anew(tmp_path: Path) -> None:
    home = Home(tmp_path, [PLANE])
    home.log.append([seats("a", "n1", 1, T0).entry], 0)
    home.apply()
    home.state.close()
    changed = Home(tmp_path, [Table("plane", PLANES, key="tail", columns=["maker", "seats"], version=2)])
    assert changed.seats("n1") == [None], "the rows of another definition are never read"
    assert changed.state.sets.partial() == ["plane"]
    changed.log.append([seats("b", "n2", 2, T0 + 1).entry], 0)
    changed.apply()
    assert changed.kept() == [("n2", "b")], "and go when the engine feeds the new one"
    changed.flush()
    backfill_view(changed.state, changed.lake, Table("plane", PLANES, key="tail", columns=["maker", "seats"], version=2))
    assert changed.seats("n1", "n2") == [1, 2]


def test_an_engine_that_does_not_know_a_table_is_told_apart(tmp_path: Path) -> None:
    home = Home(tmp_path, [PLANE])
    home.log.append([seats(str(number), "n1", number, T0 + number).entry for number in range(10)], 0)
    home.apply()
    home.flush()
    later = Home(tmp_path, [PLANE, OWNED], home.log)

    def meanwhile(_done: int) -> None:
        home.log.append([seats("late", "n1", 1, T0 + 100).entry], 0)
        home.apply()

    with pytest.raises(ConflictError, match=r"an engine that does not know table .owned. is running"):
        backfill_view(later.state, later.lake, OWNED, meanwhile, at_once=4)


def test_rows_come_back_when_the_files_are_lost(tmp_path: Path) -> None:
    """Also those whose ids count no longer, and those that the lake does not hold yet."""
    home = Home(tmp_path, [PLANE, OWNED])
    rows = [
        Row(f"r{number}", T0 + number * 90 * DAY_MS, T0 + number * 90 * DAY_MS, f"n{number % 40}", "ua", number) for number in range(60)
    ]
    home.log.append([row.entry for row in rows[:50]], 0)
    home.apply()
    home.flush()
    home.log.append([row.entry for row in rows[50:]], 0)
    home.apply()
    tails = [f"n{number}" for number in range(40)]
    want, kept = home.seats(*tails), home.kept()
    assert min(row.at_ms for row in rows) < rows[-1].known_at_ms - RETENTION_MS["planes"], "some are older than the retention"
    assert None not in want
    home.state.close()
    shutil.rmtree(tmp_path / "state.tables")
    again = Home(tmp_path, [PLANE, OWNED], home.log)
    assert again.state.is_lost()
    assert again.seats(*tails) == [None] * 40
    assert rebuild(again.state, again.lake, again.applied, STREAMS, RETENTION_MS) == 60
    assert again.seats(*tails) == want
    assert again.kept() == kept
    assert set(again.state.seen("planes", ["r0", "r59"])) == {"r59"}, "an id counts no longer than its retention"


def test_the_ids_of_a_stream_of_few_rows_take_little_room(tmp_path: Path) -> None:
    """They are kept for ten years, but what they take goes by how many there are."""
    workspace = Workspace.open(Project("fleet", streams=[PLANES], tables=[PLANE]), tmp_path)
    workspace.log.append([seats(str(number), f"n{number % 100}", number, T0 + number).entry for number in range(3_000)], 0)
    workspace.engine().drain(1_000)
    sizes = {size.what: size for size in workspace.state.sizes()}
    assert (sizes["ids of planes"].rows, sizes["rows of plane"].rows) == (3_000, 100)
    assert sizes["rows of plane"].n_bytes < 20_000
    assert sizes["ids of planes"].n_bytes < 300_000
    blocks = sum(path.stat().st_blocks * 512 for path in (tmp_path / "state.tables").iterdir())
    assert blocks < 5_000_000, "so many bytes on disk"
    workspace.close()
