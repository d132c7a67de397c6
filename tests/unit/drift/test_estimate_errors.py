"""The error of a number is estimated by where its inputs are: it follows them to where the model is worse, and its interval holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pytest

from tidemill.clock import DAY_MS
from tidemill.drift import QualityReference, estimate_errors, profile_errors
from tidemill.drift.error_tree import ANSWER, ErrorTree
from tidemill.events import Column
from tidemill.kernels import Floats, Ints
from tidemill.learning.measured import Measured, measure_values

ROWS_A_DAY = 300
METRICS = ("mae", "rmse")
Rows = tuple[Floats, Floats, dict[str, Column], Ints]


def days(n_days: int, rng: np.random.Generator, moved: float = 0.0, luck: float = 0.0) -> Rows:
    """Outcomes, answers, columns and times of a model that knows the mean: the farther `load` is up, the noisier the outcome.

    Args:
        n_days: how many, of 300 rows.
        rng: of all draws.
        moved: how far `load` has gone towards the noise, in standard deviations.
        luck: standard deviation of a day's own factor on the noise, as a logarithm.
    """
    day = np.repeat(np.arange(n_days), ROWS_A_DAY)
    load, other = rng.normal(moved, 1.0, len(day)), rng.normal(size=len(day))
    port = rng.choice(np.array(["north", "south", "west"], dtype=object), len(day))
    said = 3.0 * load + other
    noise = (0.5 + np.exp(0.7 * load)) * np.where(port == "west", 1.5, 1.0) * np.exp(rng.normal(0.0, luck, n_days))[day]
    return said + noise * rng.normal(size=len(day)), said, {"load": load, "other": other, "port": port}, day * DAY_MS


def reference_of(rows: Rows) -> QualityReference:
    made = profile_errors(*rows, DAY_MS)
    assert made is not None
    return made


def estimated(reference: QualityReference, said: Floats, columns: Mapping[str, Column]) -> Measured:
    assert reference.errors is not None
    return estimate_errors([(reference.errors.expect({ANSWER: said, **columns}), reference)])


def each_day(reference: QualityReference, rows: Rows) -> list[tuple[Measured, Measured]]:
    """What was real and what was estimated."""
    outcome, said, columns, at_ms = rows
    found = []
    for day in np.unique(at_ms):
        here = at_ms == day
        mine = {name: column[here] for name, column in columns.items()}
        found.append((measure_values(outcome[here], said[here]), estimated(reference, said[here], mine)))
    return found


@pytest.mark.parametrize(("moved", "luck", "least"), [(0.0, 0.0, 0.9), (0.0, 0.2, 0.9), (0.75, 0.2, 0.85)])
def test_the_interval_holds_the_real_error_at_about_its_rate(moved: float, luck: float, least: float) -> None:
    """Of 96 days after 12 trainings of a week each; docs/quality.md tells the rates of more of them."""
    held: dict[str, list[bool]] = {name: [] for name in METRICS}
    for seed in range(12):
        rng = np.random.default_rng(seed)
        reference = reference_of(days(7, rng, luck=luck))
        for real, found in each_day(reference, days(8, rng, moved, luck)):
            for name in METRICS:
                held[name].append(found.figures[name].holds(real.figures[name].value))
    for name in METRICS:
        assert np.mean(held[name]) >= least, name


def test_inputs_that_move_to_the_noise_are_followed_and_the_error_of_the_training_is_not() -> None:
    rng = np.random.default_rng(1)
    reference = reference_of(days(14, rng))
    before = each_day(reference, days(5, rng))
    after = each_day(reference, days(5, rng, moved=1.0))
    trained = reference.values["mae"]
    for (real, found), moved in ((pair, moved) for pairs, moved in ((before, False), (after, True)) for pair in pairs):
        value, guess = real.figures["mae"].value, found.figures["mae"]
        assert abs(guess.value - value) < 0.2 * value
        assert guess.low is not None and guess.high is not None
        assert (guess.low > trained) == moved, "its whole interval says that the model is worse there"
        assert (abs(trained - value) > 0.35 * value) == moved


def test_where_few_rows_were_seen_it_is_less_sure() -> None:
    """All rows come to the leaf of the largest loads, of some fifty rows, and not to some twenty leaves of two thousand."""
    rng = np.random.default_rng(2)
    tree = reference_of(days(7, rng)).errors
    assert tree is not None
    _, said, columns, _ = days(1, rng)
    usual, lonely = (tree.expect({**columns, ANSWER: said + 3 * far, "load": columns["load"] + far}) for far in (0.0, 6.0))
    assert lonely.size_variance**0.5 / lonely.size > 1.5 * usual.size_variance**0.5 / usual.size


def test_too_few_days_are_provisional_and_too_few_rows_tell_nothing() -> None:
    rng = np.random.default_rng(3)
    one_day = reference_of(days(1, rng))
    assert (one_day.n_windows, one_day.provisional, dict(one_day.spread)) == (0, True, {})
    outcome, said, columns, at_ms = days(1, rng)
    few = {name: column[:99] for name, column in columns.items()}
    assert profile_errors(outcome[:99], said[:99], few, at_ms[:99], DAY_MS) is None
    assert estimate_errors([]) == Measured()


def test_a_model_that_is_never_off_and_one_absurd_outcome_end_as_plain_numbers() -> None:
    outcome, said, columns, at_ms = days(7, np.random.default_rng(4))
    exact = reference_of((said, said, columns, at_ms))
    assert estimated(exact, said, columns).figures["mae"].high == 0.0
    outcome[5] = 1e250
    absurd = reference_of((outcome, said, columns, at_ms))
    assert QualityReference.from_json(json.loads(json.dumps(asdict(absurd), allow_nan=False))) == absurd


def test_what_is_kept_is_small_however_many_rows_and_texts_there_were() -> None:
    outcome, said, columns, _ = days(20, np.random.default_rng(5))
    codes = np.array([f"c{number}" for number in range(400)], dtype=object)
    more = {f"text{place}": np.random.default_rng(place).choice(codes, len(said)) for place in range(3)}
    tree = ErrorTree.fit(outcome - said, {ANSWER: said, **columns, **more})
    assert len(json.dumps(asdict(tree))) < 40_000


def test_of_two_versions_each_is_told_by_its_own_reference() -> None:
    rng = np.random.default_rng(6)
    calm, noisy = reference_of(days(7, rng)), reference_of(days(7, rng, moved=2.0))
    _, said, columns, _ = days(1, rng)
    assert calm.errors is not None and noisy.errors is not None
    parts = [(each.errors.expect({ANSWER: said, **columns}), each) for each in (calm, noisy) if each.errors is not None]
    together = estimate_errors(parts)
    assert together.n == 2 * ROWS_A_DAY
    assert together.figures["mae"].value == pytest.approx(sum(sums.size for sums, _ in parts) / 2)
    assert together.figures["rmse"].value ** 2 == pytest.approx(sum(sums.square for sums, _ in parts) / 2)
