"""A backup of the server profile, taken beside a load, and the home and database made from it."""

from __future__ import annotations

import threading
from contextlib import ExitStack, closing
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest

from tests import tabled, tiny
from tests.databases import fresh_databases
from tidemill.errors import ConflictError, RefusedError
from tidemill.project import Workspace
from tidemill.stores import OFFSET, Lookup, Manifest, back_up, restore_home
from tidemill.streams import Entry, Position, Record

MOVED = 300  # events are applied before a backup is taken, and after the last
PATIENCE_S = 600.0
pytestmark = pytest.mark.timeout(1_800)  # seconds alone on two cores
LOOKUPS = [Lookup(name, [*"abcde", None]) for name in ("by_shop", "shop_info")]


class Load(threading.Thread):
    """Appends, applies and moves to the lake, a little at a time, until it is told to stop."""

    def __init__(self, home: Path, url: str) -> None:
        super().__init__()
        self._where = (home, url)
        self._stopping, self._moved = threading.Event(), threading.Condition()
        self._offset = 0

    def run(self) -> None:
        """See `Load`."""
        home, url = self._where
        with closing(Workspace.open(tabled.project, home, database=url)) as workspace:
            entries = chain(tabled.first_rows(), tiny.history(0, 30))
            engine, lake = workspace.engine(), workspace.lake_writer()
            while not self._stopping.is_set():
                workspace.log.append(list(islice(entries, 20)), 0)
                engine.step(15)
                lake.step(every_s=0.05, every_events=150)
                with self._moved:
                    self._offset = workspace.state.position().offset("orders")
                    self._moved.notify_all()

    def wait_for(self, offset: int) -> None:
        """Until so much is applied."""
        with self._moved:
            assert self._moved.wait_for(lambda: self._offset >= offset or not self.is_alive(), PATIENCE_S)
        assert self.is_alive()

    def stop(self) -> None:
        """It has ended on return."""
        self._stopping.set()
        self.join()


def quiet(*_: object) -> None:
    """Told of the progress, says nothing."""


def goes_on_like_its_twin(home: Path, url: str, twin_home: Path, manifest: Manifest) -> None:
    """What a restored home comes to is what comes of its log alone, applied in files from the first event on."""
    with (
        closing(Workspace.open(tabled.project, home, database=url)) as restored,
        closing(Workspace.open(tabled.project, twin_home)) as twin,
    ):
        books = restored.books()
        assert all(of.balanced for of in books.values())
        assert sum(of.pending for of in books.values()) == manifest.log_end - manifest.offset
        records, _ = restored.log.read(Position({}), 1_000_000)
        twin.log.append([as_entry(record) for record in records], 0)
        for workspace in (restored, twin):
            workspace.engine().drain(200)
            workspace.lake_writer().flush()
        assert restored.books() == twin.books()
        got, want = (workspace.state.tiles.read(LOOKUPS, workspace.now_ms()).values for workspace in (restored, twin))
        for column, values in want.items():
            np.testing.assert_array_equal(got[column], values, err_msg=column)
        for stream in books:
            held = [workspace.lake.dataset(stream).to_table().sort_by(OFFSET).to_pylist() for workspace in (restored, twin)]
            assert held[0] == held[1], stream


def as_entry(record: Record) -> Entry:
    """An event on its way into another log."""
    return Entry(record.stream, record.payload, record.known_at_ms)


def test_taken_in_the_middle_of_a_load_it_goes_on_as_if_nothing_had_happened(tmp_path: Path, postgres_url: str) -> None:
    with ExitStack() as held:
        source, *targets = (held.enter_context(fresh_databases(postgres_url, tmp_path / name)) for name in ("home", "first", "second"))
        assert source.url is not None
        load = Load(source.home, source.url)
        load.start()
        taken: list[Manifest] = []
        try:
            for place in range(len(targets)):
                load.wait_for(MOVED * (place + 1))
                taken.append(back_up(source.home, tmp_path / f"backup{place}", quiet, source.url))
            load.wait_for(taken[-1].offset + MOVED)
        finally:
            load.stop()
        for place, (target, manifest) in enumerate(zip(targets, taken, strict=True)):
            assert target.url is not None
            assert restore_home(tmp_path / f"backup{place}", target.home, quiet, target.url) == manifest
            assert not (target.home / "tidemill.dump").exists()
            goes_on_like_its_twin(target.home, target.url, tmp_path / f"twin{place}", manifest)
        with pytest.raises(RefusedError, match="is of the server profile, with a dump of its PostgreSQL"):
            restore_home(tmp_path / "backup0", tmp_path / "files", quiet)
        with pytest.raises(ConflictError, match="the database holds the schema 'log' already"):
            restore_home(tmp_path / "backup0", tmp_path / "files", quiet, source.url)
