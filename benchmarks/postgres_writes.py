"""Two ways to write tiles into PostgreSQL: arrays taken apart by `unnest`, as ADR 9 has it, and COPY into a temporary table beside it.

Both encode with numpy, and write the same rows into tables of their own, in turn, a transaction each; half of the rows of each are there.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from tests.databases import new_database
from tidemill.kernels import Floats, Ints, Tags
from tidemill.stores.cursors import writing_cursor
from tidemill.stores.postgres import open_postgres
from tidemill.stores.postgres_arrays import byteas, int8s, speak_arrays, uuids
from tidemill.stores.postgres_cursor import PostgresCursor
from tidemill.stores.row_tables import ROW_TABLES
from tidemill.stores.row_tiles import WRITE_TILES

_WIDTH = 4
_MAKE = "create temporary table incoming (until_ms int8, tag uuid, state bytea) on commit delete rows"
_COPY = "copy incoming from stdin (format binary)"
_FROM_COPY = "insert into tile select * from incoming on conflict (until_ms, tag) do update set state = excluded.state"
_HEAD, _TAIL = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_ROW = np.dtype(
    [
        ("n_fields", ">i2"),
        ("until_bytes", ">i4"),
        ("until_ms", ">i8"),
        ("tag_bytes", ">i4"),
        ("a", "<u8"),
        ("b", "<u8"),
        ("state_bytes", ">i4"),
        ("state", "<f8", (_WIDTH,)),
    ]
)


def write_both_ways(server_url: str, n_rows: int, commits: int) -> dict[str, float]:
    """The median of both, milliseconds for a commit of `n_rows` tiles."""
    engines = {way: open_postgres(new_database(server_url), "state", ROW_TABLES) for way in ("unnest", "copy")}
    speak_arrays(engines["unnest"])
    took_ms: dict[str, list[float]] = {way: [] for way in engines}
    rng = np.random.default_rng(0)
    until_ms: Ints = np.arange(n_rows * (commits + 1), dtype=np.int64) // n_rows * 60_000
    tags: npt.NDArray[np.uint64] = rng.integers(0, 1 << 63, (2, len(until_ms)), dtype=np.uint64)
    for number in range(commits):
        some = slice(number * n_rows // 2, number * n_rows // 2 + n_rows)
        states = rng.random((n_rows, _WIDTH))
        for way, write in (("unnest", _unnest), ("copy", _copy)):
            begin_s = time.perf_counter()
            write(engines[way], until_ms[some], (tags[0, some], tags[1, some]), states)
            took_ms[way].append(1_000 * (time.perf_counter() - begin_s))
    for engine in engines.values():
        engine.dispose()
    return {f"{n_rows:,} tiles by {way}, ms": statistics.median(all_) for way, all_ in took_ms.items()}


def _unnest(engine: Engine, until_ms: Ints, tags: tuple[Tags, Tags], states: Floats) -> None:
    with writing_cursor(engine) as cursor:
        cursor.execute(WRITE_TILES, (int8s(until_ms), uuids(*tags), byteas([states])))


def _copy(engine: Engine, until_ms: Ints, tags: tuple[Tags, Tags], states: Floats) -> None:
    with writing_cursor(engine) as cursor:
        assert isinstance(cursor, PostgresCursor)
        if cursor.execute("select to_regclass('pg_temp.incoming')").fetchone()[0] is None:
            cursor.execute(_MAKE)
        with cursor.raw.copy(_COPY) as copy:
            copy.write(_encoded(until_ms, tags, states))
        cursor.execute(_FROM_COPY)


def _encoded(until_ms: Ints, tags: tuple[Tags, Tags], states: Floats) -> bytes:
    rows = np.empty(len(until_ms), dtype=_ROW)
    rows["n_fields"], rows["until_bytes"], rows["tag_bytes"], rows["state_bytes"] = 3, 8, 16, 8 * _WIDTH
    rows["until_ms"], rows["a"], rows["b"], rows["state"] = until_ms, *tags, states
    return b"".join((_HEAD, rows.tobytes(), _TAIL))
