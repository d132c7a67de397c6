"""A file that cannot be written just now: an error that says which, nothing half, and going on once it can be."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, Text, func, insert, select

from tests.unit.events.taps import T0, entry, make_engine, open_log
from tests.unit.events.taps import open_state as open_taps
from tidemill.errors import UnavailableError
from tidemill.stores import Answered, Databases, Lookup, PredictionStore, prediction_keys
from tidemill.stores.again import again_and_again
from tidemill.stores.at_once import AtOnce
from tidemill.stores.cursors import reading, writing_cursor
from tidemill.stores.hash_table import HashTable
from tidemill.stores.prediction_keys import PredictionKeys
from tidemill.stores.sqlite import connect_sqlite, open_sqlite
from tidemill.stores.table_files import TableFiles
from tidemill.stores.wal_upkeep import WalUpkeep

TABLES = MetaData()
NOTE = Table("note", TABLES, Column("id", Integer, primary_key=True), Column("text", Text))
LONG = "x" * 100_000
MOUNTED = 'mount -t tmpfs -o size=32m none "$1"'  # in a namespace of its own, which ends with its last process
FULL = r"note.db cannot be used just now: database or disk is full; make room"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_sqlite(tmp_path / "note.db", TABLES)
    yield opened
    opened.dispose()


def limit(engine: Engine, pages: int) -> None:
    """Let the connection of this thread make the file no larger, as a full disk would."""
    with closing(engine.raw_connection()) as connection:
        connection.cursor().execute(f"PRAGMA max_page_count={pages}")


def in_namespace(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script that may mount."""
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", *arguments], capture_output=True, text=True, check=False
    )


def no_room(_path: Path, _begin: int, _end: int) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "a file")


def count(engine: Engine) -> int:
    with reading(engine).connect() as connection:
        return int(connection.execute(select(func.count()).select_from(NOTE)).scalar_one())


def test_statements_and_cursors_say_so_and_go_on(engine: Engine) -> None:
    limit(engine, 1)
    with pytest.raises(UnavailableError, match=FULL), engine.begin() as connection:
        connection.execute(insert(NOTE).values(text=LONG))
    with pytest.raises(UnavailableError, match=FULL), writing_cursor(engine) as cursor:
        cursor.execute("insert into note (text) values (?)", (LONG,))
    assert count(engine) == 0
    limit(engine, 1_000_000)
    with writing_cursor(engine) as cursor:
        cursor.execute("insert into note (text) values (?)", (LONG,))
    assert count(engine) == 1


