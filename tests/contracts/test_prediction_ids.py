"""An id that was told never names another prediction, whatever the store has lost."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import psycopg
import pytest

from tests import tiny
from tests.databases import Disposed, PostgresServer, disposing, new_database, postgres_server
from tidemill.errors import UnavailableError
from tidemill.project import Workspace
from tidemill.stores import Answered, Databases, PredictionStore, back_up, boot, restore_home

_IN_MEMORY = ("fsync=off", "wal_writer_delay=10s", "shared_buffers=32MB")  # what does not wait for the disk is not there for seconds


def answered(*keys: str) -> Answered:
    return Answered("m", 1_000, 7, "{}", "d", keys, ["{}"] * len(keys), np.zeros((len(keys), 2)), {"champion": (1, np.zeros(len(keys)))})


def ids(store: PredictionStore) -> list[int]:
    return [int(one) for one in store.served("m").ids]


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with postgres_server(_IN_MEMORY) as started:
        yield started


def told_until_it_stops(server: PostgresServer, stores: Sequence[PredictionStore]) -> list[int]:
    """The ids that some who log all the time are told until the server is stopped at once; it has been started anew on return."""
    told: list[int] = []

    def ask(store: PredictionStore, many: threading.Event) -> None:
        with suppress(UnavailableError):
            for number in itertools.count():
                told.extend(store.write(answered("a", "b")))
                if number == 50:
                    many.set()

    who = [(store, threading.Event()) for store in stores]
    threads = [threading.Thread(target=ask, args=one) for one in who]
    for thread in threads:
        thread.start()
    try:
        assert all(many.wait(60) for _, many in who)
    finally:
        server.stop()
        for thread in threads:
            thread.join()
    server.start()
    return told


def test_a_postgres_that_is_stopped_at_once_under_load_gives_no_id_twice(server: PostgresServer, tmp_path: Path) -> None:
    with disposing(Disposed(tmp_path, server.url)) as databases:
        stores = [PredictionStore(databases) for _ in range(2)]
        lives = [told_until_it_stops(server, stores) for _ in range(3)]  # the second crash takes what the first has made begin, too
        given = list(itertools.chain(*lives))
        assert len(ids(stores[0])) < len(given), "no crash has taken any, so nothing was tried"
        assert len(set(given)) == len(given)
        assert all(max(before) < min(after) for before, after in itertools.pairwise(lives)), "readers go on behind what they have read"


def test_a_postgres_that_is_shut_down_goes_on_where_it_was(server: PostgresServer, tmp_path: Path) -> None:
    with disposing(Disposed(tmp_path, server.url)) as databases:
        assert PredictionStore(databases).write(answered("a", "b")) == [1, 2]
        server.shut_down()
        server.start()
        assert PredictionStore(databases).write(answered("c")) == [3]


def test_a_postgres_that_has_lost_one_of_its_processes_is_seen_to_have_crashed(server: PostgresServer, tmp_path: Path) -> None:
    """It goes on under the same parent, and has started its memory anew, with what was not on the disk."""
    with disposing(Disposed(tmp_path, server.url)) as databases:
        store = PredictionStore(databases)
        told = [store.write(answered("a"))[0] for _ in range(50)]
        with psycopg.connect(server.url) as connection, suppress(psycopg.OperationalError):
            parent, *children = server.pids()
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            while True:
                connection.execute("select 1")
        until_s = time.monotonic() + 60
        while not set(children).isdisjoint(server.pids()) and time.monotonic() < until_s:  # the others answer until they are ended
            time.sleep(0.01)
        while len(told) < 51 and time.monotonic() < until_s:
            with suppress(UnavailableError):
                told += store.write(answered("a"))
        assert server.pids()[0] == parent
        assert told[50] > 1_000_000


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that says which start of the machine this is; `boot_id` reads it once a process."""
    name = tmp_path / "boot_id"
    name.write_text("first")
    monkeypatch.setattr(boot, "_LINUX", name)
    boot.boot_id.cache_clear()
    yield name
    boot.boot_id.cache_clear()


def start_again(machine: Path, home: Path, kept: Path, name: str) -> PredictionStore:
    """After a power cut that has left the files as they were in `kept`."""
    machine.write_text(name)
    boot.boot_id.cache_clear()
    shutil.rmtree(home)
    shutil.copytree(kept, home)
    return PredictionStore(Databases(home))


def test_a_power_cut_gives_no_id_twice(tmp_path: Path, machine: Path) -> None:
    home, kept = tmp_path / "home", tmp_path / "kept"
    store = PredictionStore(Databases(home))
    assert store.write(answered("a", "b")) == [1, 2]
    store.close()
    shutil.copytree(home, kept)
    store = PredictionStore(Databases(home))
    assert store.write(answered("c")) == [3]
    store.keys.catch_up(0)
    store.close()

    store = start_again(machine, home, kept, "second")
    assert ids(store) == [1, 2], "the third is lost"
    told = store.write(answered("c", "d", "e"))
    assert told[0] > 3
    assert ids(store) == [1, 2, *told]
    assert [score.prediction_id for score in store.scores("m", ["c"])] == told[:1]
    store.close()


def test_a_power_cut_that_leaves_no_prediction_at_all_is_seen_too(tmp_path: Path, machine: Path) -> None:
    home = tmp_path / "home"
    store = PredictionStore(Databases(home))
    assert store.write(answered("a", "b")) == [1, 2]
    store.close()
    with closing(sqlite3.connect(home / "serving.db")) as connection:
        connection.executescript("delete from prediction where id > 0; delete from score")
    shutil.copytree(home, tmp_path / "kept")
    store = start_again(machine, home, tmp_path / "kept", "second")
    assert store.write(answered("c"))[0] > 2
    store.close()


def test_a_new_start_of_the_machine_is_not_for_who_must_not_wait(tmp_path: Path, machine: Path) -> None:
    store = PredictionStore(Databases(tmp_path / "home"))
    assert store.write_at_once([answered("a")]) is None, "that the ids go on has to be on the disk first"
    assert store.write(answered("a")) == [1]
    assert store.write_at_once([answered("b")]) == [[2]]
    store.close()


def test_a_home_made_from_a_backup_gives_no_id_that_was_told_since(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with closing(Workspace.open(tiny.project, home)) as workspace:
        workspace.predictions.write(answered("a"))
        back_up(home, tmp_path / "backup", lambda *_: None)
        assert workspace.predictions.write(answered("b")) == [2]
    restore_home(tmp_path / "backup", tmp_path / "restored", lambda *_: None)
    with closing(PredictionStore(Databases(tmp_path / "restored"))) as store:
        assert store.write(answered("c"))[0] > 2


def test_a_database_made_from_a_dump_gives_no_id_that_was_told_since(tmp_path: Path, postgres_url: str) -> None:
    urls = [new_database(postgres_url) for _ in range(2)]
    with closing(Workspace.open(tiny.project, tmp_path / "home", database=urls[0])) as workspace:
        workspace.predictions.write(answered("a"))
        back_up(tmp_path / "home", tmp_path / "backup", lambda *_: None, urls[0])
        assert workspace.predictions.write(answered("b")) == [2]
    restore_home(tmp_path / "backup", tmp_path / "restored", lambda *_: None, urls[1])
    with closing(PredictionStore(Databases(tmp_path / "restored", urls[1]))) as store:
        assert store.write(answered("c"))[0] > 2
