"""The recommender: showings and clicks through the engine, features counted again, a model that knows what is clicked, the change."""

from __future__ import annotations

import numpy as np
import pytest

from examples.made_up import BEGIN_MS
from examples.recommender import project as example
from examples.recommender.visits import CATEGORIES, history, visits
from tests.unit.examples.playing import Played, area, check_recording, gain, play
from tidemill.clock import DAY_MS

DAYS = 18


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    recording = history(DAYS)
    check_recording(example.project, recording)
    return play(example.project, recording, tmp_path_factory.mktemp("recommender"))


def test_features_are_what_one_counts_by_hand(played: Played) -> None:
    asked = played.questions()
    played.check_by_hand(example.item_shown, "n_24h", asked, every=149)
    played.check_by_hand(example.item_clicked, "n_7d", asked, every=149)
    played.check_by_hand(example.taste_shown, "n_14d", asked, every=149)
    shown = {name: played.rows.columns[f"{name}__n_14d"] for name in ("taste_shown", "taste_clicked")}
    np.testing.assert_allclose(played.rows.columns["affinity"], (shown["taste_clicked"] + 1) / (shown["taste_shown"] + 10), rtol=1e-6)


def test_the_model_knows_what_is_clicked(played: Played) -> None:
    rows, said = played.fitted()
    assert 0.05 < rows.outcome.mean() < 0.2
    assert area(rows.outcome, said) > 0.7
    assert gain(rows.outcome, said) > 0.05


def test_from_the_day_of_the_change_visitors_like_another_category() -> None:
    clicked = [shown for shown in visits(20, drift_from=10) if shown.dwell_s is not None]
    liked = {}
    for name, is_after in (("before", False), ("after", True)):
        part = [shown for shown in clicked if (shown.at_ms >= BEGIN_MS + 10 * DAY_MS) == is_after]
        table = np.zeros((60, len(CATEGORIES)))
        for shown in part:
            table[int(shown.visitor[1:]), CATEGORIES.index(shown.category)] += 1
        liked[name] = table.argmax(axis=1)
    assert np.mean((liked["before"] + 1) % len(CATEGORIES) == liked["after"]) > 0.6
