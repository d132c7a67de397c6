"""What is left when all is quiet: books, lake and features, beside those of a run that nobody disturbed."""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.project import project
from tests.chaos.system import N_CARDS, PATIENCE_S, System
from tidemill.clock import DAY_MS, wall_ms
from tidemill.project import Workspace
from tidemill.stores import EVENT_ID, Lookup
from tidemill.streams import Books, Entry


@dataclass
class Verdict:
    """What was found, by stream.

    Args:
        sent: events that were acknowledged.
        lost: of those, how many are not in the lake exactly once, or not applied.
        twice: events that are in the lake more than once.
        resent: copies that came in again and were told from the first.
        different: features that differ from those of the undisturbed run.
        unbalanced: books that do not balance, or hold something else than applied events and copies.
    """

    sent: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    twice: dict[str, int] = field(default_factory=dict)
    resent: dict[str, int] = field(default_factory=dict)
    different: list[str] = field(default_factory=list)
    unbalanced: dict[str, Books] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, counted twice or changed."""
        return not (any(self.lost.values()) or any(self.twice.values()) or self.different or self.unbalanced)

    @property
    def text(self) -> str:
        """For people."""
        lines = [
            f"{name}: {self.sent[name]:,} sent, lost {self.lost[name]}, counted twice {self.twice[name]}, "
            f"{self.resent[name]} sent again and told apart"
            for name in self.sent
        ]
        lines += [f"books of {name}: {books}" for name, books in self.unbalanced.items()]
        lines.append(f"features beside an undisturbed run: {len(self.different)} differ {self.different[:5]}")
        return "\n".join(lines)


def judge(system: System, folder: Path) -> Verdict:
    """Wait until all that was sent is applied, end the system in order, and compare."""
    _settle(system)
    found = Verdict()
    books = system.workspace.books()
    for name, events in system.sent.items():
        table = system.workspace.lake.read(name)[0].to_table(columns=[EVENT_ID])
        times = Counter(table.column(EVENT_ID).to_pylist())
        found.sent[name] = len(events)
        found.lost[name] = max(sum(1 for event in events if times[event] != 1), len(events) - books[name].applied)
        found.twice[name] = sum(1 for n in times.values() if n > 1)
        found.resent[name] = books[name].duplicate
        if not books[name].balanced or books[name].received != books[name].applied + books[name].duplicate:
            found.unbalanced[name] = books[name]
    twin = _undisturbed(system, folder / "twin")
    at_ms = (wall_ms() // DAY_MS + 1) * DAY_MS
    ours, theirs = _features(system.workspace, at_ms), _features(twin, at_ms)
    found.different = [f"{name}: {ours[name]} and {theirs[name]}" for name in theirs if ours[name] != theirs[name]]
    twin.close()
    return found


def _settle(system: System) -> None:
    """All is quiet: everything applied, and worker and server ended in order, the lake flushed."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not system.has_applied({name: len(events) for name, events in system.sent.items()}) and time.monotonic() < deadline_s:
        system.revive()
        time.sleep(0.1)
    for process in (system.server, system.worker):
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)


def _undisturbed(system: System, home: Path) -> Workspace:
    """The same events, applied in one go."""
    workspace = Workspace.open(project, home)
    for name, events in system.sent.items():
        workspace.log.append([Entry(name, text) for text in events.values()], wall_ms())
    workspace.engine().drain(10_000)
    return workspace


def _features(workspace: Workspace, at_ms: int) -> dict[str, str]:
    """By view, card and feature: the value, as text, so that missing equals missing."""
    cards = [f"c{number}" for number in range(N_CARDS)]
    read = workspace.state.tiles.read([Lookup(view.name, cards) for view in workspace.project.views], at_ms).values
    return {f"{column} of {card}": repr(value) for column, values in read.items() for card, value in zip(cards, values, strict=True)}
