"""A version made ready to answer: its files had, opened, and asked before anybody else asks it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidemill.drift import ReferenceProfile
from tidemill.errors import ConflictError, ExportError
from tidemill.learning import WRONG_COLUMNS, Model, Scorer, Vectors, typical_columns
from tidemill.registry import Registry

_WARM_ROWS = (1, 2, 64)  # the first runs of a session plan its memory


@dataclass(frozen=True)
class Loaded:
    """A version ready to score.

    Args:
        version: its number.
        scorer: what is asked.
        typical: of each column the value in the middle of what it learnt from, or the most frequent one; what explanations begin from.
    """

    version: int
    scorer: Scorer
    typical: Mapping[str, object]


def load(registry: Registry, name: str, model: Model, version: int) -> Loaded:
    """A version that has answered before it is asked. It takes as long as a download, or as the start of a process.

    Args:
        registry: where it comes from.
        name: the model's registered name.
        model: its definition.
        version: which.

    Raises:
        ConflictError: it is of another task, does not read what the model's columns are now, or its files are not what they should be.
        TidemillError: it cannot be had just now.
    """
    files = registry.load(name, version)
    try:
        scorer = registry.open(files, model.columns)
    except ExportError as error:  # what is wrong with its files does not pass
        raise ConflictError(str(error)) from error
    task = model.objective.task
    if scorer.task != task:
        what = f"version {version} of model {model.name!r} is a {scorer.task} model, the project file says {task}"
        raise ConflictError(f"{what}; run `tidemill train {model.name}`, then `tidemill promote` what it registers")
    reference = {column.name: column.typical for column in ReferenceProfile.from_json(files.reference).columns}
    typical = {column: reference.get(column, None if kind == "text" else float("nan")) for column, kind in model.columns.items()}
    for n_rows in _WARM_ROWS:
        vectors = Vectors.of(typical_columns(model.columns, typical, n_rows), model.columns)
        try:
            scorer.run(vectors)
        except WRONG_COLUMNS as error:
            reads = f"column {error}, which the project file no longer gives it" if isinstance(error, KeyError) else "other columns"
            what = f"version {version} of model {model.name!r} reads {reads}; train a version that reads what it gives"
            raise ConflictError(what if isinstance(error, KeyError) else f"{what}: {error}") from error
    return Loaded(version, scorer, typical)
