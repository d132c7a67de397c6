"""Events: what they look like and whether one is valid."""

from tidemill.events.batch import Column, Columns, EventBatch, to_column
from tidemill.events.event import MAX_EVENT_BYTES, Event, parse_event
from tidemill.events.stream import FieldKind, Stream

__all__ = ["MAX_EVENT_BYTES", "Column", "Columns", "Event", "EventBatch", "FieldKind", "Stream", "parse_event", "to_column"]
