"""Events: what they look like and whether one is valid."""

from tidemill.events.batch import Column, Columns, EventBatch, to_column, to_columns
from tidemill.events.event import FORGOTTEN, MAX_EVENT_BYTES, MAX_KEY_BYTES, Event, Keys, parse_event, unfit, unfit_key, words_of
from tidemill.events.parsing import EventParser, Parsed
from tidemill.events.source import Arrived, Copied, Reader, Source
from tidemill.events.stream import FieldKind, Stream
from tidemill.events.unreadable import unreadable, why_unreadable

__all__ = [
    "FORGOTTEN",
    "MAX_EVENT_BYTES",
    "MAX_KEY_BYTES",
    "Arrived",
    "Column",
    "Columns",
    "Copied",
    "Event",
    "EventBatch",
    "EventParser",
    "FieldKind",
    "Keys",
    "Parsed",
    "Reader",
    "Source",
    "Stream",
    "parse_event",
    "to_column",
    "to_columns",
    "unfit",
    "unfit_key",
    "unreadable",
    "why_unreadable",
    "words_of",
]
