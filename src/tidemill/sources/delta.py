"""A Delta table as a source: all that it holds when it is first read, then what each later version has added."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import msgspec
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from pyarrow.dataset import FileSystemDataset

from tidemill.errors import NotReadyError
from tidemill.events import Arrived, Copied, Stream
from tidemill.sources.rows import row_text

_MAX_WAIT_S = 1.0
_CHANGE_COLUMNS = ("_change_type", "_commit_version", "_commit_timestamp")
_Changed = tuple[Iterable[str], Iterable[str]]  # rows that came, and rows that went
_CAME, _WENT = ("insert", "update_postimage"), ("delete", "update_preimage")


@dataclass(frozen=True)
class Delta:
    """The rows of a Delta table that only grows.

    What was there at first is read from that version's files; then the table's log is followed version by version. Files that are merged
    (`OPTIMIZE`) bring nothing twice. Rows that are deleted stay events that happened; one that is updated comes again, changed. A version
    is held in memory while it is copied. Where vacuum or the cleaning of the table's log has removed what was not copied yet, the copy
    stops and says so.

    Args:
        table: a folder, or `s3://bucket/folder`; keys come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...).
        look_every_s: how often to look for a new version, seconds.

    >>> Delta("warehouse/orders").description
    'delta table warehouse/orders'
    """

    table: str
    look_every_s: float = 1.0

    @property
    def description(self) -> str:
        """What and where."""
        return f"delta table {self.table}"

    def open(self, stream: Stream, copied: Copied) -> DeltaReader:  # its rows have types of their own
        """See `Source`."""
        return DeltaReader(self, copied.checkpoint)


class _Place(msgspec.Struct, frozen=True):
    """How far a table is read: the version that was read whole, the one at hand, its rows that were read, and whether those are all."""

    first: int
    version: int
    rows: int
    whole: bool


class DeltaReader:
    """The versions of a table, one after another, some rows at a time."""

    def __init__(self, source: Delta, checkpoint: str) -> None:
        self._source = source
        self._place = msgspec.json.decode(checkpoint, type=_Place) if checkpoint else None
        self._rows: Iterator[str] | None = None
        self._look_s = 0.0

    def read(self, limit: int) -> Arrived | None:
        """See `Reader`."""
        try:
            place = self._place if self._place and not self._place.whole else self._next()
            if place is None:
                return None
            if self._rows is None:
                self._rows = islice(self._open(place), place.rows, None)
            payloads = list(islice(self._rows, limit))
        except (DeltaError, TableNotFoundError, OSError, pa.ArrowInvalid) as error:
            what = f"{self._source.description} cannot be read"
            if self._place is None:
                raise NotReadyError(f"{what} yet: {error}") from error
            raise NotReadyError(
                f"{what} after version {self._place.version}: {error}; if vacuum or log retention has removed what was not copied, "
                "copy its files with Files(...) and follow it under another stream"
            ) from error
        whole = len(payloads) < limit
        if whole:
            self._rows = None
        self._place = _Place(place.first, place.version, place.rows + len(payloads), whole)
        return Arrived(payloads, msgspec.json.encode(self._place).decode())

    def close(self) -> None:
        """See `Reader`."""
        self._rows = None

    def _next(self) -> _Place | None:
        """The version to read next, if there is one and the time to look has come."""
        if (wait_s := self._look_s - time.monotonic()) > 0:
            time.sleep(min(wait_s, _MAX_WAIT_S))
            return None
        newest = DeltaTable(self._source.table).version()
        if self._place is None:
            return _Place(newest, newest, 0, whole=False)
        if newest > self._place.version:
            return _Place(self._place.first, self._place.version + 1, 0, whole=False)
        self._look_s = time.monotonic() + self._source.look_every_s
        return None

    def _open(self, place: _Place) -> Iterator[str]:
        table = DeltaTable(self._source.table)
        return _held(table, place.version) if place.version == place.first else iter(_added(table, place.version))


def _held(table: DeltaTable, version: int) -> Iterator[str]:
    """All rows of a version, in the order of its files."""
    table.load_as_version(version)
    yield from _texts(table.to_pyarrow_dataset())


def _added(table: DeltaTable, version: int) -> list[str]:
    """The rows that a version has added, sorted: the change feed has no order that would be the same when read again.

    A file that is rewritten, as by a delete, brings its rows as deleted and added again; those are nothing new.
    """
    try:
        came, went = _by_feed(table, version)
    except DeltaError:  # as of a version with another column or property than the one before, where the feed was not switched on
        came, went = _by_files(table, version)
    added = Counter(came)
    added.subtract(went)
    return sorted(text for text, times in added.items() for _ in range(times))


def _by_feed(table: DeltaTable, version: int) -> _Changed:
    """The rows that the change feed of a version tells as added, and as gone."""
    changes = pa.table(table.load_cdf(starting_version=version, ending_version=version))
    kinds = changes.column("_change_type").to_pylist()
    texts = [row_text(row) for row in changes.drop_columns(list(_CHANGE_COLUMNS)).to_pylist()]
    came, went = ([text for text, kind in zip(texts, kinds, strict=True) if kind in those] for those in (_CAME, _WENT))
    return came, went


def _by_files(table: DeltaTable, version: int) -> _Changed:
    """The rows of the files that a version has and the one before has not, and the other way round."""
    table.load_as_version(version - 1)
    before = table.to_pyarrow_dataset()
    table.load_as_version(version)
    now = table.to_pyarrow_dataset()
    return _texts(_without(now, before)), _texts(_without(before, now))


def _without(one: FileSystemDataset, other: FileSystemDataset) -> FileSystemDataset:
    fragments = [fragment for fragment in one.get_fragments() if fragment.path not in other.files]
    return FileSystemDataset(fragments, one.schema, one.format, one.filesystem)


def _texts(rows: FileSystemDataset) -> Iterator[str]:
    for batch in rows.to_batches():
        yield from map(row_text, batch.to_pylist())
