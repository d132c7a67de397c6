"""Which rows a training set has when outcomes are late, corrected or absent, when only a sample is wanted, and when it is built again.

```
 asked            within                   now
   |──outcome 0──────|──outcome 1────────────|     the first counts: the second came too late to be the answer
   |─────────────────|──outcome 1────────────|     none counts: dropped, or what the label says
   |───────────────────────────(within)──────|──   nobody knows yet: no row where none means something
```
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from tests import tiny
from tidemill import Label, Stream, col
from tidemill.clock import MINUTE_MS
from tidemill.errors import NotReadyError
from tidemill.learning import Model, TrainingSet
from tidemill.learning.lake_sql import Limits
from tidemill.learning.sampling import Sample
from tidemill.learning.training_set import TrainingSetBuilder
from tidemill.project import Project, Workspace
from tidemill.streams import Entry

NOW = tiny.START_MS
WITHIN = 6 * 60


class Told(BaseModel):
    """An outcome, or a correction of it."""

    told_id: str
    at: int
    order_id: str
    delay_min: float | None


TOLD = Stream("told", schema=Told, event_time="at", event_id="told_id")
DROP = replace(tiny.LATE_ORDER, label=Label(TOLD, key="order_id", value=col("delay_min") >= 15, within="6h"))
ZERO = replace(DROP, label=replace(DROP.label, absent=0.0))
PROJECT = Project("told", streams=[*tiny.project.streams, TOLD], views=[tiny.BY_SHOP], models=[DROP])


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """An empty workspace."""
    opened = Workspace.open(PROJECT, tmp_path)
    yield opened
    opened.close()


def happen(workspace: Workspace, *known: tuple[int, str, str]) -> None:
    """Let (minute, stream, payload) become known, in order."""
    workspace.log.append([Entry(stream, payload, NOW + minute * MINUTE_MS) for minute, stream, payload in known], 0)
    workspace.engine().drain(1_000)
    workspace.lake_writer().flush()


def ordered(minute: int, name: str) -> tuple[int, str, str]:
    return minute, "orders", tiny.order(name, NOW + minute * MINUTE_MS)


def told(minute: int, name: str, delay_min: float | None, number: int = 0) -> tuple[int, str, str]:
    fields = {"told_id": f"{name}/{minute}/{number}", "at": NOW + minute * MINUTE_MS, "order_id": name, "delay_min": delay_min}
    return minute, "told", orjson.dumps(fields).decode()


def learn(
    workspace: Workspace, minute: int, model: Model = DROP, sample: Sample | None = None, limits: Limits | None = None
) -> TrainingSet:
    builder = TrainingSetBuilder(model, workspace.lake, workspace.predictions, sample=sample or Sample(), limits=limits or Limits())
    return builder.build(NOW + minute * MINUTE_MS)


def rows(found: TrainingSet) -> dict[str, float]:
    return dict(zip(found.keys, found.outcome.tolist(), strict=True))


def test_a_correction_that_comes_after_within_does_not_take_the_outcome_back(workspace: Workspace) -> None:
    happen(workspace, ordered(0, "o1"), told(30, "o1", 0), told(WITHIN, "o1", 40), told(WITHIN + 1, "o1", 0))
    assert rows(learn(workspace, 100)) == {"o1": 0}
    assert rows(learn(workspace, 2_000)) == {"o1": 1}, "the last that came in time, at its very end"


def test_of_outcomes_of_one_moment_the_last_in_the_log_wins_and_nulls_are_none(workspace: Workspace) -> None:
    happen(workspace, ordered(0, "o1"), told(30, "o1", 0, 1), told(30, "o1", 40, 2), told(30, "o1", None, 3))
    assert rows(learn(workspace, 100)) == {"o1": 1}


def test_an_outcome_that_is_known_when_it_is_asked_is_no_answer(workspace: Workspace) -> None:
    happen(workspace, told(0, "o1", 40), ordered(0, "o1"), ordered(1, "o2"), told(2, "o2", 0))
    assert rows(learn(workspace, 2_000)) == {"o2": 0}
    assert rows(learn(workspace, 2_000, ZERO)) == {"o1": 0, "o2": 0}


@pytest.mark.parametrize(("model", "want"), [(DROP, {"quick": 1.0}), (ZERO, {"quick": 1.0, "late": 0.0, "never": 0.0})])
def test_an_outcome_after_within_is_dropped_or_what_the_label_says(workspace: Workspace, model: Model, want: dict[str, float]) -> None:
    happen(workspace, ordered(0, "quick"), ordered(0, "late"), ordered(1, "never"), told(30, "quick", 20), told(WITHIN + 1, "late", 20))
    assert rows(learn(workspace, 2_000, model)) == want


def test_none_means_something_only_once_within_is_over(workspace: Workspace) -> None:
    """Young rows would be those with an outcome alone, which are not like the others."""
    happen(workspace, ordered(0, "old"), ordered(100, "told young"), ordered(100, "young"), told(130, "told young", 20))
    with pytest.raises(NotReadyError):
        learn(workspace, WITHIN - 1, ZERO)
    assert rows(learn(workspace, WITHIN, ZERO)) == {"old": 0}
    assert rows(learn(workspace, WITHIN + 100, ZERO)) == {"old": 0, "told young": 1, "young": 0}


def test_a_sample_is_the_same_each_time_and_smaller_ones_are_part_of_larger_ones(workspace: Workspace) -> None:
    names = [f"order {number}" for number in range(200)]
    happen(workspace, *(ordered(place // 10, name) for place, name in enumerate(names)), *(told(30, name, 20) for name in names))
    whole = learn(workspace, 600)
    half, again, other = (learn(workspace, 600, sample=sample) for sample in (Sample(0.5), Sample(0.5), Sample(0.5, seed=1)))
    fifth = learn(workspace, 600, sample=Sample(0.2))
    assert (len(whole), half.digest) == (200, again.digest)
    assert set(fifth.keys) < set(half.keys) < set(whole.keys)
    assert set(half.keys) != set(other.keys)
    assert 60 < len(half) < 140
    kept = [place for place, key in enumerate(whole.keys) if key in set(half.keys)]
    assert half.columns["by_shop__n_3h"].tolist() == whole.columns["by_shop__n_3h"][kept].tolist()


def test_built_twice_it_is_the_same_to_the_last_bit(workspace: Workspace) -> None:
    tiny.live(workspace, 0, 1)
    happen(workspace, *(told(24 * 60, key, number % 30) for number, key in enumerate(orders_of(workspace))))
    limits = [Limits(threads=threads, block_events=size) for threads, size in ((1, 10**6), (2, 50), (4, 9))]
    digests = {learn(workspace, 10_000, ZERO, limits=some).digest for some in limits}
    assert len(digests) == 1
    assert len(learn(workspace, 10_000, ZERO)) > 500


def orders_of(workspace: Workspace) -> list[str]:
    return sorted(workspace.lake.dataset("orders").to_table(["order_id"]).column("order_id").to_pylist())


@given(keys=st.lists(st.text(), max_size=20), share=st.floats(0.001, 1), seed=st.integers(-5, 5))
def test_numpy_and_duckdb_draw_one_sample(keys: list[str], share: float, seed: int) -> None:
    keys = [key for key in keys if key.isprintable()]
    sample = Sample(share, seed)
    with duckdb.connect() as connection:
        connection.register("asked", pa.table({"place": range(len(keys)), "key": pa.array(keys, type=pa.string())}))
        found = connection.sql(f"select {sample.sql('key')} from asked order by place").fetchall()
    assert [kept for (kept,) in found] == sample.kept(keys).tolist()


@pytest.mark.parametrize("share", [0, -0.1, 1.1])
def test_a_sample_of_nothing_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        Sample(share)


class Fate(BaseModel):
    """An outcome that is one of several."""

    fate_id: str
    at: int
    order_id: str
    fate: str | None
    bells: int


FATES = Stream("fates", schema=Fate, event_time="at", event_id="fate_id")
CLASSES = replace(tiny.LATE_ORDER, label=Label(FATES, key="order_id", value="fate", within="6h"))
KEPT = replace(CLASSES, label=replace(CLASSES.label, absent="kept"))
RUNG = replace(CLASSES, label=replace(CLASSES.label, value=col("fate").when(col("bells") > 0)))
BELLS = replace(CLASSES, label=replace(CLASSES.label, value="bells"), task="multiclass")


def ended(minute: int, name: str, fate: str | None, bells: int = 1) -> tuple[int, str, str]:
    fields = {"fate_id": f"{name}/{minute}", "at": NOW + minute * MINUTE_MS, "order_id": name, "fate": fate, "bells": bells}
    return minute, "fates", orjson.dumps(fields).decode()


def test_an_outcome_of_several_is_the_place_of_its_class(tmp_path: Path) -> None:
    project = Project("fates", streams=[*tiny.project.streams, FATES], views=[tiny.BY_SHOP], models=[CLASSES])
    with closing(Workspace.open(project, tmp_path)) as workspace:
        happen(
            workspace,
            *(ordered(0, name) for name in ("o1", "o2", "o3", "o4")),
            *(ended(30, "o1", "lost", 10), ended(30, "o2", "late", 0), ended(31, "o3", None, 2)),
            *(ended(40, "o1", "broken", 1), ended(WITHIN + 1, "o4", "lost")),
        )
        found = learn(workspace, 2_000, CLASSES)
        assert (rows(found), found.classes) == ({"o1": 0, "o2": 1}, ("broken", "late"))
        assert rows(learn(workspace, 35, CLASSES)) == {"o1": 1, "o2": 0}, "as it was known then: lost, late"
        kept = learn(workspace, 2_000, KEPT)
        assert (rows(kept), kept.classes) == ({"o1": 0, "o2": 2, "o3": 1, "o4": 1}, ("broken", "kept", "late"))
        assert learn(workspace, 2_000, RUNG).classes == ("broken",)
        bells = learn(workspace, 2_000, BELLS)
        assert (rows(bells), bells.classes) == ({"o1": 1, "o2": 0, "o3": 2}, (0, 1, 2))
        assert len({one.digest for one in (found, kept, bells)}) == 3
        assert found.rows(found.outcome > 0).classes == found.classes
        with pytest.raises(NotReadyError, match="cannot be trained: an outcome is 2, not 0 or 1"):
            learn(workspace, 2_000, replace(BELLS, task="binary"))
