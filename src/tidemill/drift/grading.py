"""How the texts of a column become numbers, where errors are to be told by them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tidemill.events import Column
from tidemill.kernels import Floats

_MOST_CATEGORIES = 50
_CATEGORY_ROWS = 20  # fewer tell too little of a category


@dataclass(frozen=True)
class Grading:
    """Each text counts as how far off answers about such rows are.

    Args:
        graded: of each frequent category the mean size of the error, in the outcome's unit.
        unknown: of all rows; any other category counts as this.

    >>> Grading({"north": 1.5, "south": 4.0}, 2.0).apply(np.array(["south", "east", None], dtype=object)).tolist()
    [4.0, 2.0, nan]
    """

    graded: Mapping[str, float]
    unknown: float

    def apply(self, texts: Column) -> Floats:
        """(n,) texts with None for missing -> (n,) float64 with NaN for missing."""
        found = [np.nan if text is None else self.graded.get(text, self.unknown) for text in texts.tolist()]
        return np.array(found, dtype=np.float64)

    @classmethod
    def fit(cls, texts: Column, size: Floats) -> Grading:
        """The grading of (n,) texts, by the (n,) sizes of errors.

        Source: categories in the order of their mean are all that a split needs to look at: Breiman, Friedman, Olshen, Stone,
        "Classification and Regression Trees", 1984, section 4.2.2.
        """
        known = Counter(text for text in texts.tolist() if text is not None)
        frequent = [text for text, n in known.most_common(_MOST_CATEGORIES) if n >= _CATEGORY_ROWS]
        return cls({text: float(size[texts == text].mean()) for text in frequent}, float(size.mean()))
