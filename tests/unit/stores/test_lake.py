"""The lake: every applied event exactly once, whoever appends it and however often."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from tests.unit.events.taps import STAMPS, T0, TAPS, batch_of, entry, lake_writer, make_engine, open_log, open_state, payload
from tidemill.errors import ConflictError, NotReadyError
from tidemill.events import EventBatch
from tidemill.stores import (
    EVENT_ID,
    EVENT_TIME,
    KNOWN_AT,
    OFFSET,
    Lake,
    lake_schema,
    wait_for_lake,
)
from tidemill.streams import log_offset


def applied(offsets: Sequence[int]) -> EventBatch:
    """Applied taps at these offsets; the tap of an offset is always the same."""
    taps = batch_of([payload(f"t{offset}", T0 + offset % 10_000, line="a", fare=offset / 2) for offset in offsets])
    return replace(taps, offsets=np.array(offsets), known_at_ms=T0 + np.array(offsets))


def offsets_in(lake: Lake) -> list[int]:
    """What the lake holds of taps."""
    return sorted(lake.dataset("taps").to_table([OFFSET]).column(OFFSET).to_pylist())


def test_an_empty_lake_can_be_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", [TAPS])
    assert offsets_in(lake) == []
    assert lake.held("taps") == 0
    assert lake.dataset("taps").schema.names == lake_schema(TAPS).names


@pytest.mark.parametrize("again", [[1, 2, 3], [2], [3, 4], [1, 2, 3, 4, 5]])
def test_the_same_events_appended_again_are_held_once(tmp_path: Path, again: list[int]) -> None:
    lake = Lake(tmp_path / "lake", [TAPS])
    lake.append("taps", applied([1, 2, 3]))
    version = lake.version("taps")
    lake.append("taps", applied(again))
    Lake(tmp_path / "lake", [TAPS]).append("taps", applied(again))
    want = sorted({1, 2, 3, *again})
    assert offsets_in(lake) == want
    assert lake.held("taps") == want[-1]
    assert lake.version("taps") == version + (want[-1] > 3), "an append that brings nothing makes no version"


def test_each_partition_of_the_log_is_held_as_far_as_it_came(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", [TAPS])
    first = [log_offset("3", 1), 1, log_offset("3", 2), 2, log_offset("1", 5)]
    lake.append("taps", applied(first))
    assert [lake.held("taps", partition) for partition in "0123"] == [2, 5, 0, 2]
    version = lake.version("taps")
    lake.append("taps", applied([1, log_offset("3", 2), log_offset("1", 4)]))
    assert lake.version("taps") == version, "all of them lie below what is held"
    lake.append("taps", applied([log_offset("3", 2), 3, log_offset("2", 1)]))
    assert offsets_in(lake) == sorted([*first, 3, log_offset("2", 1)])
    lake.forget("taps", [3, log_offset("3", 1)])
    again = Lake(tmp_path / "lake", [TAPS])
    assert offsets_in(again) == sorted([1, 2, log_offset("1", 5), log_offset("3", 2), log_offset("2", 1)])
    assert [again.held("taps", partition) for partition in "0123"] == [3, 5, 1, 2], "what is forgotten does not come again"


def test_handles_that_race_hold_each_event_once(tmp_path: Path) -> None:
    """Four writers append the same growing history; whoever is too late conflicts and tries again."""
    last, failures = 12, list[BaseException]()
    barrier = threading.Barrier(4)

    def write() -> None:
        lake = Lake(tmp_path / "lake", [TAPS])
        try:
            for upto in range(1, last + 1):
                barrier.wait(timeout=240)
                while lake.held("taps") < upto:
                    with suppress(ConflictError):
                        lake.append("taps", applied(range(1, upto + 1)))
        except BaseException as error:
            failures.append(error)
            barrier.abort()
            raise

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failures
    assert offsets_in(Lake(tmp_path / "lake", [TAPS])) == list(range(1, last + 1))


def test_a_writer_that_was_overtaken_conflicts_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer comes between its check and its write."""

    def overtaken(table: object, *arguments: Any, **named: Any) -> None:
        monkeypatch.undo()
        Lake(tmp_path / "lake", [TAPS]).append("taps", applied([1, 2, 3]))
        write_deltalake(table, *arguments, **named)  # type: ignore[call-overload]  # whatever the lake hands over

    monkeypatch.setattr("tidemill.stores.lake.write_deltalake", overtaken)
    with pytest.raises(ConflictError, match="another writer appended to the lake's 'taps' at the same moment; try again"):
        Lake(tmp_path / "lake", [TAPS]).append("taps", applied([1, 2]))
    lake = Lake(tmp_path / "lake", [TAPS])
    assert offsets_in(lake) == [1, 2, 3]
    lake.append("taps", applied([1, 2, 3, 4]))
    assert offsets_in(lake) == [1, 2, 3, 4]


