"""Which rows one may learn from, and with which vectors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from pydantic import BaseModel

from tests import tiny
from tidemill import Label, Stream, col, count
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.errors import NotReadyError
from tidemill.learning import Model, TrainingSet, build_training_set
from tidemill.learning.value_cache import ValueCache
from tidemill.project import Project, Workspace
from tidemill.stores import Answered
from tidemill.streams import Entry

NOW = tiny.START_MS


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace of the tiny project."""
    opened = Workspace.open(tiny.project, tmp_path)
    yield opened
    opened.close()


def happen(workspace: Workspace, *told: tuple[int, str, str]) -> None:
    """Let (minute, stream, payload) become known, in order."""
    workspace.log.append([Entry(stream, payload, NOW + minute * MINUTE_MS) for minute, stream, payload in told], 0)
    workspace.engine().drain(100)
    workspace.lake_writer().flush()


def ordered(minute: int, name: str) -> tuple[int, str, str]:
    return minute, "orders", tiny.order(name, NOW + minute * MINUTE_MS)


def delivered(minute: int, name: str, delay_min: float) -> tuple[int, str, str]:
    return minute, "deliveries", tiny.delivery(name, NOW + minute * MINUTE_MS, delay_min=delay_min)


def learn(workspace: Workspace, minute: int, model: Model = tiny.LATE_ORDER) -> TrainingSet:
    return build_training_set(model, workspace.lake, workspace.predictions, NOW + minute * MINUTE_MS)


def learn_again(workspace: Workspace, minute: int, cache: ValueCache, model: Model = tiny.LATE_ORDER) -> TrainingSet:
    return build_training_set(model, workspace.lake, workspace.predictions, NOW + minute * MINUTE_MS, cache)


def serve(workspace: Workspace, key: str, minute: int, numbers: list[float], digest: str) -> None:
    """Log a prediction as a server does."""
    request = orjson.dumps({"order_id": key, "shop": "served", "amount": 10.0}).decode()
    said = {"champion": (1, np.array([0.5]))}
    at_ms = NOW + minute * MINUTE_MS
    workspace.predictions.write(Answered("late_order", at_ms, at_ms, "{}", digest, [key], [request], np.array([numbers]), said))  # type: ignore[arg-type]  # a literal key


def test_nothing_to_learn_from_says_so(workspace: Workspace) -> None:
    with pytest.raises(NotReadyError, match=r"no labelled question by \d{4}-"):
        learn(workspace, 60)
    with pytest.raises(NotReadyError, match="no labelled question yet, as no event has come"):
        build_training_set(tiny.LATE_ORDER, workspace.lake, workspace.predictions, 0)


