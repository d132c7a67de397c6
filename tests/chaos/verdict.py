"""What is left when all is quiet: books, lake and tiles, beside those of a run that nobody disturbed."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.project import project
from tests.chaos.system import N_CARDS, PATIENCE_S, StuckError, System
from tidemill.clock import DAY_MS, HOUR_MS, wall_ms
from tidemill.project import Workspace
from tidemill.stores import EVENT_ID, Lookup
from tidemill.streams import Books, Entry


@dataclass(frozen=True)
class Left:
    """What was found of one stream.

    Args:
        sent: events that were acknowledged.
        lost: of those, how many are not in the lake, or not in the books as applied.
        twice: how many are in the lake more than once, or in the books as applied more often than sent.
        resent: copies that came in again and were told from the first.
        wrong_books: books that do not balance, or hold something else than applied events and copies; else empty.
    """

    sent: int
    lost: int
    twice: int
    resent: int
    wrong_books: str = ""


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Args:
        streams: by name.
        different: values that differ from those of the undisturbed run, as text.
        compared: how many values were compared.
        stuck: why the system did not go on by itself, and nothing could be compared; else empty.
    """

    streams: Mapping[str, Left]
    different: tuple[str, ...] = ()
    compared: int = 0
    stuck: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, counted twice or changed."""
        wrong = any(left.lost or left.twice or left.wrong_books for left in self.streams.values())
        return not (self.stuck or wrong or self.different)


def judge(system: System, first_ms: int) -> Verdict:
    """Wait until all that was sent is applied, end the system in order, and compare.

    Args:
        system: its senders have ended.
        first_ms: before the first event.
    """
    _settle(system)
    books = system.workspace.books()
    streams = {name: _left(system, name, books[name]) for name in system.sent}
    twin = _undisturbed(system, system.folder / "twin")
    try:
        ours, theirs = _values(system.workspace, first_ms), _values(twin, first_ms)
    finally:
        twin.close()
    different = tuple(f"{name}: {ours[name]} and {theirs[name]}" for name in theirs if ours[name] != theirs[name])
    return Verdict(streams, different, len(theirs))


def _left(system: System, name: str, books: Books) -> Left:
    events = system.sent[name]
    table = system.workspace.lake.read(name)[0].to_table(columns=[EVENT_ID])
    times = Counter(table.column(EVENT_ID).to_pylist())
    return Left(
        sent=len(events),
        lost=max(sum(event not in times for event in events), len(events) - books.applied),
        twice=max(sum(n > 1 for n in times.values()), books.applied - len(events)),
        resent=books.duplicate,
        wrong_books="" if books.balanced and books.received == books.applied + books.duplicate else str(books),
    )


def _settle(system: System) -> None:
    """All is quiet: everything applied and in the lake, and worker and server ended in order.

    Raises:
        StuckError: it does not get there.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while not (system.has_applied({name: len(events) for name, events in system.sent.items()}) and _lake_is_full(system)):
        system.revive()
        if time.monotonic() > deadline_s:
            raise StuckError(f"it does not come to an end: {system.workspace.books()}\n{system.log_tail}")
        time.sleep(0.1)
    for process in (system.server, system.worker):
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


def _lake_is_full(system: System) -> bool:
    state = system.workspace.state
    return state.lake_position().at_least(state.position())


def _undisturbed(system: System, home: Path) -> Workspace:
    """The same events, applied in one go."""
    workspace = Workspace.open(project, home)
    for name, events in system.sent.items():
        workspace.log.append([Entry(name, text) for text in events.values()], wall_ms())
    workspace.engine().drain(10_000)
    return workspace


def _values(workspace: Workspace, first_ms: int) -> dict[str, str]:
    """By view, feature, card and hour: the value, as text, so that missing equals missing.

    It is looked at the windows of a day (24 tiles) from a day ahead on, an hour later each time. The first holds every event, each next one
    lacks the tiles of an hour, so where all are equal the tiles are.
    """
    cards = [f"c{number}" for number in range(N_CARDS)]
    looked_at = [Lookup(view.name, cards) for view in workspace.project.views]
    found: dict[str, str] = {}
    for at_ms in range(first_ms + DAY_MS, wall_ms() + DAY_MS + HOUR_MS, HOUR_MS):
        for column, values in workspace.state.tiles.read(looked_at, at_ms).values.items():
            found |= {f"{column} of {card} at {at_ms}": repr(value) for card, value in zip(cards, values, strict=True)}
    return found