def test_every_type_comes_back_as_it_was_sent(tmp_path: Path) -> None:
    full = (
        '{"stamp_id": "s1", "at": "2013-03-10T01:02:03.000004-05:00", "seen_at": "1969-12-31T23:59:59.999999Z", '
        '"number": -9223372036854775808, "share": 0.1, "ok": true, "sure": false, "text": "ü, \\"x\\""}'
    )
    empty = '{"stamp_id": "s2", "at": "2013-01-01T00:00:00Z", "seen_at": null, "number": 9223372036854775807, "share": null, '
    empty += '"ok": false, "sure": null, "text": null}'
    lake = Lake(tmp_path / "lake", [STAMPS])
    stamps = batch_of([full, empty], STAMPS)
    lake.append("stamps", replace(stamps, offsets=np.array([7, 9]), known_at_ms=4_000_000_000_000 + np.arange(2)))
    table = lake.dataset("stamps").to_table().sort_by(OFFSET)
    assert table.schema.equals(lake_schema(STAMPS))
    first_at = datetime(2013, 3, 10, 6, 2, 3, 4, tzinfo=UTC)
    assert table.to_pylist() == [
        {
            OFFSET: 7, KNOWN_AT: 4_000_000_000_000, EVENT_TIME: 1_362_895_323_000, EVENT_ID: "s1", "stamp_id": "s1", "at": first_at,
            "seen_at": datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), "number": -(2**63), "share": 0.1, "ok": True,
            "sure": False, "text": 'ü, "x"',
        },
        {
            OFFSET: 9, KNOWN_AT: 4_000_000_000_001, EVENT_TIME: 1_356_998_400_000, EVENT_ID: "s2", "stamp_id": "s2",
            "at": datetime(2013, 1, 1, tzinfo=UTC), "seen_at": None, "number": 2**63 - 1, "share": None, "ok": False,
            "sure": None, "text": None,
        },
    ]  # fmt: skip


def test_duckdb_reads_it_with_nulls_as_nulls(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", [TAPS])
    lake.append("taps", applied([1, 2]))
    lake.append("taps", replace(batch_of([payload("t3", T0 + 3)]), offsets=np.array([3])))
    with duckdb.connect() as connection:
        connection.register("taps", lake.dataset("taps"))
        got = connection.execute(
            f'select count(*), count(fare), sum(fare), max("{OFFSET}") from taps where "{EVENT_TIME}" > $t', {"t": T0 + 1}
        )
        assert got.fetchall() == [(2, 1, 1.0, 3)]


def test_streams_do_not_share_a_table(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake", [TAPS, STAMPS])
    lake.append("taps", applied([5]))
    assert (lake.held("taps"), lake.held("stamps")) == (5, 0)
    assert lake.path("taps") != lake.path("stamps")
    assert isinstance(lake.dataset("stamps").to_table(), pa.Table)


def test_the_writer_moves_what_waits_in_parts(tmp_path: Path) -> None:
    log, state, lake = open_log(tmp_path), open_state(tmp_path), Lake(tmp_path / "lake", [TAPS])
    log.append([entry(f"t{place % 8}", T0 + place) for place in range(10)], now_ms=0)  # two of them duplicates
    make_engine(log, state).drain(4)
    writer = lake_writer(log, state, lake)
    assert writer.waiting() == 10
    assert writer.step(every_s=1_000.0, every_events=3) == 8
    assert (writer.waiting(), offsets_in(lake)) == (0, list(range(1, 9)))
    assert writer.flush() == 0
    log.append([entry("late", T0 + 20)], now_ms=0)
    make_engine(log, state).drain(4)
    assert writer.step(every_s=1_000.0, every_events=3) == 0, "one event is too few, and the time has not come"
    assert writer.step(every_s=1e-9, every_events=3) == 1
    assert offsets_in(lake) == [*range(1, 9), 11]
    state.close()
    log.close()


def test_who_needs_the_lake_waits_for_what_is_applied_now(tmp_path: Path) -> None:
    log, state, lake = open_log(tmp_path), open_state(tmp_path), Lake(tmp_path / "lake", [TAPS])
    wait_for_lake(state, timeout_s=0.0)
    log.append([entry("t1", T0)], now_ms=0)
    make_engine(log, state).drain(4)
    with pytest.raises(NotReadyError, match="the lake is still behind after 0 s; is the engine running"):
        wait_for_lake(state, timeout_s=0.0)
    flusher = threading.Timer(0.05, lake_writer(log, state, lake).flush)
    flusher.start()
    wait_for_lake(state, timeout_s=240.0, every_s=0.01)
    assert offsets_in(lake) == [1]
    flusher.join()
    state.close()
    log.close()
