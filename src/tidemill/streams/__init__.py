"""Streams: the log's promise, positions, recordings, and the engine that applies events."""

from tidemill.streams.books import Books
from tidemill.streams.engine import Commit, DeadLetter, Engine, LogReader, StateStore
from tidemill.streams.log import Advance, Entry, Log, Record, Records, Tally
from tidemill.streams.log_offset import log_offset, partition_of
from tidemill.streams.position import Mark, Position
from tidemill.streams.recording import Asked, Counts, Recorded, Recording

__all__ = [
    "Advance",
    "Asked",
    "Books",
    "Commit",
    "Counts",
    "DeadLetter",
    "Engine",
    "Entry",
    "Log",
    "LogReader",
    "Mark",
    "Position",
    "Record",
    "Recorded",
    "Recording",
    "Records",
    "StateStore",
    "Tally",
    "log_offset",
    "partition_of",
]
