"""Derived features: a user's function, and whose mistake it is when it fails."""

from __future__ import annotations

import numpy as np
import pytest

from tidemill.errors import ProjectError
from tidemill.events import Column
from tidemill.features import derive, in_order


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


def test_what_a_function_does_to_its_columns_stays_its_own() -> None:
    def filled(at: Column) -> Column:
        at[np.isnan(at)] = 0.0
        return at

    at = np.array([1.0, np.nan])
    derived = derive(filled)
    assert [derived.compute({"at": at}).tolist() for _ in range(2)] == [[1.0, 0.0]] * 2
    assert np.isnan(at[1])


def test_a_function_of_another_shape_is_named() -> None:
    def total(at: Column) -> Column:
        return np.asarray(at.sum())

    with pytest.raises(ProjectError, match=r"derive\(total\): gave the shape \(\) for \(2,\); answer one value a row"):
        derive(total).compute({"at": np.zeros(2)})


def test_a_derived_column_may_read_another() -> None:
    def speed(distance: Column, hours: Column) -> Column:
        return distance / hours

    def hours(minutes: Column) -> Column:
        return minutes / 60

    def fast(speed: Column, limit: Column) -> Column:
        return speed > limit

    declared = [derive(fast), derive(speed), derive(hours)]
    columns = {"distance": np.array([100.0]), "minutes": np.array([120.0]), "limit": np.array([49.0])}
    for order in (declared, declared[::-1], [declared[1], declared[0], declared[2]]):
        made = dict(columns)
        for column in in_order(order):
            made[column.name] = column.compute(made)
        assert (made["hours"].tolist(), made["speed"].tolist(), made["fast"].tolist()) == ([2.0], [50.0], [1.0])
    assert in_order([]) == []


def test_derived_columns_that_need_no_order_keep_theirs() -> None:
    def b(x: Column) -> Column:
        return x

    def a(x: Column) -> Column:
        return x

    assert [column.name for column in in_order([derive(b), derive(a)])] == ["b", "a"]


def test_a_circle_is_named() -> None:
    def a(x: Column, b: Column) -> Column:
        return x + b

    def b(c: Column) -> Column:
        return c

    def c(b: Column) -> Column:
        return b

    with pytest.raises(ProjectError, match=r"derive\(b\): reads itself: b -> c -> b; leave one of these parameters out"):
        in_order([derive(a), derive(b), derive(c)])

    def own(own: Column) -> Column:
        return own

    with pytest.raises(ProjectError, match=r"derive\(own\): reads itself: own -> own"):
        in_order([derive(own)])


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ProjectError, match=r"derive\(hour_of\): two derived columns have this name; rename one function"):
        in_order([derive(hour_of), derive(hour_of)])
