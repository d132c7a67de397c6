"""The metrics as people see them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.kernels import Floats


@dataclass(frozen=True)
class Figure:
    """A metric as people see it.

    Args:
        name: the attribute of `Quality`.
        title: for people.
        more_is_better: or less.
        is_mean: of one number a row, so that the mean of several weeks, weighted by their rows, is that of all rows.
    """

    name: str
    title: str
    more_is_better: bool = False
    is_mean: bool = False


LOG_LOSS, AUC = Figure("log_loss", "Log loss", is_mean=True), Figure("auc", "AUC", more_is_better=True)
ACCURACY = Figure("accuracy", "Accuracy", more_is_better=True, is_mean=True)
RMSE, MAE = Figure("rmse", "RMSE"), Figure("mae", "MAE", is_mean=True)
R2 = Figure("r2", "R²", more_is_better=True)


def too_far(difference: Floats, most: float) -> tuple[float, npt.NDArray[np.bool_]]:
    """The largest of (n,) differences, and the rows where it is above `most`."""
    return float(difference.max(initial=0.0)), ~(difference <= most)  # a NaN is too far too