def test_nothing_to_learn_from_says_so_with_a_cache_that_holds_nothing(workspace: Workspace, tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(NotReadyError, match="no labelled question"):
            learn_again(workspace, 60, ValueCache(tmp_path / "cache"))
    happen(workspace, ordered(0, "o1"), delivered(30, "o1", 20), ordered(30, "o2"), delivered(40, "o2", 0))
    assert learn_again(workspace, 300, ValueCache(tmp_path / "cache")).digest == learn(workspace, 300).digest


def test_a_row_knows_only_what_was_known_when_it_was_asked(workspace: Workspace) -> None:
    happen(workspace, ordered(0, "o1"), delivered(30, "o1", 20), ordered(30, "o2"), ordered(31, "o3"))
    happen(workspace, delivered(60, "o2", 0), delivered(61, "o3", 40))
    rows = learn(workspace, 600)
    assert rows.keys == ["o1", "o2", "o3"]
    assert rows.outcome.tolist() == [1, 0, 1]
    assert rows.columns["by_shop__n_3h"].tolist() == [0, 1, 1]  # known at the very moment counts
    np.testing.assert_array_equal(rows.columns["by_shop__mean_delay_3h"], [np.nan, 20, 20])


def test_the_vector_that_was_served_wins_over_a_computed_one(workspace: Workspace) -> None:
    happen(workspace, ordered(0, "o1"), ordered(1, "o2"), delivered(30, "o1", 20), delivered(31, "o2", 0))
    serve(workspace, "o1", 0, [1.0, 2.0, 3.0], "an older definition")
    serve(workspace, "o2", 1, [4.0, 5.0, 6.0], tiny.LATE_ORDER.source_digest)
    serve(workspace, "o2", 2, [7.0, 8.0, 9.0], tiny.LATE_ORDER.source_digest)
    rows = learn(workspace, 600)
    assert rows.n_served == 1
    by_key = {key: [column[place] for column in rows.columns.values()] for place, key in enumerate(rows.keys)}
    assert by_key["o2"] == ["served", 7.0, 8.0, 9.0]
    assert by_key["o1"][:2] == ["a", 10.0]


def test_a_corrected_outcome_counts_from_when_it_is_known(tmp_path: Path) -> None:
    workspace = Workspace.open(_corrected(), tmp_path)
    model = workspace.project.models[0]

    def told(minute: int, name: str, delay_min: float) -> tuple[int, str, str]:
        at_ms = NOW + minute * MINUTE_MS
        return minute, "outcomes", orjson.dumps({"id": f"{name}{minute}", "at": at_ms, "order_id": name, "delay_min": delay_min}).decode()

    happen(workspace, ordered(0, "o1"), told(30, "o1", 0), told(200, "o1", 40))
    assert learn(workspace, 100, model).outcome.tolist() == [0]
    assert learn(workspace, 300, model).outcome.tolist() == [1]
    workspace.close()


def test_a_row_is_used_once_it_is_mature_and_its_outcome_came_within_time(workspace: Workspace) -> None:
    happen(workspace, ordered(0, "quick"), delivered(30, "quick", 0), ordered(31, "slow"))
    happen(workspace, ordered(400, "young"), delivered(401, "young", 0))
    assert learn(workspace, 410).keys == ["quick"]
    assert learn(workspace, 500).keys == ["quick", "young"]
    happen(workspace, delivered(31 + 6 * 60 + 100, "slow", 90))
    assert "slow" not in learn(workspace, 1_000).keys, "it came after `within`"


@pytest.mark.parametrize(("absent", "outcome"), [("drop", [0.0]), (1.0, [0.0, 1.0])])
def test_no_outcome_means_what_the_label_says(workspace: Workspace, absent: object, outcome: list[float]) -> None:
    happen(workspace, ordered(0, "o1"), delivered(30, "o1", 0), ordered(31, "o2"))
    label = replace(tiny.LATE_ORDER.label, absent=absent)  # type: ignore[arg-type]  # either kind, by parameter
    assert learn(workspace, 1_000, replace(tiny.LATE_ORDER, label=label)).outcome.tolist() == outcome


def test_a_split_never_mixes_times_and_a_digest_tells_rows_apart(workspace: Workspace) -> None:
    tiny.live(workspace, 0, 1)
    rows = learn(workspace, 24 * 60)
    older, newest = rows.split(6 * HOUR_MS)
    assert len(older) + len(newest) == len(rows) > 500
    assert older.at_ms.max() < newest.at_ms.min()
    assert rows.digest == learn(workspace, 24 * 60).digest != older.digest


def _corrected() -> Project:
    """The tiny project with outcomes that may be told again under a new id."""

    class Outcome(BaseModel):
        """An outcome, or a correction of it."""

        id: str
        at: int
        order_id: str
        delay_min: float

    outcomes = Stream("outcomes", schema=Outcome, event_time="at", event_id="id")
    label = Label(outcomes, key="order_id", value=col("delay_min") >= 15, within="6h")
    model = replace(tiny.LATE_ORDER, label=label)
    return Project("corrected", streams=[*tiny.project.streams, outcomes], views=[tiny.BY_SHOP], models=[model])


def test_values_computed_once_are_taken_from_the_cache_and_come_out_the_same(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ValueCache(tmp_path / "cache")
    happen(workspace, ordered(0, "o1"), delivered(30, "o1", 20), ordered(30, "o2"), delivered(40, "o2", 0))
    assert learn_again(workspace, 300, cache).digest == learn(workspace, 300).digest
    happen(workspace, ordered(300, "o3"), delivered(330, "o3", 5), ordered(331, "o4"), delivered(390, "o4", 15))
    grown = learn_again(workspace, 900, cache)
    assert (len(grown), grown.digest) == (4, learn(workspace, 900).digest)
    with monkeypatch.context() as patch:
        patch.setattr("tidemill.learning.training_set.values_at", lambda *_: pytest.fail("computed again"))
        assert learn_again(workspace, 900, ValueCache(tmp_path / "cache")).digest == grown.digest


def test_a_changed_view_or_time_is_computed_anew(workspace: Workspace, tmp_path: Path) -> None:
    cache = ValueCache(tmp_path / "cache")
    happen(workspace, ordered(0, "o1"), delivered(30, "o1", 20), ordered(31, "o2"), delivered(32, "o2", 0))
    learn_again(workspace, 600, cache)
    later = replace(tiny.LATE_ORDER, requests=replace(tiny.LATE_ORDER.requests, at=col("placed_at") + MINUTE_MS))
    assert learn_again(workspace, 600, cache, later).digest == learn(workspace, 600, later).digest
    wider = replace(tiny.BY_SHOP, features={**tiny.BY_SHOP.features, "n_3h": count(over="6h")})
    changed = replace(tiny.LATE_ORDER, features=[wider if part is tiny.BY_SHOP else part for part in tiny.LATE_ORDER.features])
    assert learn_again(workspace, 600, cache, changed).digest == learn(workspace, 600, changed).digest
    assert len(list((tmp_path / "cache").iterdir())) == 1
