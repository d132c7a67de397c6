"""A tiny stream through the loop's bench: the concept turns around once, and outcomes come 100 rows late."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.bench_loop import report
from benchmarks.concepts import AGRAWAL, agrawal, sea
from benchmarks.loop_ours import Loop
from benchmarks.loop_policies import Played, adwin, periodic, static
from benchmarks.loop_stages import reaction_of
from benchmarks.loop_streams import ROW_MS, Periodic, Shape, changing
from tidemill import RetrainPolicy
from tidemill.cli.reference import Year
from tidemill.clock import DAY_MS
from tidemill.stores import Decision

TINY = Shape(concept_rows=6_000, concepts=2, delay_rows=100, first_rows=3_000)
TURN = TINY.concept_rows - TINY.first_rows - TINY.delay_rows  # the live row at which the concept turns


@pytest.fixture(scope="module")
def stream() -> Year:
    made = changing("agrawal", 3, TINY, RetrainPolicy(on=("error",), cooldown="1d", min_labels=500, gate="2d"))
    # The product's week of baseline would be all there is before the turn.
    return replace(made, model=replace(made.model, monitor=replace(made.model.monitor, cycle="1d")))


def test_the_loop_does_better_than_the_first_model_for_ever(stream: Year) -> None:
    frozen, ours = static(stream), Loop(stream).play()
    assert frozen.fits == 1
    assert ours.rows == frozen.rows == 2 * TINY.concept_rows - TINY.first_rows - TINY.delay_rows
    assert ours.counts["alarms"] >= 1 and ours.counts["promoted"] >= 1
    assert ours.fits > ours.counts["promoted"] * 2
    assert ours.accuracy > frozen.accuracy
    assert ours.log_loss < frozen.log_loss


def test_fitting_at_fixed_times_learns_only_what_is_known(stream: Year) -> None:
    found = periodic(stream, Periodic(2_000, 3_000 * ROW_MS))
    assert found.fits == 1 + (found.rows - 1) // 3_000
    now_ms = stream.start_ms + DAY_MS
    assert int(stream.mature(now_ms).at_ms[-1]) <= now_ms - TINY.delay_rows * ROW_MS


def test_a_detector_of_errors_waits_for_rows_of_the_new_world(stream: Year) -> None:
    seen: list[int] = []

    def watch(errors: npt.NDArray[np.float64]) -> tuple[int, int] | None:
        seen.append(len(errors))
        return (TURN + 300, 300) if len(seen) == 1 else None

    found = adwin(stream, watch)
    assert (found.fits, found.counts["alarms"], len(seen)) == (2, 1, 2)
    assert found.story == [f"row {TURN + 300 + 700 + TINY.delay_rows}: fitted on 1000 rows"]
    assert found.accuracy > static(stream).accuracy


def test_the_same_seed_is_the_same_stream_and_another_is_not() -> None:
    one, same, other = (changing("sea", seed, TINY).rows.digest for seed in (1, 1, 2))
    assert one == same != other


def test_the_generators_keep_to_their_definitions() -> None:
    rng = np.random.default_rng(0)
    columns, outcome = sea(np.full(20_000, 8.0), rng)
    assert np.mean((columns["x1"] + columns["x2"] <= 8.0) != outcome) == pytest.approx(0.1, abs=0.01)
    for function in range(len(AGRAWAL)):
        columns, outcome = agrawal(np.full(4_000, function), rng)
        assert len(columns) == 9 and 0.0 < outcome.mean() < 1.0
    columns, outcome = agrawal(np.zeros(4_000, dtype=np.int64), rng)
    assert outcome[(columns["age"] > 45) & (columns["age"] < 55)].max() == 0.0


def test_the_report_names_the_best_and_the_share_of_fits(capsys: pytest.CaptureFixture[str]) -> None:
    def came(accuracy: float, fits: int) -> list[Played]:
        return [Played(10, accuracy, 0.3, fits)]

    found = {("sea", "static"): came(0.7, 1), ("sea", "periodic"): came(0.9, 100), ("sea", "tidemill"): came(0.897, 20)}
    report(found, ["sea"], None, ["a note"])
    said = capsys.readouterr().out
    assert "0.30 points of accuracy behind the best, at 20% of the fits" in " ".join(said.split())
    assert '"near_best": true' in said and '"few_fits": true' in said


def test_the_times_from_alarm_to_champion_are_those_of_promoted_alarms() -> None:
    one = Decision("d", "m", "error", "k", "r", 0, 1_000, claimed_wall_ms=3_000, stages={"fitted": 9_000, "deployed": 11_000})
    promoted = [replace(one, outcome="promoted"), replace(one, outcome="promoted", requested_wall_ms=2_000)]
    found = reaction_of([*promoted, replace(one, outcome="rejected"), replace(one, trigger="manual", outcome="promoted")])
    assert found is not None and found.decisions == 2
    assert {stage.name: stage.median_s for stage in found.stages} == {
        "claimed": 1.5,
        "fitted": 6.0,
        "deployed": 2.0,
        "alarm to serving": 9.5,
    }
    assert reaction_of([]) is None
