"""A model that becomes no ONNX, described from what MLflow wrote beside it and asked in a process of its own; nothing of it is opened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tidemill.errors import ExportError, InputError
from tidemill.learning import Model, Scorer, TrainingSet
from tidemill.pyfunc import About
from tidemill.registry.release import Pyfunc
from tidemill.registry.training import Made
from tidemill.stores import Class


def as_pyfunc(model: Model, pyfunc: Pyfunc, scorer: Scorer, source: str, gate: TrainingSet) -> Made:
    """Ask its process of the newest rows.

    Args:
        model: whose versions it is to be one of.
        pyfunc: what it is.
        scorer: its process.
        source: where it comes from, for messages.
        gate: the newest rows.

    Raises:
        ExportError: it tells yes or no where the probability of yes is asked for.
        UnavailableError: its process does not start or answer.
    """
    said = scorer.score(gate.columns)
    if model.objective.task != "regression" and np.isin(said, (0.0, 1.0)).all():
        raise ExportError(f"{source} says 0 or 1 of every row, and no probability; have its predict answer probabilities")
    return Made(scorer, pyfunc)


def describe(model: Model, folder: Path, names: Sequence[str], renamed: Mapping[str, str], classes: Sequence[Class]) -> Pyfunc:
    """What a model reads and answers.

    Args:
        model: whose versions it is to be one of.
        folder: what MLflow wrote.
        names: the columns that it reads, as it calls them; of none it is handed the whole vector.
        renamed: the vector's name of one, where it has another.
        classes: what its probabilities stand for.

    Raises:
        InputError: it reads a column that the vector lacks, or the classes are not said.
    """
    reads = {name: renamed.get(name, name) for name in names or model.columns}
    unknown = [ours for ours in reads.values() if ours not in model.columns]
    if unknown:
        what = f"it reads {', '.join(map(repr, unknown))}, which the vector does not have; its columns are {', '.join(model.columns)}"
        raise InputError(what, where="columns")
    if model.objective.task == "multiclass" and not classes:
        raise InputError("it does not say which classes its probabilities stand for; name them in its order", where="classes")
    return Pyfunc(folder, About(model.objective.task, tuple(classes) if model.objective.task == "multiclass" else (), reads))
