"""Derived features: a Python function of numpy arrays, the same for one row and for a million."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
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
        inputs = [columns[name].copy() for name in self.parameters]  # what it does to them stays its own affair
        try:
            result = np.asarray(self.function(*inputs), dtype=np.float64)
        except Exception as error:  # the user's code: say whose it is
            raise ProjectError(f"failed with {error!r}", where=where, fix="it must map numpy arrays to one array") from error
        if inputs and result.shape != inputs[0].shape:
            raise ProjectError(f"gave the shape {result.shape} for {inputs[0].shape}", where=where, fix="answer one value a row")
        return result


def derive(function: Callable[..., Column]) -> Derived:
    """A feature computed by `function` from request fields (by name), views' features (as `view__feature`), tables' columns (as
    `table__column`) and other derived ones.

    Numbers and times (ms since the epoch) arrive as float64 with NaN for missing, text as objects with None.

    >>> def twice(speed):
    ...     return speed * 2
    >>> derive(twice).parameters
    ('speed',)
    """
    return Derived(function.__name__, function, tuple(inspect.signature(function).parameters))


def in_order(derived: Iterable[Derived]) -> list[Derived]:
    """Derived columns so that each comes after those it reads; otherwise as they came.

    Raises:
        ProjectError: two have one name, or they read one another in a circle.

    >>> def twice(speed):
    ...     return speed * 2
    >>> def twice_twice(twice):
    ...     return twice * 2
    >>> [column.name for column in in_order([derive(twice_twice), derive(twice)])]
    ['twice', 'twice_twice']
    """
    by_name: dict[str, Derived] = {}
    for column in derived:
        if column.name in by_name:
            raise ProjectError("two derived columns have this name", where=f"derive({column.name})", fix="rename one function")
        by_name[column.name] = column
    ordered: dict[str, Derived] = {}
    for name in by_name:
        _place(name, by_name, ordered, ())
    return list(ordered.values())


def _place(name: str, by_name: Mapping[str, Derived], ordered: dict[str, Derived], readers: tuple[str, ...]) -> None:
    """Put a column, after those it reads, into `ordered`; `readers` wait for it, the first of them longest."""
    if name in readers:
        circle = " -> ".join([*readers[readers.index(name) :], name])
        raise ProjectError(f"reads itself: {circle}", where=f"derive({name})", fix="leave one of these parameters out")
    if name not in ordered:
        for parameter in by_name[name].parameters:
            if parameter in by_name:
                _place(parameter, by_name, ordered, (*readers, name))
        ordered[name] = by_name[name]
