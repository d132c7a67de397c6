"""What the processes that share one port have counted: Prometheus asks the port, and one of them answers for all.

```
 process 17 ─► servers/8000/17.json ─┐
 process 18 ─► servers/8000/18.json ─┼─► whichever is asked ─► each series with the label `process`
 process 19 ─► servers/8000/19.json ─┘
```
Each process writes its counts down every second, and whichever is asked reads what all have written, its own too: told as they are now they
would be ahead of what the next one tells of them, and a counter that goes back is taken for a restart. A process holds a lock as long as it
lives; of one that is gone the counts are removed, as those of a server that was restarted are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from tidemill.stores.again import again_and_again
from tidemill.stores.file_lock import file_lock, try_lock

_EVERY_S = 1.0
_LABEL = "process"
Family = tuple[str, str, str, list[tuple[str, dict[str, str], float]]]  # name, what it is, type, (name, labels, value) of each series


class Siblings:
    """The counts of this process and of those beside it.

    Args:
        folder: of the port they share.
        own: what this process counts.
    """

    def __init__(self, folder: Path, own: Iterable[Collector]) -> None:
        self._folder = folder
        self._own = list(own)
        self._name = str(os.getpid())

    @contextmanager
    def going(self) -> Iterator[None]:
        """Write down what this process counts, for as long as the block runs."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with file_lock(self._folder / f"{self._name}.lock"):
            self.write()
            with again_and_again(self.write, _EVERY_S, "counts for siblings"):
                yield
            _remove(self._folder, self._name)

    def write(self) -> None:
        """Write it down now; one thread does at a time."""
        told: list[Family] = [
            (family.name, family.documentation, family.type, [(sample.name, sample.labels, sample.value) for sample in family.samples])
            for collector in self._own
            for family in collector.collect()
        ]
        half = self._folder / f"{self._name}.half"
        half.write_text(json.dumps(told), encoding="utf-8")
        half.replace(self._folder / f"{self._name}.json")

    def collect(self) -> Iterator[Metric]:
        """Every family once, with the series of all processes, up to a second old."""
        families: dict[str, Metric] = {}
        for process, found in self._all():
            for name, text, kind, samples in found:
                family = families.setdefault(name, Metric(name, text, kind))
                for sample, labels, value in samples:
                    family.add_sample(sample, {**labels, _LABEL: process}, value)
        yield from families.values()

    def _all(self) -> Iterator[tuple[str, list[Family]]]:
        for file in sorted(self._folder.glob("*.json")):
            with try_lock(file.with_suffix(".lock"), alone=True) as nobody:
                if nobody:
                    _remove(self._folder, file.stem)
            with suppress(FileNotFoundError):  # that was it, or it has just ended
                yield file.stem, json.loads(file.read_text(encoding="utf-8"))


def _remove(folder: Path, name: str) -> None:
    for kind in ("json", "half", "lock"):
        (folder / f"{name}.{kind}").unlink(missing_ok=True)
