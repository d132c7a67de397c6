"""Derived features: a user's function, and whose mistake it is when it fails."""

from __future__ import annotations

import numpy as np
import pytest

from tidemill.errors import ProjectError
from tidemill.events import Column
from tidemill.features import derive


def hour_of(at: Column) -> Column:
    """The hour of a time in ms."""
    return at // 3_600_000 % 24


def test_one_row_and_a_million_are_the_same_function() -> None:
    derived = derive(hour_of)
    many = np.arange(48) * 3_600_000.0
    assert (derived.name, derived.parameters) == ("hour_of", ("at",))
    one_by_one = [derived.compute({"at": many[place : place + 1], "unused": many})[0] for place in range(48)]
    assert one_by_one == derived.compute({"at": many}).tolist() == [*range(24), *range(24)]


def test_a_function_that_fails_is_named() -> None:
    def broken(at: Column) -> Column:
        raise KeyError("tz")

    with pytest.raises(ProjectError, match=r"derive\(broken\): failed with KeyError\('tz'\); it must map numpy arrays to one array"):
        derive(broken).compute({"at": np.zeros(2)})


def test_a_function_of_another_shape_is_named() -> None:
    def total(at: Column) -> Column:
        return np.asarray(at.sum())

    with pytest.raises(ProjectError, match=r"derive\(total\): gave the shape \(\) for \(2,\); answer one value a row"):
        derive(total).compute({"at": np.zeros(2)})
