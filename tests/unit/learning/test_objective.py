"""What differs between the tasks: what is derived from a label, and what each makes of outcomes and of what was said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

from tests import parcels, tiny
from tidemill import Label, Stream, col
from tidemill.errors import ProjectError
from tidemill.events import to_column
from tidemill.features.label import LabelKind
from tidemill.learning import Task
from tidemill.learning.classification import Binary, Multiclass
from tidemill.learning.objective import objective_of
from tidemill.learning.regression import Regression
from tidemill.stores import Answer


class Result(BaseModel):
    """Every kind of field."""

    result_id: str
    at: int
    grade: str | None
    stars: int | None
    minutes: float
    won: bool


RESULTS = Stream("results", schema=Result, event_time="at", event_id="result_id")


def label(value: Any, **more: Any) -> Label:
    return Label(RESULTS, key="result_id", value=value, within="1d", **more)


@pytest.mark.parametrize(
    ("value", "task", "kind", "want"),
    [
        (col("minutes") >= 15, None, "condition", "binary"),
        ("won", None, "condition", "binary"),
        ((col("minutes") >= 15).when(col("won")), None, "condition", "binary"),
        ("grade", None, "text", "multiclass"),
        (col("grade").when(col("won")), None, "text", "multiclass"),
        ("stars", "multiclass", "whole", "multiclass"),
        ("stars", "regression", "whole", "regression"),
        ("stars", "binary", "whole", "binary"),
        (col("minutes") * 60, "regression", "number", "regression"),
    ],
)
def test_the_task_is_what_the_label_tells_for_certain_or_what_is_said(value: Any, task: Task | None, kind: LabelKind, want: Task) -> None:
    assert label(value).kind == kind
    assert objective_of(label(value), task, None, "model 'm'").task == want


@pytest.mark.parametrize(
    ("value", "task", "metric", "message"),
    [
        ("stars", None, None, r'model \'m\': the label\'s value "stars" is a number, which can mean three things; say task=\'binary\''),
        (col("minutes"), "multiclass", None, 'classes cannot be read from "minutes"; make the label a field of the type str or int'),
        (col("stars") + 1, "multiclass", None, "classes cannot be read from"),
        ("grade", "binary", None, "is a text; leave task out, or make the label a condition"),
        ("grade", "regression", None, "make the label a number"),
        ("won", "multiclass", None, "is true or false; leave task out, or make the label a field of the type str or int"),
        ("won", "both", None, "unknown task 'both'; choose of binary, multiclass, regression"),
        ("won", None, "squared_error", "metric='squared_error' judges no binary model; choose of log_loss"),
        ("stars", "regression", "log_loss", "choose of squared_error, absolute_error"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(value: Any, task: Any, metric: Any, message: str) -> None:
    with pytest.raises(ProjectError, match=message):
        objective_of(label(value), task, metric, "model 'm'")


def test_a_model_has_the_objective_of_its_declaration() -> None:
    assert tiny.LATE_ORDER.objective == Binary()
    assert parcels.FATE.objective == Multiclass()
    assert parcels.DAYS.objective == Regression("absolute_error")
    assert replace(parcels.DAYS, metric=None).objective.metric == "squared_error"
    with pytest.raises(ProjectError, match="model 'fate': task='regression'"):
        replace(parcels.FATE, task="regression")


@pytest.mark.parametrize(("value", "absent"), [("grade", 0.0), ("won", "no"), ("stars", "none")])
def test_what_is_absent_is_of_the_kind_of_the_outcomes(value: str, absent: object) -> None:
    with pytest.raises(ProjectError, match=r"absent=.*or 'drop'"):
        label(value, absent=absent)
    assert label("grade", absent="none").absent == "none"


def test_outcomes_become_places_among_the_classes() -> None:
    places, classes = Multiclass().encode(to_column(["b", "a", "b", "c"], "text"))
    assert (places.tolist(), classes) == ([1, 0, 1, 2], ("a", "b", "c"))
    assert Multiclass().encode(np.array([5.0, 1.0, 12.0]))[1] == (1, 5, 12), "by size, not by letters"
    with pytest.raises(ValueError, match="101 classes, at most 100"):
        Multiclass().encode(np.arange(101.0))
    assert Binary().encode(np.array([0.0, 1.0]))[0].tolist() == [0, 1]
    with pytest.raises(ValueError, match="an outcome is 3, not 0 or 1; say task="):
        Binary().encode(np.array([0.0, 3.0]))
    assert Regression().encode(np.array([2.5]))[0].tolist() == [2.5]


class Fitted:
    """An estimator that has met the classes of places 0 and 2."""

    classes_ = np.array([0, 2])

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
        """The same of every row."""
        return np.tile([0.25, 0.75], (len(frame), 1))


def test_a_class_that_an_estimator_never_met_has_no_probability() -> None:
    said = Multiclass().predict(Fitted(), pd.DataFrame({"x": [1.0, 2.0]}), 3)
    assert said.tolist() == [[0.25, 0, 0.75]] * 2
    assert Multiclass().losses(np.array([2.0, 1.0]), said) == pytest.approx([-np.log(0.75), -np.log(1e-15)])
    assert Multiclass().score(said).tolist() == [0.75, 0.75]


def test_the_metric_is_the_mean_of_the_losses() -> None:
    rng = np.random.default_rng(0)
    outcome, value = rng.normal(size=50), rng.normal(size=50)
    for objective in (Regression("squared_error"), Regression("absolute_error")):
        assert objective.loss(objective.quality(outcome, value)) == pytest.approx(objective.losses(outcome, value).mean())
    said, places = rng.dirichlet([1, 1, 1], 50), rng.integers(0, 3, 50).astype(np.float64)
    assert Multiclass().loss(Multiclass().quality(places, said)) == pytest.approx(Multiclass().losses(places, said).mean())
    for each in (Binary(), Multiclass(), Regression()):
        assert each.loss(each.quality(np.empty(0), np.empty((0, 3) if each.task == "multiclass" else 0))) is None


def test_every_figure_is_one_that_the_quality_has() -> None:
    rng = np.random.default_rng(1)
    ones, said = (rng.random(40) < 0.5).astype(np.float64), rng.random(40)
    assert {figure.name for figure in Binary().figures} == set(Binary().quality(ones, said).figures)
    assert {figure.name for figure in Regression().figures} == set(Regression().quality(ones, said).figures)
    assert {figure.name for figure in Multiclass().figures} == set(Multiclass().quality(ones, np.column_stack([said, 1 - said])).figures)
    assert [figure.name for figure in Regression("absolute_error").figures] == ["mae", "rmse", "r2"]


def test_what_the_monitor_is_given() -> None:
    several = Answer(probabilities={"a": 0.3, "b": 0.7})
    assert Multiclass().watched("b", several) == (1, 0.7)
    assert Multiclass().watched("never seen", several) == (0, 0.7)
    assert Multiclass().watched(2.0, Answer(probabilities={1: 0.4, 2: 0.6})) == (1, 0.6)
    assert Binary().watched(1.0, Answer(probability=0.2)) == (1, 0.2)
    assert Binary().watched(3.0, Answer(probability=0.2)) is None
    assert Regression().watched(7.5, Answer(value=7.0)) == (7.5, 7.0)
    for objective, other in ((Multiclass(), Answer(value=1.0)), (Binary(), several), (Regression(), Answer(probability=0.5))):
        assert objective.watched(1.0, other) is None


def test_how_far_an_export_may_lie_from_what_was_trained() -> None:
    trained = np.array([1_000.0, 1_200.0, 800.0])
    assert not Regression().largest_difference(trained + 0.005, trained)[1].any()
    largest, wrong = Regression().largest_difference(trained + np.array([0.0, 5.0, np.nan]), trained)
    assert wrong.tolist() == [False, True, True] and np.isnan(largest)
    assert not Regression().largest_difference(np.full(3, 5.0), np.full(3, 5.0))[1].any()
    said = np.array([[0.5, 0.5], [0.1, 0.9]])
    assert Multiclass().largest_difference(said + np.array([[0, 0], [1e-3, 0]]), said)[1].tolist() == [False, True]
    assert Binary().largest_difference(np.array([0.5, 0.5]), np.array([0.5, 0.5 + 1e-6]))[0] == pytest.approx(1e-6)
