"""A home of every schema version that ever was opens with today's tidemill, and goes on."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from tests import tabled
from tests.golden.make_home import DATABASES, FOLDER
from tidemill.errors import ConflictError
from tidemill.project import Workspace
from tidemill.stores import Lookup, open_sqlite
from tidemill.stores.schema_version import STEPS, schema_version

HOMES = sorted(FOLDER.glob("home_v*"))
FIRST = HOMES[0]  # its SQL says no versions: all are 1, or 0 in files of before there were numbers


def build(folder: Path, home: Path, number: int | None = None) -> None:
    """The databases of a home from their SQL, or that of the last home before that has some; under the version that it says or a number."""
    home.mkdir()
    for name in DATABASES:
        with closing(sqlite3.connect(home / f"{name}.db")) as connection:
            sql = next(file for home_before in reversed(HOMES[: HOMES.index(folder) + 1]) if (file := home_before / f"{name}.sql").exists())
            connection.execute("pragma user_version = 1")
            connection.executescript(sql.read_text(encoding="utf-8"))
            if number is not None:
                connection.execute(f"pragma user_version = {number}")


def schema(path: Path) -> list[tuple[str, str]]:
    """What a database says of its tables and indexes; a column that was added stands on the line of the one before it."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("select name, sql from sqlite_master where sql is not null order by 1").fetchall()
    return [(name, " ".join(sql.split())) for name, sql in found]


@pytest.mark.parametrize(("folder", "number"), [(FIRST, 0), (FIRST, 1), *((folder, None) for folder in HOMES[1:])])
def test_a_home_of_an_earlier_version_goes_on(tmp_path: Path, folder: Path, number: int | None) -> None:
    build(folder, tmp_path / "home", number)
    (tmp_path / "twin").mkdir()
    shutil.copy(tmp_path / "home" / "log.db", tmp_path / "twin")
    Workspace.open(tabled.project, tmp_path / "fresh").close()
    found = []
    for name in ("home", "twin"):
        with closing(Workspace.open(tabled.project, tmp_path / name)) as workspace:
            workspace.engine().drain(100)
            workspace.lake_writer().flush()
            books = workspace.books()
            assert all(of.balanced and not of.pending for of in books.values())
            assert books["orders"].rejected == 1
            lookups = [Lookup("by_shop", [*"abcde"]), Lookup("shop_info", [*"abcde"])]
            values = workspace.state.tiles.read(lookups, workspace.now_ms()).values
            found.append((books, json.dumps({column: held.tolist() for column, held in values.items()})))
            if name == "home":
                assert workspace.predictions.served("late_order").keys == ["o1"]
                assert workspace.decisions.frozen("late_order") is not None
    assert found[0] == found[1]
    for database in DATABASES:
        assert schema(tmp_path / "home" / f"{database}.db") == schema(tmp_path / "fresh" / f"{database}.db"), database


def test_todays_tables_are_those_of_the_newest_home(tmp_path: Path) -> None:
    """Who changes a table adds a step to its `MetaData`, and a home of the new version; see `make_home.py`."""
    Workspace.open(tabled.project, tmp_path / "fresh").close()
    build(HOMES[-1], tmp_path / "built")
    for name in DATABASES:
        assert schema(tmp_path / "built" / f"{name}.db") == schema(tmp_path / "fresh" / f"{name}.db"), name


ONE = MetaData()
Table("paint", ONE, Column("id", Integer, primary_key=True))


def add_colour(cursor: sqlite3.Cursor) -> None:
    """From version 1 to 2."""
    cursor.execute("alter table paint add column colour varchar")


def shout(cursor: sqlite3.Cursor) -> None:
    """From version 2 to 3."""
    cursor.execute("update paint set colour = upper(coalesce(colour, 'none'))")


def fail(_cursor: sqlite3.Cursor) -> None:
    """A step that does not come to its end."""
    raise KeyboardInterrupt


def painted(*steps: object) -> MetaData:
    """The tables after some steps."""
    tables = MetaData(info={STEPS: steps})
    Table("paint", tables, Column("id", Integer, primary_key=True), Column("colour", String))
    return tables


def held(path: Path) -> tuple[int, list[tuple[object, ...]]]:
    """The version of a file, and its rows."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("pragma user_version").fetchone()[0], connection.execute("select * from paint").fetchall()


@pytest.mark.parametrize("number", [0, 1])
def test_each_step_is_taken_once_all_or_nothing(tmp_path: Path, number: int) -> None:
    path = tmp_path / "x.db"
    open_sqlite(path, ONE).dispose()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("insert into paint values (7)")
        connection.commit()
        connection.execute(f"pragma user_version = {number}")
    with pytest.raises(KeyboardInterrupt):
        open_sqlite(path, painted(add_colour, fail))
    assert held(path) == (number, [(7,)])
    open_sqlite(path, painted(add_colour)).dispose()
    assert held(path) == (2, [(7, None)])
    for _ in range(2):
        open_sqlite(path, painted(add_colour, shout)).dispose()
        assert held(path) == (3, [(7, "NONE")])
    open_sqlite(path, MetaData()).dispose()  # who reads without tables of its own
    with pytest.raises(ConflictError, match=r"x\.db is of schema version 3, this tidemill knows versions up to 2: a later one made it"):
        open_sqlite(path, painted(add_colour))
    assert held(path) == (3, [(7, "NONE")])


def test_a_new_file_is_of_todays_version_without_any_step(tmp_path: Path) -> None:
    tables = painted(add_colour, shout)
    open_sqlite(tmp_path / "x.db", tables).dispose()
    assert held(tmp_path / "x.db") == (3, [])
    assert schema_version(tables) == 3
