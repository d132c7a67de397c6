"""The values of keys in demand, remembered as long as they are what a read would find."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence

from tidemill.events import Column

_MOST = 10_000

HotKey = tuple[str, str | None]  # of a view


class HotKeys:
    """Values by view and key, each with a stamp of what it depends on; those put longest ago are forgotten first."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._held: OrderedDict[HotKey, tuple[Hashable, Iterable[Column]]] = OrderedDict()
        self._putting = threading.Lock()

    def get(self, asked: Mapping[str, Sequence[str | None]], stamp: Hashable) -> dict[str, Iterable[Column]]:
        """By view that is asked for one key, its values that are held under that stamp: column after column, (1,) each."""
        found = {}
        for view, keys in asked.items():
            if len(keys) == 1:
                held = self._held.get((view, keys[0]))
                if held is not None and held[0] == stamp:
                    found[view] = held[1]
        return found

    def put(self, values: Mapping[HotKey, Iterable[Column]], stamp: Hashable) -> None:
        """Remember what was read."""
        with self._putting:
            for key, held in values.items():
                self._held[key] = (stamp, held)
            while len(self._held) > self._most:
                self._held.popitem(last=False)
