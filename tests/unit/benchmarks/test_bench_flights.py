"""Policies played on a small made-up year in which the world turns over at half time."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel
from sklearn.linear_model import LogisticRegression

from benchmarks.bench_flights import cut, gain_kept, main
from benchmarks.policies import Played, Policy, check, play
from benchmarks.report import Report, show
from monitoring.checks import run_check
from tidemill import Label, Model, Requests, RetrainPolicy, Stream, col
from tidemill.cli.reference import Year, fit_week, week_of
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.drift import profile_reference
from tidemill.learning import Quality, TrainingSet

ROWS_A_DAY = 200
DAYS = 84
START = 28
TURN = 49


class Question(BaseModel):
    key: str
    asked: datetime
    x: float


class Answer(BaseModel):
    answer_id: str
    told: datetime
    key: str
    y: int


QUESTIONS = Stream("questions", schema=Question, event_time="asked", event_id="key")
ANSWERS = Stream("answers", schema=Answer, event_time="told", event_id="answer_id")


class Ask(BaseModel):
    key: str
    x: float


def model(min_gain: float = 0.0) -> Model:
    return Model(
        "m",
        request=Ask,
        requests=Requests(QUESTIONS, at=col("asked") + 0),
        features=["x"],
        label=Label(ANSWERS, key="key", value=col("y") >= 1, within="24h"),
        estimator=LogisticRegression,
        policy=RetrainPolicy(cooldown="7d", min_labels=500, min_gain=min_gain),
    )


def year(wanted: Model, shift: float = 0.0) -> Year:
    """A question every few minutes, answered two hours later; from day TURN on x means the opposite, and is `shift` larger."""
    rng = np.random.default_rng(7)
    n = DAYS * ROWS_A_DAY
    at_ms = (np.arange(n) * (DAY_MS // ROWS_A_DAY)).astype(np.int64)
    turned = at_ms >= TURN * DAY_MS
    x = rng.normal(size=n)
    outcome = (rng.random(n) < 1 / (1 + np.exp(np.where(turned, 2.0, -2.0) * x))).astype(np.float64)
    rows = TrainingSet({"x": x + shift * turned}, outcome, at_ms, [str(i) for i in range(n)], n, {}, int(at_ms[-1]), 0)
    return Year(wanted, rows, at_ms + 2 * HOUR_MS, START * DAY_MS)


@pytest.fixture(scope="module")
def turned() -> Year:
    return year(model())


def test_frozen_is_judged_and_fitted_once_whatever_happens(turned: Year) -> None:
    found = play(turned, Policy("frozen"))
    assert (found.fits, found.promoted, found.rejected, found.refused) == (2, 0, 0, 0)
    assert found.quality.n == (DAYS - START) * ROWS_A_DAY


def test_weekly_fits_once_a_week_and_learns_only_what_was_known(turned: Year) -> None:
    assert [(begin_ms - turned.start_ms) // DAY_MS for begin_ms in turned.weeks] == [0, 7, 14, 21, 28, 35, 42, 49]
    for begin_ms in turned.weeks:
        rows = turned.mature(begin_ms)
        assert rows.at_ms[-1] <= begin_ms - 2 * HOUR_MS
    said = [fit_week(turned, begin_ms) for begin_ms in turned.weeks]
    assert [len(week) for week in said] == [7 * ROWS_A_DAY] * 8
    first = week_of(turned, turned.weeks[0])
    assert np.corrcoef(said[0], turned.rows.columns["x"][first])[0, 1] > 0.9  # before the turn x speaks for the outcome


def test_an_error_alarm_after_the_turn_retrains_and_helps(turned: Year) -> None:
    frozen, error = play(turned, Policy("frozen")), play(turned, Policy("error", ("error",), gate=False))
    assert error.fits == 2 + error.promoted > 2
    assert error.rejected == 0
    assert frozen.quality.log_loss is not None and error.quality.log_loss is not None
    assert error.quality.log_loss < frozen.quality.log_loss


def test_a_gate_nobody_passes_counts_the_rejected_fits_and_changes_nothing() -> None:
    strict = year(model(min_gain=10.0))
    found = play(strict, Policy("error, gate", ("error",)))
    assert found.rejected > 0
    assert found.fits == 2 + found.rejected
    assert found.promoted == 0
    assert found.quality == play(strict, Policy("frozen")).quality


def test_the_cooldown_turns_alarms_away() -> None:
    moved = year(model(min_gain=10.0), shift=2.0)
    found = play(moved, Policy("both, gate", ("error", "evidently")))
    weeks_after_turn = (DAYS - TURN) // 7
    assert found.refused > 0
    assert 1 <= found.rejected <= weeks_after_turn


def test_the_check_sees_a_moved_column_that_no_error_needs() -> None:
    moved = year(model(), shift=3.0)
    assert play(moved, Policy("evidently, gate", ("evidently",))).fits > 2
    assert play(year(model()), Policy("evidently, gate", ("evidently",))).fits == 2


def test_the_cheap_check_is_evidentlys() -> None:
    rng = np.random.default_rng(1)
    n = 4_000
    columns = {
        "steady": rng.normal(size=n),
        "moved": rng.normal(size=n),
        "gaps": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
        "text": rng.choice(["a", "b", "c"], n).astype(object),
    }
    profile = profile_reference(columns, rng.random(n), (np.arange(n) * (60 * DAY_MS // n)).astype(np.int64))
    current = {name: column[:800].copy() for name, column in columns.items()}
    current["moved"] += 1.0
    ours = check(profile, dict(columns), current)
    theirs = run_check(pd.DataFrame(columns), pd.DataFrame(current), profile)
    assert ours.failed_columns == theirs.failed_columns == ("moved",)
    assert ours.values == pytest.approx(theirs.values, abs=1e-9)
    assert ours.thresholds == theirs.thresholds


def test_gain_kept_is_the_share_of_weeklys_gain() -> None:
    def of(name: str, log_loss: float) -> Played:
        return Played(name, 1, 0, 0, 0, Quality(10, 0.7, log_loss))

    assert gain_kept([of("frozen", 0.5), of("weekly", 0.4), of("error", 0.43)]) == {"frozen": 0.0, "weekly": 1.0, "error": 0.7}
    assert gain_kept([of("frozen", 0.4), of("weekly", 0.5)]) == {"frozen": None, "weekly": None}


def test_a_year_is_cut_at_whole_weeks(turned: Year) -> None:
    short = cut(turned, 2)
    assert len(short.weeks) == 2
    assert int(short.live.sum()) == 14 * ROWS_A_DAY
    assert cut(turned, None) is turned


def test_without_a_demo_it_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TIDEMILL_HOME", str(tmp_path / "none"))
    assert main([]) == 1
    assert 'make demo ARGS="--exit"' in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_the_last_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    show(Report("name", ["numpy"], {"rows": 1}, {"share": 0.5}), ["what"], [["one"]])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(found) == {"bench", "machine", "versions", "figures", "ratios"}
    assert found["machine"]["cores"] >= 1
