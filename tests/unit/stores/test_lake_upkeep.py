"""Few large files instead of many small ones, with writers and readers at work meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from tests.unit.events.taps import T0, TAPS, batch_of, payload
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.errors import ConflictError
from tidemill.events import EventBatch
from tidemill.stores import EVENT_TIME, OFFSET, Lake
from tidemill.stores.lake_upkeep import vacuum


def applied(offsets: Sequence[int]) -> EventBatch:
    """Taps at these offsets, one every eight hours: three a day."""
    taps = batch_of([payload(f"t{offset}", at(offset), line="a", fare=offset / 2) for offset in offsets])
    return replace(taps, offsets=np.array(offsets), known_at_ms=T0 + np.array(offsets))


def at(offset: int) -> int:
    return T0 + (offset - 1) * 8 * HOUR_MS


def held(dataset: ds.Dataset) -> list[int]:
    return sorted(dataset.to_table([OFFSET]).column(OFFSET).to_pylist())


def filled(folder: Path, n_events: int = 30, at_once: int = 1) -> Lake:
    lake = Lake(folder, [TAPS])
    for first in range(1, n_events + 1, at_once):
        lake.append("taps", applied(range(first, min(first + at_once, n_events + 1))))
    return lake


def files(lake: Lake) -> list[Path]:
    """Those that the table consists of."""
    return [Path(uri) for uri in DeltaTable(lake.path("taps")).file_uris()]


def test_files_lie_by_day_of_event_time_and_readers_see_no_day(tmp_path: Path) -> None:
    lake = filled(tmp_path, at_once=6)
    assert sorted({path.parent.name for path in files(lake)}) == [f"_day=2014-05-{13 + day}" for day in range(10)]
    assert "_day" not in lake.dataset("taps").schema.names
    first_day = lake.dataset("taps").get_fragments(filter=ds.field(EVENT_TIME) < T0 + DAY_MS)
    assert {Path(fragment.path).parent.name for fragment in first_day} == {"_day=2014-05-13"}


def test_a_compaction_leaves_one_file_a_day_and_every_event(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    before = lake.dataset("taps").to_table().sort_by(OFFSET)
    done = lake.compact("taps", min_files=2)
    assert (done.replaced, done.by, len(files(lake))) == (30, 10, 10)
    assert lake.dataset("taps").to_table().sort_by(OFFSET).equals(before)
    assert lake.held("taps") == 30, "or the next append would repeat events"
    lake.append("taps", applied(range(1, 34)))
    assert held(lake.dataset("taps")) == list(range(1, 34))


def test_days_with_few_small_files_are_left_alone(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    version = lake.version("taps")
    assert lake.compact("taps", min_files=4).replaced == 0
    assert lake.version("taps") == version
    assert Lake(tmp_path / "none", [TAPS]).compact("taps").replaced == 0


def test_a_reader_that_opened_the_table_before_goes_on_reading(tmp_path: Path) -> None:
    lake = filled(tmp_path)
    opened = lake.dataset("taps")
    lake.compact("taps", min_files=2)
    assert lake.vacuum("taps", keep_hours=1) == 0
    assert held(opened) == list(range(1, 31))
    assert vacuum(DeltaTable(lake.path("taps")), keep_hours=0) == 30
    assert held(lake.dataset("taps")) == list(range(1, 31))
    assert len(list(lake.path("taps").rglob("*.parquet"))) == 10 + checkpoints(lake)


def checkpoints(lake: Lake) -> int:
    return len(list((lake.path("taps") / "_delta_log").glob("*.parquet")))


def test_what_a_killed_writer_left_behind_is_removed_once_it_is_old(tmp_path: Path) -> None:
    lake = filled(tmp_path, 3)
    orphan = files(lake)[0].with_name("part-00000-of-a-killed-writer.parquet")
    orphan.write_bytes(b"half a file")
    assert lake.vacuum("taps", keep_hours=1) == 0
    old_s = time.time() - 2 * 3_600
    os.utime(orphan, (old_s, old_s))
    assert lake.vacuum("taps", keep_hours=1) == 1
    assert not orphan.exists()
    assert held(lake.dataset("taps")) == [1, 2, 3]


def test_a_vacuum_that_might_take_files_of_a_writer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep files for an hour at least"):
        filled(tmp_path, 1).vacuum("taps", keep_hours=0)


@dataclass
class Traffic:
    """What several threads do to one lake until its writer is done, which goes on until something was compacted meanwhile."""

    folder: Path
    last: int
    done: threading.Event = field(default_factory=threading.Event)
    compacted: int = 0

    def write(self) -> None:
        lake = Lake(self.folder, [TAPS])
        while (held_now := lake.held("taps")) < self.last or not self.compacted:
            with suppress(ConflictError):
                lake.append("taps", applied(range(1, held_now + 2)))
        self.done.set()

    def compact(self) -> None:
        lake = Lake(self.folder, [TAPS])
        while not self.done.is_set():
            self.compacted += lake.compact("taps", min_files=2).replaced
            lake.vacuum("taps", keep_hours=1)

    def read(self) -> None:
        lake = Lake(self.folder, [TAPS])
        while not self.done.is_set():
            seen = held(lake.dataset("taps"))
            assert seen == list(range(1, len(seen) + 1)), "an event is lost or doubled"


def test_a_writer_two_compactions_and_a_reader_do_not_disturb_each_other(tmp_path: Path) -> None:
    traffic = Traffic(tmp_path, last=60)
    Lake(tmp_path, [TAPS]).append("taps", applied([1]))
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(work) for work in (traffic.write, traffic.compact, traffic.compact, traffic.read)]
        for one in as_completed(running):
            traffic.done.set() if one.exception() else None
    assert [one.exception() for one in running] == [None] * 4
    last = Lake(tmp_path, [TAPS]).held("taps")
    assert last >= traffic.last
    assert held(Lake(tmp_path, [TAPS]).dataset("taps")) == list(range(1, last + 1))


def test_two_compactions_from_one_version_do_not_double_events(tmp_path: Path) -> None:
    filled(tmp_path, 12)
    together = threading.Barrier(3)

    def compact() -> int:
        lake = Lake(tmp_path, [TAPS])
        together.wait(timeout=240)
        return lake.compact("taps", min_files=2).replaced

    with ThreadPoolExecutor(3) as pool:
        replaced = sorted(one.result() for one in [pool.submit(compact) for _ in range(3)])
    assert replaced == [0, 0, 12]
    assert held(Lake(tmp_path, [TAPS]).dataset("taps")) == list(range(1, 13))
