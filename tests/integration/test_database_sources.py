"""Tables as sources, on a real PostgreSQL: rows that commit late, copies that end at the worst moment, and values of every type."""

from __future__ import annotations

import tracemalloc
from contextlib import closing
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, NullPool, create_engine, text

from tests.database_feeds import STREAM, copy_of, run
from tests.databases import new_schema
from tidemill.errors import NotReadyError, ProjectError
from tidemill.events import Copied, Source, parse_event
from tidemill.sources import SqlOutbox, SqlTable

LATE = "2099-01-01"


@pytest.fixture
def url(postgres_url: str) -> str:
    return new_schema(postgres_url)


@pytest.fixture
def engine(url: str) -> Engine:
    return create_engine(url, poolclass=NullPool)


TABLE = (
    "create table orders (id bigserial primary key, changed_at timestamptz not null default now(), "
    "xid xid8 not null default pg_current_xact_id(), note text)"
)
INSERT = text("insert into orders (note) values ('x')")


def table(url: str, cursor: str, **options: Any) -> SqlTable:
    look_back: dict[str, str | int | None] = {"id": 1_000, "changed_at": "5min", "xid": None}
    return SqlTable("orders", url=url, cursor=cursor, poll_every="1ms", **({"look_back": look_back.get(cursor)} | options))


@pytest.mark.parametrize("is_restarted", [False, True])
@pytest.mark.parametrize("cursor", ["id", "changed_at", "xid"])
def test_a_row_that_commits_late_arrives_once(url: str, engine: Engine, cursor: str, is_restarted: bool) -> None:
    run(engine, TABLE)
    with copy_of(table(url, cursor)) as copy, engine.connect() as slow, engine.connect() as quick:
        slow.execute(INSERT)  # takes number 1 and its time, and waits
        for _ in range(3):
            quick.execute(INSERT)
            quick.commit()
        assert copy.ids() == ([] if cursor == "xid" else [2, 3, 4]), "what is not complete waits, where the database can tell"
        if is_restarted:
            copy.restart()
        slow.commit()
        assert sorted(copy.ids()) == [1, 2, 3, 4]
        copy.restart()
        assert sorted(copy.ids()) == [1, 2, 3, 4]


def test_transaction_ids_see_even_what_a_look_back_is_too_short_for(url: str, engine: Engine) -> None:
    run(engine, TABLE)
    with copy_of(table(url, "id", look_back=2)) as by_number, copy_of(table(url, "xid")) as exact, engine.connect() as slow:
        slow.execute(INSERT)
        for _ in range(9):
            run(engine, INSERT.text)
        assert by_number.ids() == list(range(2, 11))
        slow.commit()
        assert by_number.ids() == list(range(2, 11)), "lost by rule: it committed more than look_back later"
        assert sorted(exact.ids()) == list(range(1, 11))


def test_a_table_is_given_the_column_later_and_read_through_a_view(url: str, engine: Engine) -> None:
    run(engine, "create table old (id bigserial primary key, note text)", "insert into old (note) select 'x' from generate_series(1, 5)")
    run(engine, "alter table old add column xid xid8 not null default pg_current_xact_id()", "create view orders as select * from old")
    run(engine, "insert into old (note) values ('y')")
    with copy_of(table(url, "xid", key=("id",))) as copy:
        assert copy.ids() == list(range(1, 7))


def test_an_aborted_transaction_holds_nothing_up(url: str, engine: Engine) -> None:
    run(engine, TABLE)
    with copy_of(table(url, "xid")) as copy, engine.connect() as failing:
        failing.execute(INSERT)
        run(engine, INSERT.text)
        assert copy.ids() == []
        failing.rollback()
        assert copy.ids() == [2]


@pytest.mark.parametrize("cursor", ["id", "changed_at", "xid"])
def test_more_rows_of_one_cursor_value_than_are_read_at_a_time(url: str, engine: Engine, cursor: str) -> None:
    run(engine, TABLE, "insert into orders (note) select 'x' from generate_series(1, 1000)")
    with copy_of(table(url, cursor)) as copy:
        while copy.read(limit=100):
            copy.restart()
        assert copy.ids() == list(range(1, 1_001))


def test_rows_that_are_deleted_in_the_middle_of_a_walk(url: str, engine: Engine) -> None:
    run(engine, TABLE, "insert into orders (note) select 'x' from generate_series(1, 30)")
    with copy_of(table(url, "id")) as copy:
        copy.read(limit=10)
        run(engine, "delete from orders where id in (10, 11, 30)", INSERT.text)
        assert copy.ids() == [*range(1, 11), *range(12, 30), 31]


def test_an_update_is_an_event_of_its_own(url: str, engine: Engine) -> None:
    run(engine, TABLE, INSERT.text)
    with copy_of(table(url, "changed_at", id_field="event_id")) as copy:
        copy.settle()
        run(engine, "update orders set note = 'y', changed_at = now()")
        first, second = copy.settle()
        assert (first["note"], second["note"]) == ("x", "y")
        assert first["event_id"] != second["event_id"]
        assert {name.split("@")[0] for name in (first["event_id"], second["event_id"])} == {"1"}


def test_a_row_that_lies_ahead_does_not_carry_the_look_back_away(url: str, engine: Engine) -> None:
    run(
        engine,
        TABLE,
        INSERT.text,
        f"insert into orders (changed_at) values ('{LATE}')",
        "insert into orders (changed_at) values ('infinity')",
    )
    with copy_of(table(url, "changed_at")) as copy:
        assert copy.ids() == [1]
        run(engine, INSERT.text)
        assert copy.ids() == [1, 4]


