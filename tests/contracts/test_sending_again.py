"""Dead letters are sent again once what was wrong with them is mended; what would be refused once more stays, and nothing counts twice."""

from __future__ import annotations

import json
from contextlib import closing

from pydantic import BaseModel

from tidemill import Project, Stream, View, count
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.project import SentAgain, Workspace, send_again
from tidemill.stores import Databases, Lookup
from tidemill.streams import Entry

NOON_MS = 20_000 * DAY_MS + 12 * HOUR_MS
N_BARE = 1_003  # more than a page


class Strict(BaseModel):
    """A tap; its gate must be there."""

    tap_id: str
    at: int
    gate: str


class Mended(BaseModel):
    """The same, after somebody found out that not every tap has one."""

    tap_id: str
    at: int
    gate: str | None = None


def opened(databases: Databases, schema: type[BaseModel]) -> Workspace:
    """The project with one schema or the other."""
    taps = Stream("taps", schema=schema, event_time="at", event_id="tap_id", allowed_lateness="1h")
    by_tap = View("by_tap", taps, entity="tap_id", features={"n": count(over="1h")})
    return Workspace.open(Project("gates", streams=[taps], views=[by_tap], models=[]), databases.home, database=databases.url)


def tap(tap_id: str, at_ms: int | str, **beside: str) -> Entry:
    """A tap as it is sent."""
    return Entry("taps", json.dumps({"tap_id": tap_id, "at": at_ms, **beside}))


def test_what_a_mended_schema_takes_is_sent_again_once(databases: Databases) -> None:
    bare = [tap(f"t{number}", NOON_MS) for number in range(N_BARE)]
    with closing(opened(databases, Strict)) as workspace:
        old = [tap("old", NOON_MS - 3 * HOUR_MS), tap("late", NOON_MS - 4 * HOUR_MS, gate="north")]
        more = tap("good", NOON_MS, gate="north", colour="a field that the schema does not have")
        workspace.log.append([more, *bare, bare[0], Entry("taps", "{torn"), tap("retyped", "noon", gate="north"), *old], NOON_MS)
        workspace.engine().drain(10_000)
        books = workspace.books()["taps"]
        assert (books.applied, books.rejected, books.late) == (1, N_BARE + 4, 1)
        refused_again = send_again(workspace, "taps", NOON_MS + 1)
        assert refused_again == SentAgain(0, 0, {"schema": N_BARE + 3, "not_json": 1, "late": 1})
    with closing(opened(databases, Mended)) as workspace:
        left = {"schema": 1, "not_json": 1, "late": 2}
        assert send_again(workspace, "taps", NOON_MS + 2) == SentAgain(N_BARE, 1, left)
        workspace.engine().drain(10_000)
        assert send_again(workspace, "taps", NOON_MS + 3) == SentAgain(0, N_BARE + 1, left)
        books = workspace.books()["taps"]
        assert books.balanced and books.pending == 0
        assert (books.applied, books.duplicate, books.rejected, books.late) == (N_BARE + 1, 0, N_BARE + 4, 1)
        reading = workspace.state.tiles.read([Lookup("by_tap", ["t0", f"t{N_BARE - 1}", "old"])], NOON_MS + 3)
        assert reading.values["by_tap__n"].tolist() == [1.0, 1.0, 0.0]
