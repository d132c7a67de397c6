"""Copying sources into the log: a thread for each, paused while the engine is behind, begun anew after whatever goes wrong."""

from __future__ import annotations

import logging
import threading
import time

from tenacity import RetryCallState

from tidemill.clock import wall_ms
from tidemill.errors import ProjectError
from tidemill.events import Reader, Stream
from tidemill.project import Workspace
from tidemill.serving.retrying import repeat
from tidemill.streams import Advance, Entry

logger = logging.getLogger(__name__)

_BATCH = 5_000
_PAUSE_S = 0.05
_NEWS_EVERY_S = 2.0


class Copier:
    """Copies the source of one stream; each event is in the log once, whatever ends or fails in between.

    Args:
        workspace: where the log is.
        stream: one with a source.
        max_behind: how many events may wait in the log until it pauses.

    Raises:
        ProjectError: the stream has no source.
    """

    def __init__(self, workspace: Workspace, stream: Stream, max_behind: int) -> None:
        if stream.source is None:
            fix = "give Stream(..., source=...), or name a file"
            raise ProjectError("has no source to copy from", where=f"stream {stream.name!r}", fix=fix)
        self._workspace = workspace
        self._log = workspace.log
        self._stream = stream
        self._source = stream.source
        self._max_behind = max_behind
        self._reader: Reader | None = None
        self._checkpoint = ""
        self._told_s, self._since_told = 0.0, 0

    def step(self) -> int:
        """Copy what the source has next, at most some thousands; answers how many events, 0 when it has none or the engine is behind.

        Raises:
            ConflictError: another process copies the same source.
        """
        if self._workspace.is_behind(self._max_behind):
            time.sleep(_PAUSE_S)
            return 0
        try:
            return self._copy()
        except BaseException:
            self.close()  # what was read and not appended must be read again
            raise

    def _copy(self) -> int:
        if self._reader is None:
            copied = self._log.copied(self._stream.name)
            self._reader, self._checkpoint = self._source.open(self._stream, copied), copied.checkpoint
        arrived = self._reader.read(_BATCH)
        if arrived is None:
            self._tell(0, 0)
            return 0
        advance = Advance(self._stream.name, self._checkpoint, arrived.checkpoint, arrived.finished)
        self._log.append([Entry(self._stream.name, payload) for payload in arrived.payloads], wall_ms(), advance)
        self._checkpoint = arrived.checkpoint
        self._tell(len(arrived.payloads), arrived.lag)
        return len(arrived.payloads)

    def run(self, stopping: threading.Event) -> None:
        """Copy until told to stop; a failure is noted, and tried again after a pause that grows with each in a row."""
        repeat(self.step, stopping, self._note_failure)
        self.close()

    def close(self) -> None:
        """Let go of the source, also of one that refuses, as a broken connection may."""
        reader, self._reader = self._reader, None
        if reader is not None:
            try:
                reader.close()
            except Exception as error:
                logger.warning("source did not close stream=%s error=%r", self._stream.name, error)

    def _tell(self, n_events: int, lag: int | None) -> None:
        """Note how it goes, every few seconds."""
        self._since_told += n_events
        now_s = time.monotonic()
        if now_s - self._told_s >= _NEWS_EVERY_S:
            rate = self._since_told / (now_s - self._told_s) if self._told_s else None
            self._log.sources.tell(self._stream.name, wall_ms(), rate, lag)
            self._told_s, self._since_told = now_s, 0

    def _note_failure(self, state: RetryCallState) -> None:
        """Whatever a client raises; the reader begins anew at what the log has."""
        error = state.outcome.exception() if state.outcome else None
        logger.warning("source of stream failed stream=%s attempt=%d error=%r", self._stream.name, state.attempt_number, error)
        self._told_s = 0.0
        try:
            self._log.sources.tell_failure(self._stream.name, wall_ms(), f"{type(error).__name__}: {error}")
        except Exception as untold:  # a full disk, say; the copy goes on trying all the same
            logger.warning("failure of a source not noted stream=%s error=%r", self._stream.name, untold)


def copiers(workspace: Workspace, max_behind: int) -> list[Copier]:
    """One for each stream that has a source which is not the log itself."""
    streams = [one for one in workspace.project.streams if one.source is not None and not workspace.log.holds(one.source)]
    return [Copier(workspace, stream, max_behind) for stream in streams]
