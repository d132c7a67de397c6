"""Databases as sources, on SQLite: addresses, the forms in which SQLite keeps times, and what is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from tidemill import Stream
from tidemill.clock import to_utc, wall_ms
from tidemill.errors import NotReadyError, ProjectError
from tidemill.events import Copied
from tidemill.sources import SqlOutbox, SqlTable


class Order(BaseModel):
    """A row."""

    id: str
    at: str
    is_paid: bool


STREAM = Stream("orders", schema=Order, event_time="at", event_id="id")
NOTHING = Copied("", lambda name: False)


def shop(folder: Path, *statements: str) -> str:
    with closing(sqlite3.connect(folder / "shop.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return f"sqlite:///{folder}/shop.db"


def rows(source: SqlTable, *, limit: int = 2) -> list[dict[str, Any]]:
    """What comes until nothing does, for a dozen walks."""
    found: list[dict[str, Any]] = []
    with closing(source.open(STREAM, NOTHING)) as reader:
        for _ in range(24):
            arrived = reader.read(limit)
            found += map(orjson.loads, arrived.payloads if arrived else ())
    return found


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%S+00:00"]
)
@pytest.mark.parametrize("kind", ["text", "datetime", "timestamp"])
def test_times_in_every_form(tmp_path: Path, form: str, kind: str) -> None:
    url = shop(tmp_path, f"create table orders (id integer primary key, at {kind} not null)")
    now_ms = wall_ms()
    texts = [to_utc(now_ms - ago_ms).strftime(form) for ago_ms in (400_000, 3_000, 2_500, 2_500, 1_000)]
    shop(tmp_path, *(f"insert into orders (at) values ('{text}')" for text in texts))
    assert [row["id"] for row in rows(SqlTable("orders", url=url, cursor="at", poll_every="1ms"))] == ["1", "2", "3", "4", "5"]


def test_a_time_that_lies_ahead_waits(tmp_path: Path) -> None:
    url = shop(tmp_path, "create table orders (id integer primary key, at text not null)")
    shop(tmp_path, *(f"insert into orders (at) values ('{text}')" for text in ("2026-01-01 00:00:00", "2099-01-01 00:00:00")))
    assert [row["id"] for row in rows(SqlTable("orders", url=url, cursor="at", poll_every="1ms"))] == ["1"]


@pytest.mark.parametrize("at", ["yesterday", "2026-03-01"])
def test_what_is_no_time_is_named(tmp_path: Path, at: str) -> None:
    url = shop(tmp_path, "create table orders (id integer primary key, at text not null)", f"insert into orders (at) values ('{at}')")
    with pytest.raises(ProjectError, match=f"at is '{at}', which is no time"):
        rows(SqlTable("orders", url=url, cursor="at", poll_every="1ms"))


def test_a_row_without_a_cursor_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    url = shop(tmp_path, "create table orders (id integer primary key, nr integer)", "insert into orders (nr) values (1), (null)")
    with pytest.raises(NotReadyError, match="a row has no nr"):
        rows(SqlTable("orders", url=url, cursor="nr", look_back=5, poll_every="1ms"))


def test_a_row_without_a_key_is_not_passed_over_in_silence(tmp_path: Path) -> None:
    url = shop(tmp_path, "create table orders (id text primary key, nr integer not null)", "insert into orders values (null, 1), (null, 1)")
    with pytest.raises(NotReadyError, match="key is null"):
        rows(SqlTable("orders", url=url, cursor="nr", look_back=5, poll_every="1ms"))


def test_values_become_what_the_schema_asks_for(tmp_path: Path) -> None:
    url = shop(tmp_path, "create table orders (id integer primary key, at text not null, is_paid boolean, note text)")
    shop(tmp_path, "insert into orders values (7, '2026-03-01 08:00:00', 1, cast(x'68ff' as text))")
    assert rows(SqlTable("orders", url=url, cursor="id", look_back=5, poll_every="1ms")) == [
        {"id": "7", "at": "2026-03-01 08:00:00", "is_paid": True, "note": "h\\xff"}
    ]


def test_the_name_of_a_version_is_never_that_of_another(tmp_path: Path) -> None:
    url = shop(tmp_path, "create table orders (a text, b text, nr integer not null, primary key (a, b))")
    shop(tmp_path, "insert into orders values ('x/y', 'z', 1), ('x', 'y/z', 1)")
    source = SqlTable("orders", url=url, cursor="nr", look_back=5, poll_every="1ms", id_field="event_id")
    assert sorted(row["event_id"] for row in rows(source)) == ["x%2Fy/z@1", "x/y%2Fz@1"]


def test_an_outbox_of_bytes_and_nulls(tmp_path: Path) -> None:
    url = shop(tmp_path, "create table outbox (id integer primary key, payload)")
    shop(tmp_path, "insert into outbox (payload) values (x'7b7d'), (null), (x'ff')")
    with closing(SqlOutbox("outbox", url=url, poll_every="1ms").open(STREAM, NOTHING)) as reader:
        arrived = reader.read(10)
        assert arrived is not None
        assert (arrived.payloads, arrived.lag) == (["{}", "null", "\\xff"], 0)
        assert reader.read(10) is None


@pytest.mark.parametrize(
    ("urls", "fault"),
    [
        ({}, "once"),
        ({"url": "sqlite:///x.db", "url_env": "X"}, "once"),
        ({"url": "postgresql://me:s3cret@10.0.0.7/shop"}, "holds a password"),
        ({"url": "postgresql://me@10.0.0.7/shop?password=s3cret"}, "holds a password"),
        ({"url": "s3cret"}, "is not the URL of a database"),
    ],
)
@pytest.mark.parametrize("kind", [lambda **urls: SqlTable("t", cursor="id", **urls), lambda **urls: SqlOutbox("t", **urls)])
def test_a_mistake_in_the_address_is_named(kind: Any, urls: dict[str, str], fault: str) -> None:
    with pytest.raises(ProjectError, match=fault) as failed:
        kind(**urls)
    assert "s3cret" not in str(failed.value)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        (None, "the environment has no SHOP"),
        ("no address s3cret", "is not the URL of a database"),
        ("sqlite:///nowhere/s3cret.db", "there is no such file yet"),
        ("mysql+pymysql://me:s3cret@127.0.0.1/shop", "the driver pymysql is not installed"),
        ("nosuch://me:s3cret@127.0.0.1/shop", "SQLAlchemy knows no such database"),
    ],
)
def test_an_address_that_cannot_be_opened_is_named(monkeypatch: pytest.MonkeyPatch, url: str | None, fault: str) -> None:
    if url is not None:
        monkeypatch.setenv("SHOP", url)
    source = SqlTable("orders", url_env="SHOP", cursor="id")
    with pytest.raises((ProjectError, NotReadyError), match=fault) as failed:
        source.open(STREAM, NOTHING)
    assert "me:s3cret" not in f"{failed.value} {source.description} {source!r}"


@pytest.mark.parametrize("fault", [{"poll_every": "soon"}, {"look_back": "far"}, {"key": "id"}])
def test_a_mistake_in_the_declaration_is_named(fault: dict[str, Any]) -> None:
    with pytest.raises(ProjectError, match="table orders"):
        SqlTable("orders", url="sqlite:///shop.db", cursor="id", **fault)


@pytest.mark.parametrize("mark", ["payload", "gone"])
def test_a_mark_that_is_none_is_named(tmp_path: Path, mark: str) -> None:
    url = shop(tmp_path, "create table outbox (id integer primary key, payload text)")
    with pytest.raises(ProjectError, match=f"mark='{mark}'"):
        SqlOutbox("outbox", url=url, mark=mark).open(STREAM, NOTHING)


def test_a_table_without_a_key_is_named(tmp_path: Path) -> None:
    url = shop(tmp_path, "create table orders (nr integer)")
    with pytest.raises(ProjectError, match="has no primary key"):
        SqlTable("orders", url=url, cursor="nr", look_back=5).open(STREAM, NOTHING)


def test_a_sqlite_url_with_options(tmp_path: Path) -> None:
    shop(tmp_path, "create table orders (id integer primary key, at text)", "insert into orders (at) values ('x')")
    url = f"sqlite:///file:{tmp_path}/shop.db?mode=ro&uri=true"
    assert [row["id"] for row in rows(SqlTable("orders", url=url, cursor="id", look_back=5, poll_every="1ms"))] == ["1"]
