"""Who listens is told what has changed, by one watcher for all, and is let go when the server ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest

from tidemill.errors import BusyError, UnavailableError
from tidemill.ui.changes import MOST_STREAMS, Changes, Pace, Told

QUICK = Pace(signs_s=0.001, least_s=0.0, most_s=3_600.0)
PATIENCE_S = 60.0


@dataclass
class Page:
    """What is shown, its sign, and how often it was looked at."""

    mark: str = "a"
    sign: int = 0
    looks: int = 0
    broken: bool = False
    asked: list[int] = field(default_factory=list)

    def look(self) -> dict[str, str]:
        self.looks += 1
        if self.broken:
            raise OSError("disk\ngone")
        return {"streams": self.mark}

    def signs(self) -> int:
        self.asked.append(self.sign)
        return self.sign

    def change(self, mark: str) -> None:
        self.mark, self.sign = mark, self.sign + 1


async def heard(stream: AsyncIterator[Told | None]) -> Told:
    """The next news; what is said while there is none is passed over."""

    async def next_news() -> Told:
        async for told in stream:
            if told is not None:
                return told
        raise AssertionError("the stream ended")

    return await asyncio.wait_for(next_news(), PATIENCE_S)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.001)


def test_every_listener_is_told_at_once_and_again_when_something_changes() -> None:
    async def run() -> None:
        page = Page()
        changes = Changes(page.look, page.signs, QUICK)
        for who in ("ann", "bob"):
            changes.begin(who)
        streams = [changes.follow(0.01), changes.follow(0.01)]
        assert [await heard(each) for each in streams] == [Told({"streams": "a"})] * 2
        page.change("b")
        assert [await heard(each) for each in streams] == [Told({"streams": "b"})] * 2
        late = changes.follow(0.01)
        assert await heard(late) == Told({"streams": "b"}), "whoever comes later is told what is so"
        assert await anext(late) is None, "and after that only that somebody is there"

    asyncio.run(run())


def test_while_nothing_changes_only_the_signs_are_read() -> None:
    async def run() -> None:
        page = Page()
        changes = Changes(page.look, page.signs, QUICK)
        changes.begin("ann")
        await heard(changes.follow(0.01))
        await until(lambda: page.looks == 2)  # the second says that it has come to rest
        asked = len(page.asked)
        await until(lambda: len(page.asked) > asked + 20)
        assert page.looks == 2

    asyncio.run(run())


def test_what_moves_by_itself_is_looked_at_until_it_rests() -> None:
    async def run() -> None:
        page = Page()
        marks = iter("abcdee")

        def look() -> dict[str, str]:
            page.looks += 1
            return {"streams": next(marks)}

        changes = Changes(look, page.signs, QUICK)
        changes.begin("ann")
        await until(lambda: page.looks == 6)
        asked = len(page.asked)
        await until(lambda: len(page.asked) > asked + 20)
        assert page.looks == 6

    asyncio.run(run())


def test_the_watcher_works_only_while_somebody_listens() -> None:
    async def run() -> None:
        page = Page()
        changes = Changes(page.look, page.signs, QUICK)
        assert (page.looks, changes.n_streams) == (0, 0)
        changes.begin("ann")
        changes.begin("ann")
        await heard(changes.follow(0.01))
        changes.leave("ann")
        assert changes.n_streams == 1
        changes.leave("ann")
        await asyncio.sleep(0)
        asked = len(page.asked)
        page.change("b")
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(page.asked) <= asked + 1, "the one that was under way"
        changes.begin("ann")
        assert await heard(changes.follow(0.01)) == Told({"streams": "b"}), "and it begins anew"

    asyncio.run(run())


def test_a_store_that_fails_is_said_and_so_is_its_return(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        page = Page(broken=True)
        changes = Changes(page.look, page.signs, QUICK)
        changes.begin("ann")
        stream = changes.follow(0.01)
        assert await heard(stream) == Told(failure="OSError: disk")
        page.broken = False
        assert await heard(stream) == Told({"streams": "a"})

    asyncio.run(run())
    assert "page not looked at error=OSError" in caplog.text


def test_one_key_has_so_many_streams_and_others_have_theirs() -> None:
    async def run() -> None:
        page = Page()
        changes = Changes(page.look, page.signs, QUICK)
        for _ in range(MOST_STREAMS):
            changes.begin("ann")
        with pytest.raises(BusyError, match="listen already with this key"):
            changes.begin("ann")
        changes.begin("bob")
        changes.leave("ann")
        changes.begin("ann")

    asyncio.run(run())


def test_a_server_that_ends_lets_everybody_go() -> None:
    async def run() -> None:
        page = Page()
        changes = Changes(page.look, page.signs, QUICK)
        changes.begin("ann")
        stream = changes.follow(3_600.0)
        await heard(stream)
        waiting = asyncio.ensure_future(anext(stream, None))
        await asyncio.sleep(0)
        changes.end()
        assert await asyncio.wait_for(waiting, PATIENCE_S) is None
        with pytest.raises(UnavailableError, match="about to end"):
            changes.begin("bob")
        changes.leave("ann")

    asyncio.run(run())
