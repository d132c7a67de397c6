"""A model with code of its own, asked like any other: columns in, probabilities or values out."""

from __future__ import annotations

import json
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np

from tidemill.errors import ConflictError, NotReadyError, UnavailableError
from tidemill.events import Column, FieldKind
from tidemill.kernels import Floats
from tidemill.learning import Task, Vectors, in_classes
from tidemill.pyfunc.bounds import bounds_of
from tidemill.pyfunc.environments import find_python, kept_from, make_environment, python_of, requirements_of
from tidemill.pyfunc.kept import Kept
from tidemill.pyfunc.process import ModelProcess
from tidemill.settings import PyfuncSettings
from tidemill.stores import Class

ROWS_A_QUESTION = 10_000
_SLACK = 1e-6  # by which probabilities of floats may miss 0 and 1


@dataclass(frozen=True)
class About:
    """What is known of a model that nothing but its own process opens.

    Args:
        task: what it answers.
        classes: what its probabilities stand for, in order, where it tells several classes apart.
        reads: by its name of a column the vector's; it is handed these, in this order.
    """

    task: Task
    classes: tuple[Class, ...]
    reads: Mapping[str, str]

    def to_json(self) -> str:
        """As it is kept beside a version."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> About:
        """What `to_json` wrote."""
        told = json.loads(text)
        return cls(cast(Task, told["task"]), tuple(told["classes"]), told["reads"])

    @property
    def widths(self) -> tuple[int, ...]:
        """How many numbers a row it may answer; of yes or no the probability of yes, or those of both."""
        return {"binary": (1, 2), "regression": (1,), "multiclass": (len(self.classes),)}[self.task]


class PyfuncModel:
    """Scores vectors in another process, which is ended with this object; it is a `Scorer` of `tidemill.learning`.

    Args:
        about: what is known of it.
        columns: the vector's columns and kinds, in order.
        process: not started yet.

    Raises:
        UnavailableError: from here, `run` and `score`: the process did not answer, or not as it has to.
    """

    waits = True

    def __init__(self, about: About, columns: Mapping[str, FieldKind], process: ModelProcess) -> None:
        self.task = about.task
        self.classes = about.classes
        self._about = about
        self._columns = dict(columns)
        self._what = process.what
        self._kept = Kept(process)
        weakref.finalize(self, self._kept.end)
        self._kept.start()

    @property
    def down(self) -> str:
        """See `Scorer`."""
        return self._kept.down

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return tuple(self._about.reads.values())

    def score(self, columns: Mapping[str, Column], classes: Sequence[Class] = ()) -> Floats:
        """See `Scorer.score`."""
        return in_classes(self.run(Vectors.of(columns, self._columns)), self.classes, classes)

    def run(self, vectors: Vectors) -> Floats:
        """See `Scorer.run`."""
        table = {theirs: _column(vectors.feed[ours]) for theirs, ours in self._about.reads.items()}
        n_rows = len(next(iter(table.values())))
        said = np.concatenate([self._ask(table, begin) for begin in range(0, max(1, n_rows), ROWS_A_QUESTION)])
        return said if self.task == "multiclass" else said[:, -1]

    def _ask(self, table: Mapping[str, Column], begin: int) -> Floats:
        rows = {name: column[begin : begin + ROWS_A_QUESTION] for name, column in table.items()}
        said = self._kept.ask(as_stream(rows), len(next(iter(rows.values()))), self._about.widths)
        wrong = ~np.isfinite(said) if self.task == "regression" else ~((said >= -_SLACK) & (said <= 1 + _SLACK))
        if wrong.any():
            what = "a number" if self.task == "regression" else "a probability"
            raise UnavailableError(
                f"{self._what} said {said[wrong][0]:g} of row {begin + int(wrong.any(axis=1).argmax())}, which is not {what}"
            )
        return said


@dataclass(frozen=True)
class Place:
    """Where a model runs.

    Args:
        settings: whether that is wanted, and how.
        home: where environments and working copies are kept, unless the settings say otherwise.
        what: which version it is, for messages.
    """

    settings: PyfuncSettings
    home: Path
    what: str


def folder_of(settings: PyfuncSettings, home: Path) -> Path:
    """Where environments and working copies are kept; who models run as has to be able to enter it."""
    return (Path(settings.folder) if settings.folder else home / "pyfunc").absolute()


def open_model(model: Path, about: About, columns: Mapping[str, FieldKind], place: Place) -> PyfuncModel:
    """Start a model's process, in an environment that is made where there is none yet.

    Args:
        model: the folder that MLflow wrote; nothing in it is opened here but its YAML.
        about: what is known of it.
        columns: the vector's columns and kinds, in order.
        place: where it runs.

    Raises:
        ConflictError: models with code of their own are not wanted.
        ExportError: it requires what is not installed for a model.
        NotReadyError: its environment cannot be made, or who it runs as may not enter the folder.
        UnavailableError: it does not start, or says something that is no answer.
    """
    settings, what = place.settings, place.what
    if not settings.enabled:
        raise ConflictError(
            f"{what} becomes no ONNX: it runs code of its own, in a process of its own, and that is not enabled; "
            "where you trust its code set TIDEMILL_PYFUNC__ENABLED=true, for commands, flows and every server (docs/importing.md)"
        )
    bounds, folder = bounds_of(settings), folder_of(settings, place.home)
    runs = folder / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    if settings.environment:
        python = Path(settings.environment)
    else:
        base = Path(settings.python) if settings.python else find_python(python_of(model), bounds.user)
        if why := kept_from(base, bounds.user, runs):  # before an environment is made, which takes minutes
            raise NotReadyError(f"{what} cannot run: {why}")
        python = make_environment(requirements_of(model), base, folder / "environments")
    return PyfuncModel(about, columns, ModelProcess(what, python, model, runs, bounds))


def as_stream(columns: Mapping[str, Column]) -> bytes:
    """An Arrow IPC stream of (n,) columns: numbers as float64, texts with None for missing."""
    import pyarrow as pa

    table = pa.table({name: pa.array(column, pa.string() if column.dtype == object else pa.float64()) for name, column in columns.items()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _column(tensor: Column) -> Column:
    """(n,) of an (n, 1) tensor: numbers as float64, missing texts as None."""
    if tensor.dtype != object:
        return tensor[:, 0].astype(np.float64)
    column = np.empty(len(tensor), dtype=object)
    column[:] = [value or None for value in tensor[:, 0]]
    return column
