"""Derived features: a Python function of numpy arrays, the same for one row and for a million."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tidemill.errors import ProjectError
from tidemill.events import Column


@dataclass(frozen=True)
class Derived:
    """A column made of other columns; its parameters' names say which."""

    name: str
    function: Callable[..., Column]
    parameters: tuple[str, ...]

    def compute(self, columns: Mapping[str, Column]) -> Column:
        """(n,) float64 of the columns it names.

        Raises:
            ProjectError: the function failed or gave another shape.
        """
        where = f"derive({self.name})"
        inputs = [columns[name] for name in self.parameters]
        try:
            result = np.asarray(self.function(*inputs), dtype=np.float64)
        except Exception as error:  # the user's code: say whose it is
            raise ProjectError(f"failed with {error!r}", where=where, fix="it must map numpy arrays to one array") from error
        if inputs and result.shape != inputs[0].shape:
            raise ProjectError(f"gave the shape {result.shape} for {inputs[0].shape}", where=where, fix="answer one value a row")
        return result


def derive(function: Callable[..., Column]) -> Derived:
    """A feature computed by `function` from request fields (by name) and from views' features (as `view__feature`).

    Numbers and times (ms since the epoch) arrive as float64 with NaN for missing, text as objects with None.

    >>> def twice(speed):
    ...     return speed * 2
    >>> derive(twice).parameters
    ('speed',)
    """
    return Derived(function.__name__, function, tuple(inspect.signature(function).parameters))
