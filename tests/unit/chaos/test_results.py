"""Results of the chaos suite: kept as they were, and added up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.results import Result, read_results, summed, tell, why_bad
from tests.chaos.verdict import Left, Verdict

GOOD = Result("server", 1, 30.0, {"kill -9 broker": [1.0, 2.0], "disk full": [4.0]}, Verdict({"taps": Left(100, 0, 0, 3)}, (), 10))
WRONG = Verdict({"taps": Left(50, 2, 1, 0), "gates": Left(7, 0, 0, 0, "Books()")}, ("n: 1 and 2",), 10)
BAD = Result("server", 2, 20.0, {"disk full": [5.0]}, WRONG)
STUCK = Result("embedded", 3, 10.0, {}, Verdict({}, stuck="it does not go on"))


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    for one in (GOOD, BAD, STUCK):
        one.add_to(tmp_path / "found")
    assert read_results(tmp_path / "found") == [GOOD, BAD, STUCK]


def test_runs_add_up() -> None:
    figures = summed([GOOD, BAD, STUCK])
    assert figures["rounds"] == 4
    assert figures["rounds_by_fault"] == {"kill -9 broker": 2, "disk full": 2}
    assert [figures[name] for name in ("runs", "seconds", "sent", "lost", "twice", "resent")] == [3, 60, 157, 2, 1, 3]
    assert [figures[name] for name in ("values_compared", "values_different", "wrong_books", "stuck")] == [20, 1, 1, 1]


@pytest.mark.parametrize(
    ("verdict", "is_good"),
    [
        (Verdict({"taps": Left(5, 0, 0, 2)}, (), 9), True),
        (Verdict({"taps": Left(5, 1, 0, 0)}, (), 9), False),
        (Verdict({"taps": Left(5, 0, 1, 0)}, (), 9), False),
        (Verdict({"taps": Left(5, 0, 0, 0, "Books()")}, (), 9), False),
        (Verdict({"taps": Left(5, 0, 0, 0)}, ("n: 1 and 2",), 9), False),
        (Verdict({}, stuck="it does not go on"), False),
    ],
)
def test_whatever_is_lost_twice_or_different_is_bad(verdict: Verdict, is_good: bool) -> None:
    assert verdict.is_good == is_good
    assert bool(why_bad(verdict)) != is_good


def test_the_table_names_every_fault_and_why_a_run_failed(capsys: pytest.CaptureFixture[str]) -> None:
    tell([GOOD, BAD, STUCK])
    told = capsys.readouterr().out
    assert "server profile: 4 rounds in 2 runs of 50 s together" in told
    assert "embedded profile: 0 rounds in 1 runs" in told
    for part in ("kill -9 broker", "disk full", "lost 2, counted twice 1", "the run of seed 2 failed", "it does not go on"):
        assert part in told
