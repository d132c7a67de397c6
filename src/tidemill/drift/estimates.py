"""What was to be expected of the predictions of one window, whatever their model predicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tidemill.drift.asked import columns_of, has_vector
from tidemill.drift.error_tree import ANSWER
from tidemill.drift.estimate import QualityReference, estimate_together
from tidemill.drift.estimate_errors import estimate_errors
from tidemill.drift.expected import row_losses_expected
from tidemill.drift.statistics import Floats
from tidemill.events import Column
from tidemill.learning import Model
from tidemill.learning.measured import Measured, by_class
from tidemill.stores import Followed

References = Callable[[int], QualityReference | None]  # of a version; None where this machine does not hold it
Which = npt.NDArray[np.bool_]


class Estimates(Protocol):
    """Looks at no outcome."""

    @property
    def known(self) -> Mapping[int, QualityReference]:
        """By version the references that tell what these answers are worth."""
        ...

    def expect(self, which: Which) -> Measured:
        """The metrics to be expected of the rows that `which` (n,) picks; rows that no reference tells of are left out."""
        ...

    def row_losses(self, which: Which) -> Floats:
        """(n_picked,) the loss to be expected of each row, NaN where no reference tells."""
        ...


@dataclass(frozen=True)
class ClassEstimates:
    """Of models with classes: an answer alone tells how likely each class is."""

    rows: Followed
    known: Mapping[int, QualityReference]

    def expect(self, which: Which) -> Measured:
        """See `Estimates`."""
        parts = [(self._said(mine, reference), reference) for mine, reference in _parts(self.rows, which, self.known)]
        return estimate_together(parts)

    def row_losses(self, which: Which) -> Floats:
        """See `Estimates`."""
        losses = np.full(len(self.rows), np.nan)
        for mine, reference in _parts(self.rows, which, self.known):
            said = self._said(mine, reference)
            losses[mine] = row_losses_expected(said, reference.worth(said))
        return losses[which]

    def _said(self, which: Which, reference: QualityReference) -> Floats:
        """(n_picked, n_classes) what was said, in the classes of a version's reference."""
        if not self.rows.classes:
            return by_class(self.rows.said[which])
        place = {one: number for number, one in enumerate(self.rows.classes)}
        return np.asarray(self.rows.said[which][:, [place[one] for one in reference.classes]], dtype=np.float64)


@dataclass(frozen=True)
class ValueEstimates:
    """Of models of a number: answer and vector tell how far off it probably is.

    A vector that was made by other definitions than today's tells nothing, as it does not say what its numbers are.
    """

    model: Model
    rows: Followed
    known: Mapping[int, QualityReference]

    def expect(self, which: Which) -> Measured:
        """See `Estimates`."""
        return estimate_errors(
            [
                (reference.errors.expect(self._columns(mine, reference)), reference)
                for mine, reference in self._readable(which)
                if reference.errors is not None
            ]
        )

    def row_losses(self, which: Which) -> Floats:
        """See `Estimates`."""
        losses, squared = np.full(len(self.rows), np.nan), self.model.objective.metric == "squared_error"
        for mine, reference in self._readable(which):
            if reference.errors is not None:
                losses[mine] = reference.errors.row_errors(self._columns(mine, reference), squared=squared)
        return losses[which]

    def _readable(self, which: Which) -> list[tuple[Which, QualityReference]]:
        return _parts(self.rows, which & has_vector(self.model, self.rows), self.known)

    def _columns(self, which: Which, reference: QualityReference) -> dict[str, Column]:
        names = [] if reference.errors is None else [name for name in reference.errors.names if name != ANSWER]
        return {ANSWER: self.rows.said[which], **columns_of(self.model, self.rows, which, names)}


def estimates_of(model: Model, rows: Followed, references: References) -> Estimates:
    """The estimates of rows, which have their vectors where the model predicts a number.

    A reference tells of a version where it was made for the same kind of answer: of a number, for columns that the model still has; of
    classes, for some of those of the rows.
    """
    versions = np.unique(rows.version[rows.role == "champion"]).tolist()
    found = {version: reference for version in versions if (reference := references(version)) is not None}
    if model.objective.kind == "value":
        return ValueEstimates(model, rows, {version: one for version, one in found.items() if _tells_errors(one, model)})
    return ClassEstimates(rows, {version: one for version, one in found.items() if _tells_classes(one, rows)})


def _tells_errors(reference: QualityReference, model: Model) -> bool:
    if reference.errors is None:
        return False
    kinds = {name: "text" if name in reference.errors.gradings else "number" for name in reference.errors.names if name != ANSWER}
    return kinds.items() <= model.columns.items()


def _tells_classes(reference: QualityReference, rows: Followed) -> bool:
    same = bool(reference.classes) == bool(rows.classes) and set(reference.classes) <= {*rows.classes}
    return reference.calibrator is not None and same


def _parts(rows: Followed, which: Which, known: Mapping[int, QualityReference]) -> list[tuple[Which, QualityReference]]:
    """The rows of each version that is known, where there are any."""
    parts = [(which & (rows.version == version), reference) for version, reference in known.items()]
    return [(mine, reference) for mine, reference in parts if mine.any()]
