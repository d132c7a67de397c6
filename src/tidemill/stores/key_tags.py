"""The digests of many keys, some of which are missing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tidemill.kernels import Flags, Tags
from tidemill.stores.digests import Texts, digest_texts

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class KeyTags:
    """(n,) both halves of the keys' digests, 0 for no key, and whether there is one."""

    first: Tags
    second: Tags
    present: Flags

    @classmethod
    def of(cls, keys: Texts) -> KeyTags:
        """The tags of n keys, None for an entity that is missing."""
        return cls(*digest_texts(keys))

    def rows(self, which: slice) -> KeyTags:
        """Some of them."""
        return KeyTags(self.first[which], self.second[which], self.present[which])


def lots_of(lots: Mapping[K, Sequence[str | None]]) -> tuple[KeyTags, dict[K, slice]]:
    """The tags of several lots of keys, hashed together, and where each lot is among them."""
    places, end = {}, 0
    for name, keys in lots.items():
        places[name] = slice(end, end := end + len(keys))
    return KeyTags.of([key for keys in lots.values() for key in keys]), places
