"""A PostgreSQL that is stopped and started: a clear error meanwhile, nothing half, and going on with the same open stores after."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import MetaData

from tests.databases import Disposed, disposing, fresh_databases, postgres_server
from tests.unit.events.taps import RETENTION_MS, T0, VIEWS, entry, make_engine
from tests.unit.serving.predict_site import BODY, PATH, asked, open_site, scope_of
from tidemill.errors import UnavailableError
from tidemill.serving import waiting
from tidemill.stores import AlertStore, Answered, Databases, Lookup, PredictionStore, SqlLog, open_loop, open_state, postgres
from tidemill.stores.alerts import Alert
from tidemill.stores.cursors import reading, reading_cursor, writing_cursor
from tidemill.streams import Entry, Position


def _log(databases: Databases) -> Callable[[], object]:
    log = SqlLog(databases, ["taps"])

    def use() -> int:
        log.append([Entry("taps", "{}")] * 2, now_ms=5)
        return len(log.read(Position({}), 100)[0])

    return use


def _predictions(databases: Databases) -> Callable[[], object]:
    store = PredictionStore(databases)
    answered = Answered("m", 1, 1, "{}", "d", ["a", "b"], ["{}", "{}"], np.zeros((2, 1)), {"champion": (1, np.zeros(2))})

    def use() -> int:
        store.write(answered)
        return store.count("m")

    return use


def _alerts(databases: Databases) -> Callable[[], object]:
    store, said = AlertStore(open_loop(databases)), iter("abcdefgh")

    def use() -> int:
        for _ in range(2):
            store.raise_alert(Alert(next(said), "m", "info", "t", "b", "", at_ms=1))
        return len(store.recent())

    return use


def _state(databases: Databases) -> Callable[[], object]:
    log, state = SqlLog(Databases(databases.home), ["taps"]), open_state(databases, VIEWS, {}, RETENTION_MS)
    numbers = itertools.count()

    def use() -> int:
        state.position()
        log.append([entry(f"t{next(numbers)}", T0, line="a") for _ in range(2)], now_ms=5)
        make_engine(log, state).drain(10)
        return int(state.tiles.read([Lookup("by_line", ["a"])], T0).values["by_line__n_all"][0])

    return use


def test_a_server_that_stands_still_stops_nobody_but_who_asks_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", 1.0)
    with postgres_server() as server, open_site(tmp_path, server.url) as site:
        predict, health = scope_of(PATH, b"", site.headers()), {**scope_of("/healthz", b"", site.headers()), "method": "GET"}

        async def go() -> tuple[list[int], float]:
            first = await asked(site.app, predict, [BODY])  # the key has been proved
            with server.standing_still():
                held = asyncio.create_task(asked(site.app, predict, [BODY]))
                await asyncio.sleep(0.2)
                began_s = time.monotonic()
                alive = await asked(site.app, health, [b""])
                took_s = time.monotonic() - began_s
                assert not held.done(), "it waits for what stands still"
                refused = await held
            again = await asked(site.app, predict, [BODY])
            return [one.status for one in (first, alive, refused, again)], took_s

        statuses, took_s = asyncio.run(go())
        assert statuses == [200, 200, 503, 200]
        assert took_s < 0.8, "the loop was free"


def test_a_pool_that_has_run_dry_says_so(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_POOL_WAIT_S", 0.1)
    with fresh_databases(postgres_url, tmp_path) as databases, ExitStack() as held:
        engine = databases.open("loop", MetaData())
        for _ in range(15):
            held.enter_context(reading(engine).connect())
        with pytest.raises(UnavailableError, match="all connections of this process are in use"):
            reading(engine).connect()
        with pytest.raises(UnavailableError, match="all connections of this process are in use"), reading_cursor(engine):
            pass


def test_a_server_that_goes_in_the_middle_of_a_transaction_is_one_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with postgres_server() as server, disposing(Disposed(tmp_path, server.url)) as databases:
        engine = databases.open("loop", MetaData())
        with pytest.raises(UnavailableError, match="does not answer"), writing_cursor(engine) as cursor:
            cursor.execute("select 1")
            server.stop()
            cursor.execute("select 1")
        assert caplog.messages == [], "it is told by whoever asked"
        server.start()
        with writing_cursor(engine) as cursor:
            assert cursor.execute("select 1").fetchone() == (1,)


def test_every_store_says_so_and_goes_on(tmp_path: Path) -> None:
    with postgres_server() as server, disposing(Disposed(tmp_path, server.url)) as databases:
        uses = [open_it(databases) for open_it in (_log, _state, _predictions, _alerts)]
        assert [use() for use in uses] == [2, 2, 2, 2]  # the last is durable, and so all that were before it
        server.stop()
        for use in uses:
            for _ in range(2):  # a connection that was open, then a new one
                with pytest.raises(UnavailableError, match=r"PostgreSQL at postgresql\S+ does not answer: .*; try again once it does"):
                    use()
        server.start()
        assert [use() for use in uses] == [4, 4, 4, 4]
