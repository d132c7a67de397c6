"""Peers beside a benchmark of ours: one that cannot run here says so on stderr, and the benchmark goes on without it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from benchmarks.kafka import KafkaError
from benchmarks.peer import Limits, PeerError, run_peer


@contextmanager
def or_without(what: str) -> Iterator[None]:
    """A block that a peer's failure ends early, with a word on stderr instead of an error.

    >>> with or_without("the slow one"):
    ...     raise PeerError("no network")
    """
    try:
        yield
    except (PeerError, KafkaError) as error:
        print(f"{what} could not run: {error}", file=sys.stderr)


def run_beside(peer: str, script: str, arguments: Mapping[str, Any], limits: Limits | None = None) -> dict[str, Any] | None:
    """What the script of a peer answers, or None when it cannot run here; see `run_peer`."""
    try:
        return run_peer(peer, script, arguments, limits)
    except PeerError as error:
        print(f"{peer} ({script}, {dict(arguments)}) could not run: {error}", file=sys.stderr)
        return None


def peer_versions(peer: str, answered: Mapping[str, Any]) -> dict[str, str]:
    """The versions in a peer's answer, each after the name of the peer, as an environment of its own may hold another of the same package.

    >>> peer_versions("quix", {"versions": {"python": "3.11.7", "orjson": "3.13.0"}})
    {'quix: python': '3.11.7', 'quix: orjson': '3.13.0'}
    """
    return {f"{peer}: {name}": version for name, version in answered["versions"].items()}
