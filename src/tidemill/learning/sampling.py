"""Fewer rows for all: a share of all questions, the same whoever draws it and whenever; or some of them, evenly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_ALL = 2**64


def evenly(n: int, most: int) -> npt.NDArray[np.int64]:
    """The places of at most `most` of `n` rows, evenly over them, rising.

    >>> evenly(9, 3).tolist(), evenly(2, 3).tolist(), evenly(0, 3).tolist()
    ([0, 4, 8], [0, 1], [])
    """
    return np.linspace(0, n - 1, min(n, most)).astype(np.int64)


@dataclass(frozen=True)
class Sample:
    """Which questions are learnt from, by their keys: a key is in or out for good, and a smaller share is part of a larger one.

    Args:
        share: how many of all keys, above 0 and at most 1.
        seed: another seed, another choice.

    Raises:
        ValueError: a share that leaves nothing, or more than all.

    >>> Sample(0.5).kept(["a", "d", "e"]).tolist()
    [True, True, False]
    """

    share: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the share."""
        if not 0 < self.share <= 1:
            raise ValueError(f"a sample of {self.share}: write a share of all questions above 0 and at most 1, e.g. 0.1")

    @property
    def _bound(self) -> int:
        return int(self.share * _ALL)

    def kept(self, keys: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(n,) whether each key is in."""
        if self.share == 1:
            return np.ones(len(keys), dtype=np.bool_)
        hashes = (hashlib.md5(f"{self.seed}:{key}".encode(), usedforsecurity=False).digest() for key in keys)
        return np.fromiter((int.from_bytes(hashed[:8], "little") < self._bound for hashed in hashes), dtype=np.bool_, count=len(keys))

    def sql(self, key: str) -> str:
        """DuckDB SQL of the same, so that what is left out is never held in memory.

        Args:
            key: SQL of the key, a text.
        """
        if self.share == 1:
            return "true"
        return f"md5_number_upper('{int(self.seed)}:' || {key}) < {self._bound}::ubigint"
