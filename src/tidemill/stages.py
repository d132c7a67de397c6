"""Stages: named pieces of work whose time somebody may want to know. Nobody by default, and then a stage costs next to nothing.

```
with stage("predict.read"):      listeners: metrics of the server, an OpenTelemetry tracer
    ...                          each is told when it begins and when it ends, stages within it before it
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

Facts = Mapping[str, str | int | Sequence[str]]
Listener = Callable[[str, Facts], AbstractContextManager[object]]
Namer = Callable[[], str | None]
_LISTENERS: list[Listener] = []
_NAMERS: list[Namer] = []
_NOTHING: AbstractContextManager[object] = nullcontext()


def stage(name: str, **facts: str | int | Sequence[str]) -> AbstractContextManager[object]:
    """A piece of work, for as long as the block runs.

    Args:
        name: `part.step`, one of few.
        facts: what else a trace should know; no secrets, no payloads.

    >>> heard = []
    >>> @contextmanager
    ... def listen(name, facts):
    ...     yield
    ...     heard.append((name, facts["rows"]))
    >>> with listening(listen), stage("predict.read", rows=1):
    ...     pass
    >>> heard
    [('predict.read', 1)]
    """
    if len(_LISTENERS) < 2:
        return _LISTENERS[0](name, facts) if _LISTENERS else _NOTHING
    return _told(name, facts)


@contextmanager
def listening(listener: Listener, namer: Namer | None = None) -> Iterator[None]:
    """Tell a listener of every stage of this process, for as long as the block runs.

    Args:
        listener: told.
        namer: says what `trace_parent` says, where the listener traces.
    """
    namers = [] if namer is None else [namer]
    _LISTENERS.append(listener)
    _NAMERS.extend(namers)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)
        for one in namers:
            _NAMERS.remove(one)


def is_traced() -> bool:
    """Whether anybody traces the stages of this process."""
    return bool(_NAMERS)


def trace_parent() -> str | None:
    """By what another process can point to the stage that goes on here, as W3C's `traceparent`; None where its trace is not kept.

    >>> print(trace_parent())
    None
    """
    return _NAMERS[0]() if _NAMERS else None


@contextmanager
def _told(name: str, facts: Facts) -> Iterator[None]:
    with ExitStack() as held:
        for listener in tuple(_LISTENERS):
            held.enter_context(listener(name, facts))
        yield
