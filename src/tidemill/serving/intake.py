"""Events over HTTP: a body of bounded size, taken apart at once; or lines, taken as they come, for as long as they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from tidemill.clock import wall_ms
from tidemill.errors import BusyError, InputError
from tidemill.events import MAX_EVENT_BYTES
from tidemill.project import Workspace
from tidemill.serving.door import Received, Rejected, receive, split_events
from tidemill.settings import Settings

LINES = b"application/x-ndjson"

_AT_ONCE = 1_000
_MAX_LINE_BYTES = 4 * MAX_EVENT_BYTES  # of UTF-8, in which a letter takes up to four
_MAX_TOLD = 1_000
_PAUSE_S = 0.02
_NO_MORE_S = 0.005  # without a byte, and what has come is taken: whoever sends one line now and then means each at once
_PATIENCE_S = 300.0
_RETRY_AFTER_S = 1


async def take(workspace: Workspace, stream: str, request: Request, settings: Settings, tell: Callable[[Received], None]) -> Received:
    """Append the events of a request to the log; what is answered is durable.

    A body of the type `application/x-ndjson` may be of any length: its lines are appended as they come, up to a thousand at a time, and are
    not read while the engine is behind, which makes the sender wait. If it breaks off, what had come before is kept; sent again whole, that
    counts as duplicates. Of its rejected events the first thousand are named.

    Args:
        workspace: of the project.
        stream: whose events they are.
        request: with them.
        settings: what is bounded.
        tell: called with what has become of some events, as soon as they are in the log: lines may come for hours, and then break off.

    Raises:
        NotFoundError: no such stream.
        InputError: the body cannot be taken apart, or a line is too long.
        BusyError: the engine is behind.
    """
    workspace.project.stream(stream)
    if request.headers.get("content-type", "").encode().startswith(LINES):
        return await _take_lines(workspace, stream, request.stream(), settings.engine.max_behind, tell)
    received = await run_in_threadpool(_take_body, workspace, stream, await request.body(), settings)
    tell(received)
    return received


def _take_body(workspace: Workspace, stream: str, body: bytes, settings: Settings) -> Received:
    payloads, most = split_events(body, settings.server.max_events), settings.engine.max_behind
    if workspace.is_behind(most):
        raise BusyError(f"more than {most} events wait for the engine; is `tidemill work` running?", retry_after_s=_RETRY_AFTER_S)
    return receive(workspace, stream, payloads, wall_ms())


async def _take_lines(
    workspace: Workspace, stream: str, chunks: AsyncIterator[bytes], max_behind: int, tell: Callable[[Received], None]
) -> Received:
    accepted = duplicates = n_lines = 0
    rejected: list[Rejected] = []
    async for lines in in_lines(chunks, _AT_ONCE):
        await _wait_for_engine(workspace, max_behind, n_lines)
        said = await run_in_threadpool(receive, workspace, stream, lines, wall_ms())
        tell(said)
        accepted, duplicates = accepted + said.accepted, duplicates + said.duplicates
        rejected += [{**one, "index": n_lines + one["index"]} for one in said.rejected[: _MAX_TOLD - len(rejected)]]
        n_lines += len(lines)
    if not n_lines:
        raise InputError("no event; send one object a line")
    return Received(accepted, duplicates, rejected)


async def _wait_for_engine(workspace: Workspace, max_behind: int, n_taken: int) -> None:
    """Wait until the engine is not behind any more, but not for ever: it may have stopped, and the sender may have gone."""
    until_s = time.monotonic() + _PATIENCE_S
    while await run_in_threadpool(workspace.is_behind, max_behind):
        if time.monotonic() > until_s:
            what = f"more than {max_behind} events have waited for the engine for {_PATIENCE_S:.0f} s; is `tidemill work` running?"
            raise BusyError(
                f"{what} The first {n_taken} lines were kept; sent again they count as duplicates", retry_after_s=_RETRY_AFTER_S
            )
        await asyncio.sleep(_PAUSE_S)


async def in_lines(chunks: AsyncIterator[bytes], at_once: int) -> AsyncGenerator[list[str]]:
    """The lines of a text that comes in chunks, `at_once` at most, and fewer as soon as no more come; blank ones are none.

    Raises:
        InputError: a line is longer than any event may be; those before it were given.
    """
    waiting: list[str] = []
    rest, n_lines = b"", 0
    async for chunk in _with_pauses(chunks):
        *whole, rest = (rest + chunk).split(b"\n")
        waiting += _texts(whole)
        is_endless = len(rest) > _MAX_LINE_BYTES
        while len(waiting) >= at_once or (waiting and (is_endless or not chunk)):
            n_lines += len(waiting[:at_once])
            yield waiting[:at_once]
            waiting = waiting[at_once:]
        if is_endless:
            raise InputError(f"a line of more than {_MAX_LINE_BYTES} bytes; the events before it were kept", where=f"line {n_lines}")
    if waiting := [*waiting, *_texts([rest])]:
        yield waiting


async def _with_pauses(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Chunks, and an empty one before each that does not come soon."""
    while True:
        coming = asyncio.ensure_future(anext(chunks))
        try:
            if not (await asyncio.wait({coming}, timeout=_NO_MORE_S))[0]:
                yield b""
            chunk = await coming
        except StopAsyncIteration:
            return
        finally:
            coming.cancel()
        yield chunk


def _texts(lines: list[bytes]) -> list[str]:
    texts = (line.decode("utf-8-sig", "backslashreplace").strip() for line in lines)
    return [text for text in texts if text]
