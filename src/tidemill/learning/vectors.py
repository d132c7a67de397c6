"""Vectors: what a model reads of n questions, once as numbers for ONNX Runtime and the log, and by column for whoever explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from tidemill.events import Column, FieldKind
from tidemill.kernels import Floats


@dataclass(frozen=True)
class Vectors:
    """n vectors of one model.

    Args:
        names: of the columns that hold numbers, in the model's order.
        singles: (len(names), n) float32, NaN for missing: a row a column.
        texts: (n,) columns of text, None for missing.

    >>> two = Vectors(["size"], np.array([[0.1, np.nan]], np.float32), {"shop": np.array(["a", None], object)})
    >>> two.feed["shop"].tolist(), two.feed["size"].shape, two.numbers().tolist()
    ([['a'], ['']], (2, 1), [[0.10000000149011612], [nan]])
    """

    names: Sequence[str]
    singles: npt.NDArray[np.float32]
    texts: Mapping[str, Column]

    @classmethod
    def of(cls, columns: Mapping[str, Column], kinds: Mapping[str, FieldKind]) -> Vectors:
        """The vectors whose columns have these kinds, in this order.

        Args:
            columns: (n,) each, as `Model.assemble` makes them; there may be others.
            kinds: of the vector's columns.

        >>> Vectors.of({"size": np.array([2.5]), "shop": np.array(["a"], object)}, {"shop": "text", "size": "number"}).names
        ['size']
        """
        names = [name for name, kind in kinds.items() if kind != "text"]
        singles = np.array([columns[name] for name in names], dtype=np.float32)
        return cls(names, singles, {name: columns[name] for name, kind in kinds.items() if kind == "text"})

    def __len__(self) -> int:
        """How many vectors these are."""
        return int(self.singles.shape[1])

    def split(self, sizes: Sequence[int]) -> list[Vectors]:
        """Lots of these sizes, one behind the other, that hold all of them.

        >>> [lot.singles.tolist() for lot in Vectors(["size"], np.array([[1, 2, 3]], np.float32), {}).split([1, 2])]
        [[[1.0]], [[2.0, 3.0]]]
        """
        if len(sizes) == 1:
            return [self]
        spans = [slice(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]
        return [Vectors(self.names, self.singles[:, span], {name: text[span] for name, text in self.texts.items()}) for span in spans]

    @cached_property
    def feed(self) -> dict[str, Column]:
        """(n, 1) tensors: numbers as float32, text as strings with "" for missing; made once, for all versions that read them."""
        feed: dict[str, Column] = dict(zip(self.names, self.singles[:, :, None], strict=True))
        for name, column in self.texts.items():
            feed[name] = np.array([["" if value is None else value] for value in column.tolist()], dtype=object)
        return feed

    def numbers(self) -> Floats:
        """(n, len(names)) float64, C-ordered: a row a vector."""
        return self.singles.T.astype(np.float64, order="C")

    def by_column(self) -> dict[str, Column]:
        """(n,) columns: numbers as float64 with NaN for missing, text as objects with None."""
        return {**self.texts, **dict(zip(self.names, self.singles.astype(np.float64), strict=True))}
