"""What a source promises: where a stream's events come from, and how far they have been copied into the log.

```
 source ──read──► Arrived(payloads, checkpoint) ──one transaction──► log: the events, and the checkpoint
```
The log keeps the checkpoint with the events that it covers, so a copy that is killed anywhere repeats nothing and skips nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tidemill.events.stream import Stream


@dataclass(frozen=True, slots=True)
class Arrived:
    """What one look at a source has brought.

    Args:
        payloads: the events' texts in the source's order, one JSON object each. What is no such text is brought as it stands: the engine
            rejects it and keeps it with the reason.
        checkpoint: how far the source is read with these events; a text of the source's own, never empty.
        finished: names of parts, e.g. files, that end with these events and are never read again.
        lag: how many events wait in the source behind these; None where it cannot be told.
    """

    payloads: Sequence[str]
    checkpoint: str
    finished: Sequence[str] = ()
    lag: int | None = None


@dataclass(frozen=True, slots=True)
class Copied:
    """How far a source has been copied.

    Args:
        checkpoint: of the last events copied; empty before the first.
        is_finished: whether a part of that name has been read to its end.
    """

    checkpoint: str
    is_finished: Callable[[str], bool]


class Reader(Protocol):
    """A source that was opened. It may raise whatever its client raises: it is then closed, and opened anew after a pause."""

    def read(self, limit: int) -> Arrived | None:
        """The next events, about `limit` at most; None when there is nothing, after it has waited for some at most a second."""
        ...

    def close(self) -> None:
        """Let go of connections and files."""
        ...


class Source(Protocol):
    """A declaration in the project file: it opens nothing before the worker does, and secrets come from the environment."""

    @property
    def description(self) -> str:
        """What and where, for people: `kafka topic departures at 127.0.0.1:9092`."""
        ...

    def open(self, stream: Stream, copied: Copied) -> Reader:
        """A reader that goes on after what was copied."""
        ...
