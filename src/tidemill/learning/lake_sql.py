"""How DuckDB reads a stream's table, and how much of the machine it may take for it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from tidemill.events import Column, Stream
from tidemill.stores import EVENT_TIME, KNOWN_AT, OFFSET


@dataclass(frozen=True)
class Limits:
    """What reading the past may take; none of it changes a value.

    Args:
        memory_mb: what DuckDB holds in memory before it spills to disk, in MB. What it reads is held up to half of that before it goes
            to disk; the questions and their values come on top.
        threads: how many threads work, and how many blocks of events are summed up at a time.
        spill: the folder to spill into; None means the system's temporary folder.
        block_events: the most events that make a block, except where one question of a key needs more.
    """

    memory_mb: int = 800
    threads: int = 2
    spill: Path | None = None
    block_events: int = 500_000


DEFAULT_LIMITS = Limits()


@contextmanager
def spill_folder(limits: Limits) -> Iterator[Path]:
    """A folder for what does not fit in memory, removed with all that is in it."""
    if limits.spill is not None:
        limits.spill.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tidemill-spill-", dir=limits.spill) as folder:
        yield Path(folder)


@contextmanager
def open_duckdb(limits: Limits = DEFAULT_LIMITS) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of its own, within the limits; what it has spilled is removed with it."""
    with spill_folder(limits) as folder:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{limits.memory_mb}MB",
            "threads": limits.threads,
            "temp_directory": str(folder),
            "preserve_insertion_order": False,  # every query that cares says `order by`
        }
        with duckdb.connect(config=config) as connection:
            yield connection


def stored(fields: Iterable[str]) -> set[str]:
    """The columns of a table that `relation` reads for these fields."""
    return {OFFSET, KNOWN_AT, EVENT_TIME, *fields}


def known_by(now_ms: int) -> ds.Expression:
    """What was known at a time, as Arrow sees it."""
    return ds.field(KNOWN_AT) <= now_ms


def scan(connection: duckdb.DuckDBPyConnection, name: str, dataset: ds.Dataset, columns: Iterable[str], when: ds.Expression) -> None:
    """Let a connection read columns of a dataset under a name, once.

    Local files DuckDB reads by itself, which takes half the memory and two thirds of the time; others come through Arrow.

    Args:
        connection: whose queries read it.
        name: what they call it.
        dataset: of one stream.
        columns: the columns that are needed.
        when: which rows are needed; more may come.
    """
    wanted = sorted(set(columns))
    folder = dataset.filesystem if isinstance(dataset, ds.FileSystemDataset) else None
    if not isinstance(folder, SubTreeFileSystem) or not isinstance(folder.base_fs, LocalFileSystem):
        # by default Arrow reads ahead most of a table
        connection.register(name, dataset.scanner(columns=wanted, filter=when, batch_size=65_536, batch_readahead=2, fragment_readahead=2))
        return
    files = [f"{folder.base_path}{fragment.path}" for fragment in dataset.get_fragments(filter=when)]
    if not files:
        connection.register(name, dataset.schema.empty_table().select(wanted))
        return
    parquet = connection.read_parquet(files, union_by_name=True, hive_partitioning=False)
    held = set(parquet.columns)  # files that were written before a field was added do not hold it
    parquet.select(", ".join(f'"{column}"' if column in held else f'null as "{column}"' for column in wanted)).create_view(name)


def relation(stream: Stream, table: str, fields: Iterable[str]) -> str:
    """A sub-select over `table`: the named fields with times in ms, and beside them the lake's own columns, whose names no field has.

    >>> from pydantic import BaseModel
    >>> class Tap(BaseModel):
    ...     tap_id: str
    ...     at: int
    >>> relation(Stream("taps", schema=Tap, event_time="at", event_id="tap_id"), "events", ["at"])
    '(select "_offset", "_known_at_ms", "_event_time_ms", "at" from events)'
    """
    columns = [f'"{OFFSET}"', f'"{KNOWN_AT}"', f'"{EVENT_TIME}"']
    columns += [f'epoch_ms("{name}") as "{name}"' if stream.kinds[name] == "time" else f'"{name}"' for name in sorted(set(fields))]
    return f"(select {', '.join(columns)} from {table})"


def column_sql(stream: Stream, name: str) -> str:
    """A field of the events `e` as the engine's columns hold it: text, or a double with NaN for null and times in ms."""
    kind = stream.kinds[name]
    if kind == "text":
        return f'e."{name}"'
    number = f'epoch_ms(e."{name}")' if kind == "time" else f'e."{name}"'
    return f"coalesce(cast({number} as double), 'nan'::double)"


def column_of(column: pa.ChunkedArray) -> Column:
    """(n,) what DuckDB answers, as numpy: numbers as they are, text as objects with None."""
    if not pa.types.is_string(column.type):
        return np.asarray(column.to_numpy())
    encoded = column.combine_chunks().dictionary_encode()  # each text is made an object once
    texts = np.array([*encoded.dictionary.to_pylist(), None], dtype=object)
    return np.asarray(texts[encoded.indices.fill_null(len(texts) - 1).to_numpy()])
