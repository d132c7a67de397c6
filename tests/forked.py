"""Processes that have imported everything when they begin, and what a forked child does: its work, and then it ends at once."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from typing import NoReturn

# One server for all tests of a session: it imports these once, and not each process that it forks, which takes seconds.
_FORKSERVER = get_context("forkserver")
_FORKSERVER.set_forkserver_preload(["tests.database_feeds", "tests.feeds", "tests.kafka_server", "tests.kinesis_feeds", "tidemill.serving"])


def forked(work: Callable[..., object], *arguments: object) -> BaseProcess:
    """Start a process that does it, and is ended with this one.

    Args:
        work: a function of a module.
        arguments: what it is called with; they are pickled.

    Returns:
        The running process. Its `exitcode` is 0 when the work is done, 1 when it raised, and negative for the signal that killed it.
    """
    process = _FORKSERVER.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def end_after(work: Callable[..., object], *arguments: object) -> NoReturn:
    """Do it, and end with code 0, or with 1 when it raises.

    Never by the interpreter's own end: libraries wait there for threads that a forked child does not have (onnxruntime does for ever).
    """
    code = 1
    try:
        work(*arguments)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
