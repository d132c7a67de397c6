"""Whoever waits for what stands still keeps nobody else from being answered."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

from anyio import to_thread

from tidemill.serving.waiting import in_thread


def test_other_routes_have_threads_while_predictions_wait_for_a_store() -> None:
    async def ask() -> int:
        goes_on = threading.Event()
        waiting = [asyncio.create_task(in_thread(partial(goes_on.wait, 60))) for _ in range(100)]
        try:
            for _ in range(10):
                await asyncio.sleep(0)
            return await asyncio.wait_for(to_thread.run_sync(lambda: 5), 20)
        finally:
            goes_on.set()
            assert all(await asyncio.gather(*waiting))

    assert asyncio.run(ask()) == 5
