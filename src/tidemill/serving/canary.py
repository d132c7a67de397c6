"""Which questions a canary answers: a share of the keys, and of a key always all or none."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

_ALL = 1 << 64


@dataclass(frozen=True)
class Canary:
    """A share of keys by their hash: sticky, the same on every server, and a larger share holds the smaller one's keys.

    Args:
        salt: names model and version, so that not the same keys are first every time.
        percent: of all keys, 0 to 100.

    >>> small, large = Canary("shop.refund:7", 5), Canary("shop.refund:7", 20)
    >>> keys = [f"c{number}" for number in range(10_000)]
    >>> sum(map(small.takes, keys)), sum(map(large.takes, keys)), any(small.takes(key) and not large.takes(key) for key in keys)
    (506, 2081, False)
    """

    salt: str
    percent: float

    def takes(self, key: str) -> bool:
        """Whether it answers the questions of a key."""
        digest = blake2b(key.encode(), digest_size=8, key=blake2b(self.salt.encode(), digest_size=16).digest()).digest()
        return int.from_bytes(digest) < _ALL * self.percent / 100
