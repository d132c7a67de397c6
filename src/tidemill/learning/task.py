"""What a model predicts: a yes or no, one of several classes, or a number; as its owner says, or as its label tells for certain."""

from __future__ import annotations

from typing import Literal

from tidemill.errors import ProjectError
from tidemill.features import Label

Task = Literal["binary", "multiclass", "regression"]
Metric = Literal["log_loss", "squared_error", "absolute_error"]

_METRICS: dict[Task, tuple[Metric, ...]] = {
    "binary": ("log_loss",),
    "multiclass": ("log_loss",),
    "regression": ("squared_error", "absolute_error"),
}
_NEEDED: dict[Task, str] = {
    "binary": "a condition, e.g. col('x') > 3 or col('kind').equals('late')",
    "multiclass": "a field of the type str or int",
    "regression": "a number",
}


def task_of(label: Label, task: Task | None, where: str) -> Task:
    """The task of a model with this label: what the label's values tell for certain, else what is said.

    Args:
        label: of the model.
        task: as declared.
        where: what an error is about.

    Raises:
        ProjectError: an unknown task, one that does not fit the label, or a number of which nobody says what it is.
    """
    value = label.expression.text
    if task is not None and task not in _METRICS:
        raise ProjectError(f"unknown task {task!r}", where=where, fix=f"choose of {', '.join(_METRICS)}")
    certain: dict[str, Task] = {"condition": "binary", "text": "multiclass"}
    if label.kind in certain:
        if task is not None and task != certain[label.kind]:
            what = "true or false" if label.kind == "condition" else "a text"
            fix = f"leave task out, or make the label {_NEEDED[task]}"
            raise ProjectError(f"task={task!r}, but the label's value {value} is {what}", where=where, fix=fix)
        return certain[label.kind]
    if task is None:
        fix = "say task='binary' for 0 or 1, 'multiclass' for one of several classes, 'regression' for a quantity"
        raise ProjectError(f"the label's value {value} is a number, which can mean three things", where=where, fix=fix)
    if task == "multiclass" and label.kind != "whole":
        raise ProjectError(f"classes cannot be read from {value}", where=where, fix=f"make the label {_NEEDED['multiclass']}")
    return task


def check_metric(task: Task, metric: Metric | None, where: str) -> None:
    """Refuse a metric that judges no model of the task.

    Raises:
        ProjectError: names those that do.
    """
    if metric is not None and metric not in _METRICS[task]:
        raise ProjectError(f"metric={metric!r} judges no {task} model", where=where, fix=f"choose of {', '.join(_METRICS[task])}")
