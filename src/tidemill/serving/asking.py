"""Asking the versions that serve a model."""

from __future__ import annotations

from collections.abc import Mapping

from tidemill.errors import UnavailableError
from tidemill.events import Column
from tidemill.kernels import Floats
from tidemill.serving.champions import Loaded
from tidemill.stores import Role


def ask_all(by: Mapping[Role, Loaded], feed: Mapping[str, Column]) -> dict[Role, Floats]:
    """What each role says of n vectors, a version that has several roles once.

    A version in a process of its own may be down. Then its roles are left out, but for the champion: the answer must not depend on
    what is only tried.

    Raises:
        UnavailableError: the champion does not answer.
    """
    said: dict[int, Floats] = {}
    for version, held in {held.version: held for held in by.values()}.items():
        try:
            said[version] = held.scorer.run(feed)
        except UnavailableError:  # its process has logged it
            if version == by["champion"].version:
                raise
    return {role: said[held.version] for role, held in by.items() if held.version in said}
