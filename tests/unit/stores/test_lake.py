"""The lake holds each applied event exactly once, whoever appends it how often."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.unit.events.taps import STAMPS, T0, TAPS, entry, make_engine, open_log, open_state, payload
from tidemill.errors import ConflictError, NotReadyError
from tidemill.events import Stream
from tidemill.stores import OFFSET, Applied, Lake, LakeWriter, lake_schema, wait_for_lake


def taps(first: int, last: int) -> list[Applied]:
    """Applied taps at these offsets."""
    return [Applied(offset, "taps", T0 + offset, payload(f"t{offset}", T0 + offset, line="a")) for offset in range(first, last + 1)]


def offsets(lake: Lake, stream: str = "taps") -> list[int]:
    """What it holds, with every repetition."""
    return sorted(lake.dataset(stream).to_table().column(OFFSET).to_pylist())


def test_an_empty_lake_has_columns_and_no_rows(tmp_path: Path) -> None:
    lake = Lake(tmp_path, [TAPS])
    assert lake.dataset("taps").to_table().num_rows == 0
    assert lake.dataset("taps").schema.names == lake_schema(TAPS).names
    assert (lake.held("taps"), lake.version("taps")) == (0, 0)


def test_events_appended_again_are_left_out(tmp_path: Path) -> None:
    lake = Lake(tmp_path, [TAPS])
    lake.append("taps", taps(1, 3))
    for again in (taps(1, 3), taps(2, 5), taps(1, 5), taps(5, 5), []):
        lake.append("taps", again)
    Lake(tmp_path, [TAPS]).append("taps", taps(4, 7))
    assert offsets(lake) == [1, 2, 3, 4, 5, 6, 7]
    assert lake.held("taps") == 7
    version = lake.version("taps")
    lake.append("taps", taps(1, 7))
    assert lake.version("taps") == version


def test_each_stream_has_a_table_of_its_own(tmp_path: Path) -> None:
    more = Stream("more", schema=TAPS.schema, event_time="at", event_id="tap_id")
    lake = Lake(tmp_path, [TAPS, more])
    lake.append("taps", taps(5, 6))
    lake.append("more", taps(1, 2))
    assert (offsets(lake), offsets(lake, "more")) == ([5, 6], [1, 2])


class Overtaken(Lake):
    """A lake that another writer overtakes between its look and its write."""

    other: Lake

    def _table(self, stream: Stream, events: Sequence[Applied]) -> pa.Table:
        self.other.append(stream.name, events)
        return super()._table(stream, events)


@pytest.mark.parametrize("before", [0, 2])
def test_of_two_handles_that_race_one_fails_and_changes_nothing(tmp_path: Path, before: int) -> None:
    first, second = Lake(tmp_path, [TAPS]), Overtaken(tmp_path, [TAPS])
    second.other = first
    first.append("taps", taps(1, before))
    with pytest.raises(ConflictError, match="another writer appended to the lake's 'taps'"):
        second.append("taps", taps(1, 5))
    assert offsets(first) == [1, 2, 3, 4, 5]
    second.append("taps", taps(1, 5))  # again, as the message says: there is nothing left to do
    assert offsets(second) == [1, 2, 3, 4, 5]


def test_many_writers_at_once_append_each_event_once(tmp_path: Path) -> None:
    def work() -> None:
        lake = Lake(tmp_path, [TAPS])
        barrier.wait()
        for last in range(4, 21, 4):
            while lake.held("taps") < last:
                with suppress(ConflictError):
                    lake.append("taps", taps(1, last))

    Lake(tmp_path, [TAPS]).dataset("taps")
    barrier = threading.Barrier(3)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert offsets(Lake(tmp_path, [TAPS])) == list(range(1, 21))


def test_every_type_comes_back_and_duckdb_reads_it(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {
            "stamp_id": "full",
            "at": "2013-01-01T01:00:00.123456+01:00",
            "seen_at": "2013-06-01T12:00:00Z",
            "number": -(2**63),
            "share": 0.1,
            "ok": True,
            "sure": False,
            "text": "ü,\x00🚆",
        },
        {
            "stamp_id": "bare",
            "at": "2013-01-01T00:00:00Z",
            "seen_at": None,
            "number": 2**63 - 1,
            "share": None,
            "ok": False,
            "sure": None,
            "text": None,
        },
    ]
    lake = Lake(tmp_path, [STAMPS])
    lake.append("stamps", [Applied(place + 1, "stamps", T0, json.dumps(row)) for place, row in enumerate(rows)])
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.register("stamps", lake.dataset("stamps"))
        found = connection.sql("select * from stamps order by _offset").fetchall()
        ((late,),) = connection.sql(
            "select count(*) from stamps where seen_at > timestamptz '2013-03-01 00:00:00+00' or number > 0"
        ).fetchall()
    at = datetime(2013, 1, 1, tzinfo=UTC)
    full = (at.replace(microsecond=123456), at.replace(month=6, hour=12), -(2**63), 0.1, True, False, "ü,\x00🚆")
    assert [tuple(row) for row in found] == [
        (1, T0, 1_356_998_400_123, "full", "full", *full),
        (2, T0, 1_356_998_400_000, "bare", "bare", at, None, 2**63 - 1, None, False, None, None),
    ]
    assert late == 2


def test_the_writer_moves_what_was_applied_and_waits_until_it_is_due(tmp_path: Path) -> None:
    log, state, lake = open_log(tmp_path), open_state(tmp_path), Lake(tmp_path / "lake", [TAPS])
    log.append([entry(f"t{place}", T0 + place, line="a") for place in range(5)], now_ms=0)
    make_engine(log, state).drain(2)
    patient = LakeWriter(state, lake, every_s=3_600, every_events=6)
    assert patient.step() == 0
    with pytest.raises(NotReadyError, match=r"the lake is still behind after 0 s; .*`tidemill work`"):
        wait_for_lake(state, timeout_s=0.01, every_s=0.005)
    log.append([entry("t5", T0 + 5, line="a")], now_ms=0)
    make_engine(log, state).drain(2)
    assert patient.step() == 6  # enough wait now
    wait_for_lake(state, timeout_s=0.01)
    assert (offsets(lake), state.waiting_for_lake(), patient.flush()) == ([1, 2, 3, 4, 5, 6], 0, 0)
    log.append([entry("t6", T0 + 6, line="a")], now_ms=0)
    make_engine(log, state).drain(2)
    assert LakeWriter(state, lake, every_s=1e-9, every_events=1_000).step() == 1  # or it is time
    assert offsets(lake) == [1, 2, 3, 4, 5, 6, 7]
    state.close()
    log.close()
