"""Files as a source: those of a folder, on a local disk or in S3, each copied once."""

from __future__ import annotations

import csv
import fnmatch
import io
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath

import orjson
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from tidemill.clock import wall_ms
from tidemill.errors import InputError, ProjectError
from tidemill.events import Arrived, Copied, Stream
from tidemill.sources.rows import row_text, typed_row
from tidemill.sources.text_rows import OPEN_AS, csv_rows, json_lines

_FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_MAX_WAIT_S = 1.0
_S3_PATIENCE_S = {"connect_timeout": 10, "request_timeout": 60}  # by itself Arrow gives up after 1 and 3


@dataclass(frozen=True)
class Files:
    """Every file that a pattern names, in the order of their names; new ones are found within seconds.

    A file is known by its path and copied once, whatever becomes of it later. It must not change after it has been seen: write it under a
    name that begins with a dot or an underscore, or elsewhere, and rename it. A local one is left alone until it is `settle_s` old.

    Args:
        pattern: `incoming/*.csv`, relative to where tidemill runs, or `s3://bucket/folder/*.parquet`; one `*` pattern, in the last part.
            The end of the names says the format: `.jsonl`, `.ndjson`, `.csv` (its first line names the fields) or `.parquet`; the first
            three may be compressed (`.csv.gz`).
        endpoint: of a server that speaks S3, e.g. `http://127.0.0.1:9000`; AWS when left out. Keys come from the environment, as for any
            AWS client.
        settle_s: how old a local file must be, seconds.
        look_every_s: how often to look for new ones, seconds.

    Raises:
        ProjectError: the pattern's end says no format, or its folder has a `*`.

    >>> Files("incoming/*.csv").description
    'files incoming/*.csv'
    """

    pattern: str
    endpoint: str | None = None
    settle_s: float = 2.0
    look_every_s: float = 1.0

    def __post_init__(self) -> None:
        """Check the declaration."""
        if self.format is None:
            fix = f"let it end in one of {', '.join(_FORMATS)}"
            raise ProjectError("the pattern does not say which format the files have", where=self.description, fix=fix)
        if "*" in str(PurePosixPath(self._path).parent):
            raise ProjectError("a folder has a *", where=self.description, fix="put it in the last part only")

    @property
    def description(self) -> str:
        """What and where."""
        return f"files {self.pattern}"

    @property
    def format(self) -> str | None:
        """`jsonl`, `csv` or `parquet`; None when the pattern does not say."""
        suffixes = [suffix for suffix in PurePosixPath(self._path).suffixes if suffix not in (".gz", ".bz2", ".zst")]
        return _FORMATS.get(suffixes[-1]) if suffixes else None

    def open(self, stream: Stream, copied: Copied) -> FileReader:
        """See `Source`."""
        if not self.pattern.startswith("s3://"):
            return FileReader(self, stream, copied, pafs.LocalFileSystem(), str(Path(self._path).absolute()))
        if self.endpoint is None:
            return FileReader(self, stream, copied, pafs.S3FileSystem(**_S3_PATIENCE_S), self._path)
        scheme, _, address = self.endpoint.partition("://")
        files = pafs.S3FileSystem(endpoint_override=address, scheme=scheme, **_S3_PATIENCE_S)
        return FileReader(self, stream, copied, files, self._path)

    @property
    def _path(self) -> str:
        return self.pattern.removeprefix("s3://")


class FileReader:
    """The files of a pattern, one after another, some rows at a time."""

    def __init__(self, source: Files, stream: Stream, copied: Copied, files: pafs.FileSystem, path: str) -> None:
        self._source = source
        self._stream = stream
        self._is_finished = copied.is_finished
        self._finished = frozenset[str]()  # of those that lie there, what the log is not asked again
        self._files = files
        self._folder, self._names = str(PurePosixPath(path).parent), PurePosixPath(path).name
        self._place: tuple[str, int] | None = None  # the file at hand, and how many of its rows were read
        self._rows: Iterator[str] | None = None
        self._found, self._look_s = deque[str](), 0.0
        if copied.checkpoint:
            held = orjson.loads(copied.checkpoint)
            self._place = (held["file"], held["rows"])
            if copied.is_finished(held["file"]):
                self._place = None

    def read(self, limit: int) -> Arrived | None:
        """See `Reader`."""
        if self._place is None:
            file = self._next()
            if file is None:
                return None
            self._place = (file, 0)
        file, n_rows = self._place
        if self._rows is None:
            self._rows = islice(self._open(file), n_rows, None)
        try:
            payloads = list(islice(self._rows, limit))
        except (OSError, ValueError, csv.Error) as error:  # Arrow's errors are among them
            raise InputError(f"cannot be read as {self._source.format}: {error}; mend it, or move it away to go on", where=file) from error
        n_rows += len(payloads)
        is_whole = len(payloads) < limit
        self._place = None if is_whole else (file, n_rows)
        if is_whole:
            self._rows = None
        return Arrived(payloads, orjson.dumps({"file": file, "rows": n_rows}).decode(), (file,) if is_whole else ())

    def close(self) -> None:
        """See `Reader`."""
        self._rows = None

    def _next(self) -> str | None:
        """The first file that waits; looks for some when none is known and the time has come."""
        if not self._found and (wait_s := self._look_s - time.monotonic()) > 0:
            time.sleep(min(wait_s, _MAX_WAIT_S))
            return None
        if not self._found:
            self._found.extend(self._waiting())
            self._look_s = time.monotonic() + self._source.look_every_s
        return self._found.popleft() if self._found else None

    def _waiting(self) -> list[str]:
        """The files that were not read yet and have settled, in the order of their names."""
        selector = pafs.FileSelector(self._folder, allow_not_found=True)
        settled_ms = wall_ms() - self._source.settle_s * 1_000
        found = []
        for info in self._files.get_file_info(selector):
            is_meant = info.is_file and info.base_name[0] not in "._" and fnmatch.fnmatchcase(info.base_name, self._names)
            is_settled = not isinstance(self._files, pafs.LocalFileSystem) or info.mtime_ns // 1_000_000 <= settled_ms
            if is_meant and is_settled:
                found.append(str(info.path))
        self._finished = frozenset(file for file in found if file in self._finished or self._is_finished(file))
        return sorted(set(found) - self._finished)

    def _open(self, file: str) -> Iterator[str]:
        """The rows of a file, as texts."""
        if self._source.format == "parquet":
            yield from _parquet_rows(self._files, file)
            return
        name = PurePosixPath(file).name  # its folder is that of the source
        with io.TextIOWrapper(self._files.open_input_stream(file), **OPEN_AS) as text:
            if self._source.format == "csv":
                rows = csv_rows(text, name, self._stream.kinds.keys())
                yield from (row if isinstance(row, str) else row_text(typed_row(row, self._stream)) for row in rows)
            else:
                yield from json_lines(text, name)


def _parquet_rows(files: pafs.FileSystem, file: str) -> Iterator[str]:
    with pq.ParquetFile(files.open_input_file(file)) as opened:
        for batch in opened.iter_batches():
            rows: Sequence[dict[str, object]] = batch.to_pylist()
            yield from map(row_text, rows)
