"""The bins in which the score of a version is watched: as fine as what it says can be held against what was said for its reference."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.drift.reference import Values
from tidemill.drift.statistics import Floats

_BY_LUCK = 1.0  # standard errors of a share by which two models may differ on the same rows


@dataclass(frozen=True)
class Scored:
    """The rows whose scores are a reference, where these are not the rows that were learnt from.

    Args:
        at_ms: (n_scores,) stream time of each.
        served: (n_scores,) what the version that serves says of them. One that was fitted again has learnt from them, and says another
            number of nearly every row than the model that was judged by them; as it came, the two differ by rounding.
    """

    at_ms: npt.NDArray[np.int64]
    served: Values


def between_values(edges: Floats, values: Floats) -> Floats:
    """Edges of bins moved into the gap above the value that each is at, so that none lies on a value.

    Trees say one number of many rows, and what serves rounds it differently from what was trained: by an edge on it, all these rows
    would change their bin.

    Args:
        edges: (n_edges,) rising, each at least the smallest value.
        values: (n,) finite; not empty.

    >>> between_values(np.array([0.25, 0.3, 0.75]), np.array([0.25, 0.25, 0.5, 0.75])).tolist()
    [0.375, 0.875]
    """
    distinct = np.unique(values)
    gaps = np.diff(distinct)
    beyond = gaps[-1] if gaps.size else max(abs(float(distinct[0])), 1.0) * 1e-5
    middles = distinct + np.append(gaps, beyond) / 2
    return np.asarray(np.unique(middles[np.searchsorted(distinct, edges, side="right") - 1]), dtype=np.float64)


def agreed(edges: Floats, judged: Floats, served: Floats) -> Floats:
    """The edges below which two models put as many of the same rows, give or take what luck could do.

    Args:
        edges: (n_edges,) rising.
        judged: (n,) finite, what one says of the rows.
        served: (n,) finite, what the other one says.

    >>> agreed(np.array([0.1, 0.5]), np.repeat([0.05, 0.9], 50), np.repeat([0.2, 0.8], 50)).tolist()
    [0.5]
    """
    below, served_below = (np.searchsorted(np.sort(said), edges, side="right") / len(said) for said in (judged, served))
    middle = np.clip((below + served_below) / 2, 1 / len(judged), 1 - 1 / len(judged))
    by_luck = np.sqrt(middle * (1 - middle) / len(judged))
    return edges[np.abs(below - served_below) <= _BY_LUCK * by_luck]
