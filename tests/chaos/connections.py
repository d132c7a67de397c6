"""What is done to the connections that go through a proxy."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from tests.chaos.proxy import Proxy


def cut(proxy: Proxy, rng: random.Random) -> None:
    """Every connection is cut, several times."""
    for _ in range(rng.randint(1, 5)):
        proxy.cut()
        time.sleep(rng.uniform(0, 0.3))


def half_open(proxy: Proxy, rng: random.Random) -> None:
    """Bytes vanish for seconds, both ways; then the connections are gone."""
    proxy.manner = "swallow"
    time.sleep(rng.uniform(1, 4))
    proxy.manner = "pass"
    proxy.cut()


def slow(proxy: Proxy, rng: random.Random) -> None:
    """Answers come late."""
    proxy.manner = "slow"
    time.sleep(rng.uniform(1, 3))
    proxy.manner = "pass"


DISTURBANCES: dict[str, Callable[[Proxy, random.Random], None]] = {"cut": cut, "half open": half_open, "slow": slow}
