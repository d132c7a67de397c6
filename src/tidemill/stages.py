"""Stages: named pieces of work whose time somebody may want to know. Nobody by default, and then a stage costs next to nothing.

```
with stage("predict.read"):      listeners: metrics of the server, an OpenTelemetry tracer
    ...                          each is told when it begins and when it ends, stages within it before it
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext

Facts = Mapping[str, str | int]
Listener = Callable[[str, Facts], AbstractContextManager[object]]
_LISTENERS: list[Listener] = []
_NOTHING: AbstractContextManager[object] = nullcontext()


def stage(name: str, **facts: str | int) -> AbstractContextManager[object]:
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
def listening(listener: Listener) -> Iterator[None]:
    """Tell a listener of every stage of this process, for as long as the block runs."""
    _LISTENERS.append(listener)
    try:
        yield
    finally:
        _LISTENERS.remove(listener)


@contextmanager
def _told(name: str, facts: Facts) -> Iterator[None]:
    with ExitStack() as held:
        for listener in tuple(_LISTENERS):
            held.enter_context(listener(name, facts))
        yield
