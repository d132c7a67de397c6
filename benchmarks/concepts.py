"""Rows of two published generators whose concept can be changed: Agrawal's people who ask for a loan, and SEA.

Sources: Agrawal, Imielinski, Swami, "Database Mining: A Performance Perspective", 1993 (ten functions of nine attributes, numbers
perturbed after the class is told, here by 5 % of their range as in MOA); Street, Kim, "A Streaming Ensemble Algorithm (SEA) for
Large-Scale Classification", 2001 (two of three numbers and a threshold, a tenth of the classes turned around).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tidemill.kernels import Floats

Flags = npt.NDArray[np.bool_]
Columns = dict[str, Floats]
SEA_THRESHOLDS = (8.0, 9.0, 7.0, 9.5)
SEA_NOISE = 0.1
PERTURBATION = 0.05
AGRAWAL_TELLING = (0, 1, 2, 3, 4, 5, 6, 8)  # the others, of which one need not learn, say yes to 98 % and more
_RANGES = {"salary": 130_000, "commission": 65_000, "age": 60, "hvalue": 1_350_000, "hyears": 29, "loan": 500_000}


def sea(thresholds: Floats, rng: np.random.Generator) -> tuple[Columns, Floats]:
    """Rows by column and their (n,) outcomes: whether the first two numbers together are at most the threshold of the row."""
    numbers = rng.uniform(0.0, 10.0, (3, len(thresholds)))
    turned = rng.random(len(thresholds)) < SEA_NOISE
    outcome = (numbers[0] + numbers[1] <= thresholds) != turned
    return {f"x{place}": column for place, column in enumerate(numbers, start=1)}, outcome.astype(np.float64)


def agrawal(functions: npt.NDArray[np.int64], rng: np.random.Generator) -> tuple[Columns, Floats]:
    """Rows by column and their (n,) outcomes; `functions` (n,) says by which of the ten, 0 to 9, each row is judged."""
    n = len(functions)
    salary = rng.uniform(20_000, 150_000, n)
    zipcode = rng.integers(0, 9, n)
    columns: Columns = {
        "salary": salary,
        "commission": np.where(salary >= 75_000, 0.0, rng.uniform(10_000, 75_000, n)),
        "age": rng.integers(20, 81, n).astype(np.float64),
        "elevel": rng.integers(0, 5, n).astype(np.float64),
        "car": rng.integers(1, 21, n).astype(np.float64),
        "zipcode": zipcode.astype(np.float64),
        "hvalue": (9 - zipcode) * 100_000 * rng.uniform(0.5, 1.5, n),
        "hyears": rng.integers(1, 31, n).astype(np.float64),
        "loan": rng.uniform(0, 500_000, n),
    }
    outcome = np.zeros(n)
    for function in np.unique(functions).tolist():
        outcome = np.where(functions == function, AGRAWAL[function](columns), outcome)
    for name, reach in _RANGES.items():
        moved = columns[name] + reach * PERTURBATION * rng.uniform(-1.0, 1.0, n)
        columns[name] = np.where((name == "commission") & (columns[name] == 0), 0.0, np.maximum(moved, 0.0))
    return columns, outcome.astype(np.float64)


def _by_age(columns: Mapping[str, Floats], of_age: Sequence[Flags]) -> Flags:
    """Below 40, below 60, and older people."""
    age = columns["age"]
    return np.asarray(np.where(age < 40, of_age[0], np.where(age < 60, of_age[1], of_age[2])), dtype=np.bool_)


def _within(values: Floats, low: float, high: float) -> Flags:
    return np.asarray((low * 1_000 <= values) & (values <= high * 1_000), dtype=np.bool_)


def _schooled(columns: Mapping[str, Floats]) -> tuple[Flags, Flags, Flags]:
    level = columns["elevel"]
    return np.asarray(level <= 1), np.asarray((level >= 1) & (level <= 3)), np.asarray(level >= 2)


def _age(columns: Columns) -> Flags:
    return _by_age(columns, (np.ones_like(columns["age"], dtype=bool), columns["age"] < 0, columns["age"] > 0))


def _salary(columns: Columns) -> Flags:
    return _three(columns, columns["salary"])


def _income(columns: Columns) -> Flags:
    return _three(columns, columns["salary"] + columns["commission"])


def _three(columns: Columns, money: Floats) -> Flags:
    return _by_age(columns, (_within(money, 50, 100), _within(money, 75, 125), _within(money, 25, 75)))


def _level(columns: Columns) -> Flags:
    return _by_age(columns, _schooled(columns))


def _level_and_salary(columns: Columns) -> Flags:
    salary, (low, middle, high) = columns["salary"], _schooled(columns)
    return _by_age(
        columns,
        (
            np.where(low, _within(salary, 25, 75), _within(salary, 50, 100)),
            np.where(middle, _within(salary, 50, 100), _within(salary, 75, 125)),
            np.where(high, _within(salary, 50, 100), _within(salary, 25, 75)),
        ),
    )


def _salary_and_loan(columns: Columns) -> Flags:
    salary, loan = columns["salary"], columns["loan"]
    return _by_age(
        columns,
        (
            np.where(_within(salary, 50, 100), _within(loan, 100, 300), _within(loan, 200, 400)),
            np.where(_within(salary, 75, 125), _within(loan, 200, 400), _within(loan, 300, 500)),
            np.where(_within(salary, 25, 75), _within(loan, 300, 500), _within(loan, 100, 300)),
        ),
    )


def _disposable(columns: Columns, loan: float, level: float, less: float, equity: float = 0.0) -> Flags:
    left = 2.0 * (columns["salary"] + columns["commission"]) / 3.0 - loan * columns["loan"] - level * columns["elevel"] - less
    owned = np.where(columns["hyears"] < 20, 0.0, columns["hvalue"] * (columns["hyears"] - 20) / 10)
    return np.asarray(left + equity * owned > 0)


AGRAWAL: tuple[Callable[[Columns], Flags], ...] = (
    _age,
    _salary,
    _level,
    _level_and_salary,
    _salary_and_loan,
    _income,
    lambda columns: _disposable(columns, 0.2, 0.0, 20_000),
    lambda columns: _disposable(columns, 0.0, 5_000, 20_000),
    lambda columns: _disposable(columns, 0.2, 5_000, 10_000),
    lambda columns: _disposable(columns, 0.0, 5_000, 10_000, 0.2),
)