def test_writing_at_once_says_so_and_goes_on(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "note.db"
    connection = connect_sqlite(path, busy_s=0)
    with closing(AtOnce(connection, str(path))) as at_once:
        connection.execute("PRAGMA max_page_count=1")
        with pytest.raises(UnavailableError, match=FULL):
            at_once.write(lambda cursor: cursor.execute("insert into note (text) values (?)", (LONG,)))
        connection.execute("PRAGMA max_page_count=1000000")
        assert at_once.write(lambda cursor: cursor.execute("insert into note (text) values (?)", (LONG,)).rowcount) == 1
    assert count(engine) == 1


def test_one_that_others_write_to_for_too_long_is_told_of(engine: Engine, tmp_path: Path) -> None:
    with closing(engine.raw_connection()) as mine:
        mine.cursor().execute("PRAGMA busy_timeout=1")
    with closing(connect_sqlite(tmp_path / "note.db", busy_s=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="database is locked"), engine.begin():
            pass
        with pytest.raises(UnavailableError, match="database is locked"), writing_cursor(engine):
            pass


def connections_of_few_pages(patched: pytest.MonkeyPatch) -> None:
    """Let every connection that is opened from now on make no file larger, as on a full disk."""

    class Bounded(sqlite3.Connection):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            done = super().execute(sql, parameters)
            if sql.startswith(("pragma synchronous", "PRAGMA synchronous")):
                super().execute("pragma max_page_count=1")
            return done

    connect = sqlite3.connect
    patched.setattr(sqlite3, "connect", lambda *given, **named: connect(*given, factory=Bounded, **named))


def test_scores_whose_index_finds_no_room_say_so_and_are_found_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = r"serving_keys\.db cannot be used just now: database or disk is full; make room"
    monkeypatch.setattr(prediction_keys, "_READ_THROUGH", 0)
    with closing(PredictionStore(Databases(tmp_path))) as store:
        keys = [f"{place} {LONG[:500]}" for place in range(500)]
        said = np.zeros(len(keys))
        store.write(Answered("m", 1_000, 7, "{}", "d", keys, ["{}"] * len(keys), said[:, None], {"champion": (1, said)}))
        with monkeypatch.context() as patched:
            connections_of_few_pages(patched)
            for ask in (lambda: store.scores("m", keys[:1]), store.keys.catch_up):
                with pytest.raises(UnavailableError, match=full):
                    ask()
        assert [score.prediction_id for score in store.scores("m", keys[7:8])] == [8]


def test_what_is_done_again_and_again_goes_on_once_there_is_room(caplog: pytest.LogCaptureFixture) -> None:
    tried, done = list[None](), threading.Event()

    def step() -> None:
        tried.append(None)
        if len(tried) == 1:
            raise UnavailableError("note.db cannot be used just now")
        done.set()

    with again_and_again(step, 0.001, "a step"):
        assert done.wait(30)
    assert "a step did not go on error=note.db cannot be used just now" in caplog.text


def test_others_that_use_the_driver_itself_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_given: object, **_named: object) -> sqlite3.Connection:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    keys = PredictionKeys(Databases(tmp_path))
    (tmp_path / "log.db-wal").write_bytes(bytes(5 << 20))
    monkeypatch.setattr(sqlite3, "connect", away)
    for name, use in (
        ("note", lambda: connect_sqlite(tmp_path / "note.db", busy_s=0)),
        ("log", WalUpkeep(Databases(tmp_path), ["log"]).step),
        ("serving_keys", keys.forget),
    ):
        with pytest.raises(UnavailableError, match=rf"{name}\.db cannot be used just now"):
            use()


def test_an_engine_whose_tables_find_no_room_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    log, state = open_log(tmp_path), open_taps(tmp_path)
    log.append([entry(f"t{place}", T0, line="a") for place in range(3)], now_ms=0)
    for short in (full, lambda *_given: 1):
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwritev", short)
            with pytest.raises(
                UnavailableError, match=r"state\.tables cannot be written just now: No space left on device; make room, and try again"
            ):
                make_engine(log, state).drain(10)
        assert state.books(log)["taps"].applied == 0
    assert make_engine(log, state).drain(10) == 3
    assert state.tiles.read([Lookup("by_line", ["a"])], T0).values["by_line__n_all"].tolist() == [3.0]
    state.close()
    log.close()


def run_on_a_small_file_system(module: str, home: Path, folder: str) -> None:
    """Run a module beside a file system of 32 MB that is mounted at a folder of the home."""
    (home / folder).mkdir()
    if sys.platform != "linux" or in_namespace(MOUNTED, str(home / folder)).returncode:
        pytest.skip("nobody may mount a file system here")
    script = f'{MOUNTED} && exec "$2" -m "$4" "$3"'
    ended = in_namespace(script, str(home / folder), sys.executable, str(home), f"tests.unit.stores.{module}")
    assert ended.returncode == 0, ended.stderr


def test_an_engine_whose_tables_must_grow_on_a_full_disk_lives_and_goes_on(tmp_path: Path) -> None:
    """On a file system of its own: writing to a page that the disk has no room for kills the process."""
    run_on_a_small_file_system("full_tables", tmp_path, "state.tables")


def test_a_lake_without_room_says_so_whatever_lacks_it_and_goes_on(tmp_path: Path) -> None:
    run_on_a_small_file_system("full_lake", tmp_path, "lake")


def test_what_was_claimed_in_other_tables_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room_for_ids(path: Path, begin: int, end: int) -> None:
        if path.name.startswith("ids."):
            no_room(path, begin, end)

    log, state = open_log(tmp_path), open_taps(tmp_path)
    log.append([entry(f"t{place}", T0, line=f"l{place}") for place in range(3)], now_ms=0)
    used = []
    for _ in range(3):
        with monkeypatch.context() as patched:
            patched.setattr("tidemill.stores.hash_table.reserve", no_room_for_ids)
            with pytest.raises(UnavailableError, match="a file cannot be written just now"):
                make_engine(log, state).drain(10)
        used.append({name: table.used for name, table in TableFiles(tmp_path / "state.tables").tables().items()})
    assert used[0] and used[0] == used[1] == used[2], "each try takes the rows of the one before"
    assert make_engine(log, state).drain(10) == 3
    state.close()
    log.close()


def test_of_a_table_that_finds_no_room_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def there() -> dict[str, tuple[int, bytes]]:
        return {path.name: (path.stat().st_size, path.read_bytes()) for path in tmp_path.iterdir() if path.name != "header"}

    files = TableFiles(tmp_path)
    digests = np.arange(1, 101, dtype=np.uint64)
    table = files.ensure("one", 1, 100)
    table.put(table.claim(digests, digests)[0], digests, digests.astype(np.float64)[:, None])
    before = there()
    for name, more in (("one", 1_000), ("another", 10)):
        for what in ("tidemill.stores.hash_table.reserve", "tidemill.stores.table_catalog.write_whole"):
            with monkeypatch.context() as patched:
                patched.setattr(what, lambda *_given: no_room(tmp_path, 0, 0))
                with pytest.raises(UnavailableError, match="a file cannot be written"), files.writing():
                    files.ensure(name, 1, more)
            assert there() == before
    grown = files.ensure("one", 1, 1_000)
    assert grown.states(grown.find(digests, digests))[:, 0].tolist() == digests.tolist()
    files.close()


def test_a_catalog_that_cannot_be_written_is_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(path: Path, contents: bytes) -> int:
        with path.open("wb") as file:
            file.write(contents[:5])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    files = TableFiles(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", half)
        with pytest.raises(UnavailableError, match=r"catalog\.json\.new cannot be written"), files.writing():
            files.ensure("one", 1, 10)
    assert {path.name for path in tmp_path.iterdir()} == {"catalog.json", "header", "journal", "writer.lock", "readers.lock"}
    assert TableFiles(tmp_path).tables() == {}
    files.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux takes room ahead")
def test_tables_of_before_take_their_room_before_they_are_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = TableFiles(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(HashTable, "reserve", lambda *_given: None)
        table = files.ensure("one", 1, 10_000)
    assert room(table.index_path) < table.index_path.stat().st_size
    files.close()
    again = TableFiles(tmp_path)
    table = again.ensure("one", 1, 10_000)
    assert room(table.index_path) >= table.index_path.stat().st_size
    assert room(table.rows_path) >= 8 * 3 * 10_000
    again.close()


def room(path: Path) -> int:
    """What a file takes on the disk, bytes."""
    return path.stat().st_blocks * 512
