"""Outboxes as sources, on a real PostgreSQL: each row once, and gone once the log has it."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, NullPool, create_engine, text

from tests.database_feeds import copy_of, run
from tests.databases import new_schema
from tidemill.sources import SqlOutbox


@pytest.fixture
def url(postgres_url: str) -> str:
    return new_schema(postgres_url)


@pytest.fixture
def engine(url: str) -> Engine:
    return create_engine(url, poolclass=NullPool)


def test_an_outbox_is_emptied_and_a_copy_that_ended_before_repeats_nothing(url: str, engine: Engine) -> None:
    run(engine, "create table outbox (id bigserial primary key, payload jsonb)")
    run(engine, """insert into outbox (payload) select jsonb_build_object('id', g) from generate_series(1, 9) g""")
    with copy_of(SqlOutbox("outbox", url=url, poll_every="1ms")) as copy:
        assert copy.read(limit=4) == 4
        copy.restart()  # the log has four rows, and nobody has deleted them
        assert copy.ids() == list(range(1, 10))
        with engine.connect() as connection:
            assert connection.scalar(text("select count(*) from outbox")) == 0
        copy.restart()
        assert copy.ids() == list(range(1, 10))


def test_an_outbox_sees_what_commits_late(url: str, engine: Engine) -> None:
    run(engine, "create table outbox (id bigserial primary key, payload text)")
    with copy_of(SqlOutbox("outbox", url=url, poll_every="1ms")) as copy, engine.connect() as slow:
        slow.execute(text("""insert into outbox (payload) values ('{"id": 1}')"""))
        run(engine, """insert into outbox (payload) values ('{"id": 2}')""")
        assert copy.ids() == [2]
        slow.commit()
        assert copy.ids() == [2, 1]


def test_an_id_that_is_given_again_is_another_row(url: str, engine: Engine) -> None:
    run(engine, "create table outbox (id int primary key, payload text)", """insert into outbox values (1, '{"id": 10}')""")
    with copy_of(SqlOutbox("outbox", url=url, poll_every="1ms")) as copy:
        assert copy.read() == 1
        run(engine, "delete from outbox", """insert into outbox values (1, '{"id": 11}')""")
        copy.restart()
        assert copy.ids() == [10, 11]


@pytest.mark.parametrize(("kind", "value"), [("timestamptz", "null"), ("boolean", "false"), ("boolean", "null")])
def test_an_outbox_whose_rows_are_marked(url: str, engine: Engine, kind: str, value: str) -> None:
    run(engine, f"create table outbox (id serial primary key, payload text, done {kind})")
    run(engine, f"""insert into outbox (payload, done) select '{{"id": 1}}', {value} from generate_series(1, 5)""")
    with copy_of(SqlOutbox("outbox", url=url, mark="done", poll_every="1ms")) as copy:
        assert copy.ids() == [1] * 5
        with engine.connect() as connection:
            assert connection.scalar(text("select count(*) from outbox where done is not null and done::text <> 'false'")) == 5