def test_a_restored_database_is_noticed(url: str, engine: Engine) -> None:
    run(engine, TABLE, INSERT.text)
    with copy_of(table(url, "xid")) as copy:
        copy.settle()
        held = orjson.loads(copy.checkpoint)
        copy.checkpoint = orjson.dumps(held | {"until": held["until"] + 10_000}).decode()
        copy.restart()
        with pytest.raises(NotReadyError, match="gone back"):
            copy.read()


def test_a_large_table_is_read_in_little_memory(url: str, engine: Engine) -> None:
    run(engine, TABLE, "insert into orders (note) select repeat('x', 1000) from generate_series(1, 20000)")
    with copy_of(table(url, "id")) as copy:
        copy.read(limit=500)
        tracemalloc.start()
        n_rows = 500
        while (arrived := copy.reader.read(500)) is not None:
            n_rows += len(arrived.payloads)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert n_rows == 20_000
        assert peak < 6_000_000, "the table's text alone is 20 MB"


@pytest.mark.parametrize("kind", ["table", "outbox"])
def test_few_long_rows_are_read_at_a_time(url: str, engine: Engine, kind: str) -> None:
    run(engine, "create table orders (id serial primary key, payload text)")
    run(engine, "insert into orders (payload) select repeat('x', 4000000) from generate_series(1, 12)")
    source: Source = table(url, "id") if kind == "table" else SqlOutbox("orders", url=url, poll_every="1ms")
    with closing(source.open(STREAM, Copied("", lambda name: False))) as reader:
        sizes = []
        while (arrived := reader.read(100)) is not None:
            sizes.append(len(arrived.payloads))
    assert sum(sizes) == 12
    assert max(sizes) <= 9


def test_values_of_every_type(url: str, engine: Engine) -> None:
    run(
        engine,
        "create table orders (id int primary key, changed_at timestamp not null, at timestamptz, price numeric, tag uuid, raw bytea, "
        "more jsonb, tags text[], day date, nothing text, is_paid boolean, event_id bigint)",
        "insert into orders values (1, '2026-03-01 08:00:00.25', '2026-03-01 09:00:00+01', 12.50, '0b54adcf-0b54-0b54-0b54-0b54adcf0b54', "
        """'\\x68ff', '{"a": [1, null]}', '{x,y}', '2026-03-01', null, true, 77)""",
    )
    with copy_of(table(url, "changed_at")) as copy:
        (row,) = copy.settle()
        assert row == {
            "id": 1,
            "changed_at": "2026-03-01T08:00:00.250000+00:00",
            "at": row["at"],
            "price": 12.5,
            "tag": "0b54adcf-0b54-0b54-0b54-0b54adcf0b54",
            "raw": "h\\xff",
            "more": {"a": [1, None]},
            "tags": ["x", "y"],
            "day": "2026-03-01",
            "nothing": None,
            "is_paid": True,
            "event_id": "77",
        }
        assert parse_event(orjson.dumps(row).decode(), STREAM, 2**41).event_id == "77"


@pytest.mark.parametrize("kind", ["uuid", "numeric", "timestamptz", "bytea"])
def test_keys_of_every_type(url: str, engine: Engine, kind: str) -> None:
    made = {
        "uuid": "gen_random_uuid()",
        "numeric": "g::numeric / 7",
        "timestamptz": "now() + g * interval '1 day'",
        "bytea": "decode(md5(g::text), 'hex')",
    }
    run(engine, f"create table orders (id {kind}, part text, n int not null, primary key (id, part))")
    run(engine, f"insert into orders select {made[kind]}, 'p' || g, 5 from generate_series(1, 50) g")
    with copy_of(table(url, "n", look_back=3, id_field="event_id")) as copy:
        while copy.read(limit=7):
            copy.restart()
        assert len({row["event_id"] for row in copy.settle(7)}) == len(copy.rows) == 50


def test_no_password_is_ever_said(url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    run(engine, TABLE)
    monkeypatch.setenv("SHOP_DATABASE_URL", url.replace("tidemill@", "nobody:s3cret@"))
    source = SqlTable("orders", url_env="SHOP_DATABASE_URL", cursor="id", look_back=10)
    with pytest.raises(Exception, match='"nobody" does not exist') as failed:
        source.open(STREAM, Copied("", lambda name: False))
    assert "s3cret" not in f"{failed.value!r} {source!r} {source.description}"
    assert source.description.startswith("table orders in postgresql://127.0.0.1")


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"cursor": "id", "look_back": "5min"}, "is a number"),
        ({"cursor": "changed_at", "look_back": None}, "look_back=None"),
        ({"cursor": "xid", "look_back": 5}, "need no look-back"),
        ({"cursor": "note", "look_back": 5}, "grow"),
        ({"cursor": "when", "look_back": 5}, "no column of orders"),
        ({"cursor": "id", "look_back": 5, "key": ("nr",)}, "key='nr' is no column"),
        ({"cursor": "id", "look_back": 5, "id_field": "note"}, "has a column 'note' already"),
        ({"cursor": "id", "look_back": 5, "schema": "other"}, "there is no table"),
    ],
)
def test_a_mistake_is_named(url: str, engine: Engine, options: dict[str, Any], fault: str) -> None:
    run(engine, TABLE)
    with pytest.raises(ProjectError, match=fault):
        SqlTable("orders", url=url, **options).open(STREAM, Copied("", lambda name: False))
