"""Arrays of numpy as values of PostgreSQL, encoded and decoded as a whole: row by row in Python would cost more than the statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format
from sqlalchemy import Engine, event

from tidemill.kernels import Floats, Ints, Tags

_INT8, _INT8S, _UUID, _UUIDS, _BYTEA, _BYTEAS = 20, 1016, 2950, 2951, 17, 1001  # types of PostgreSQL and of their arrays
_TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class Int8s:
    """An `int8[]`, as the server reads it."""

    encoded: bytes


@dataclass(frozen=True, slots=True)
class Uuids:
    """An `uuid[]`, as the server reads it."""

    encoded: bytes


@dataclass(frozen=True, slots=True)
class Byteas:
    """A `bytea[]`, as the server reads it."""

    encoded: bytes


def int8s(numbers: Ints) -> Int8s:
    """(n,) int64 as an `int8[]`."""
    cells = np.empty(len(numbers), dtype=[("n_bytes", ">i4"), ("it", ">i8")])
    cells["n_bytes"], cells["it"] = 8, numbers
    return Int8s(_array(_INT8, len(cells), [cells.tobytes()]))


def uuids(a: Tags, b: Tags) -> Uuids:
    """(n,) both halves of n digests as an `uuid[]`."""
    cells = np.empty(len(a), dtype=[("n_bytes", ">i4"), ("a", "<u8"), ("b", "<u8")])
    cells["n_bytes"], cells["a"], cells["b"] = _TAG_BYTES, a, b
    return Uuids(_array(_UUID, len(cells), [cells.tobytes()]))


def byteas(states: Sequence[Floats]) -> Byteas:
    """The rows of several (n, width) arrays, one after another, as a `bytea[]`; `floats` reads what stands in one."""
    parts = []
    for some in states:
        n_rows, width = some.shape
        cells = np.empty(n_rows, dtype=[("n_bytes", ">i4"), ("it", "<f8", (width,))])
        cells["n_bytes"], cells["it"] = 8 * width, some
        parts.append(cells.tobytes())
    return Byteas(_array(_BYTEA, sum(map(len, states)), parts))


def floats(told: bytes, width: int) -> Floats:
    """(n, width) float64, those of n values of such a `bytea[]` that the server has put together."""
    return np.frombuffer(told, dtype="<f8").astype(np.float64).reshape(-1, width)


def whole_numbers(told: bytes, n_bytes: int) -> Ints:
    """(n,) int64, what `int4send` (4 bytes) or `int8send` (8) made of n numbers, put together."""
    return np.frombuffer(told, dtype=f">i{n_bytes}").astype(np.int64)


def speak_arrays(engine: Engine) -> None:
    """Let every connection of an engine take these types."""

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Connection[Any], _record: Any) -> None:
        for kind, dumper in ((Int8s, _Int8sDumper), (Uuids, _UuidsDumper), (Byteas, _ByteasDumper)):
            connection.adapters.register_dumper(kind, dumper)

    engine.dispose()  # those that are open know none of it


def _array(kind: int, n_cells: int, parts: Sequence[bytes]) -> bytes:
    head: npt.NDArray[np.int32] = np.array([1, 0, kind, n_cells, 1] if n_cells else [0, 0, kind], dtype=">i4")
    return b"".join((head.tobytes(), *parts))


class _Encoded(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        encoded: bytes = obj.encoded
        return encoded


class _Int8sDumper(_Encoded):
    oid = _INT8S


class _UuidsDumper(_Encoded):
    oid = _UUIDS


class _ByteasDumper(_Encoded):
    oid = _BYTEAS
