"""What every version can be asked, whatever it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from tidemill.events import Column
from tidemill.kernels import Floats
from tidemill.learning.task import Task
from tidemill.learning.vectors import Vectors
from tidemill.stores import Class


class Scorer(Protocol):
    """Scores vectors.

    Attributes:
        task: what it answers.
        classes: what the columns of its probabilities stand for, where it tells several classes apart.
        waits: whether it is answered by another process, so that an event loop must not ask it.
        down: why it cannot answer just now; "" where it can.
    """

    task: Task
    classes: tuple[Class, ...]
    waits: bool

    @property
    def down(self) -> str: ...

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that it reads; of a vector it may leave some out."""

    def run(self, vectors: Vectors) -> Floats:
        """What it says of n vectors, of which several versions may be asked."""

    def score(self, columns: Mapping[str, Column], classes: Sequence[Class] = ()) -> Floats:
        """What it says of n vectors: (n,) the probability of outcome 1 or the value, (n, n_classes) the probabilities of its classes.

        Args:
            columns: (n,) columns as `Model.assemble` makes them.
            classes: those to answer for, in this order; one that it does not know has probability 0.
        """


def in_classes(said: Floats, own: Sequence[Class], wanted: Sequence[Class]) -> Floats:
    """Probabilities of `own` classes as those of `wanted` ones; of no wanted ones as they are.

    >>> in_classes(np.array([[0.25, 0.75]]), ("a", "b"), ("b", "c", "a")).tolist()
    [[0.75, 0.0, 0.25]]
    """
    if not wanted or tuple(wanted) == tuple(own):
        return said
    told = np.zeros((len(said), len(wanted)))
    for place, one in enumerate(wanted):
        if one in own:
            told[:, place] = said[:, list(own).index(one)]
    return told
