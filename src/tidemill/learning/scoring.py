"""Scoring vectors with an exported model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from tidemill.events import Column, FieldKind
from tidemill.kernels import Floats
from tidemill.learning.one_row import OneRow
from tidemill.learning.scorer import in_classes
from tidemill.learning.task import Task
from tidemill.learning.vectors import Vectors
from tidemill.stores import Class

WRONG_COLUMNS = (KeyError, InvalidArgument)  # what a model says of vectors without a column that it reads, or with one of another kind
_TASK, _CLASSES = "tidemill.task", "tidemill.classes"


class OnnxModel:
    """Scores vectors with ONNX Runtime; nothing is unpickled. It is a `Scorer`.

    Args:
        content: the ONNX file.
        columns: the vector's columns and kinds, in order.

    Attributes:
        task: what it answers.
        classes: what the columns of its probabilities stand for, where it tells several classes apart.
    """

    waits = False
    down = ""

    def __init__(self, content: bytes, columns: Mapping[str, FieldKind]) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._columns = dict(columns)
        self._inputs = [value.name for value in self._session.get_inputs()]
        self._reads_all = set(self._inputs) == set(columns)
        about = self._session.get_modelmeta().custom_metadata_map
        self.task: Task = about.get(_TASK, "binary")
        self.classes: tuple[Class, ...] = tuple(json.loads(about.get(_CLASSES, "[]")))
        self._one_row: OneRow | None = None
        self._output = self._session.get_outputs()[0].name if self.task == "regression" else "probabilities"

    def score(self, columns: Mapping[str, Column], classes: Sequence[Class] = ()) -> Floats:
        """See `Scorer.score`."""
        return in_classes(self.run(Vectors.of(columns, self._columns)), self.classes, classes)

    @property
    def reads(self) -> tuple[str, ...]:
        """See `Scorer.reads`."""
        return tuple(self._inputs)

    def run(self, vectors: Vectors) -> Floats:
        """See `Scorer.run`."""
        said = np.asarray(self._run(vectors), dtype=np.float64)
        return said if self.task == "multiclass" else said[:, 1] if self.task == "binary" else said.reshape(len(said))

    def _run(self, vectors: Vectors) -> npt.NDArray[np.generic]:
        is_one = self._inputs != [] and len(vectors) == 1
        if is_one and self._one_row is not None:
            return self._one_row.run(vectors)
        feed = vectors.feed
        own = feed if self._reads_all else {name: feed[name] for name in self._inputs}
        said: npt.NDArray[np.generic] = self._session.run([self._output], own)[0]
        if is_one and said.dtype == np.float32 and OneRow.is_bindable(self._session):
            self._one_row = OneRow(self._session, self._output, said.shape)  # before, nobody has said what shape an answer has
        return said


def describe(task: Task, classes: Sequence[Class]) -> dict[str, str]:
    """What the ONNX file itself says of its answers, so that a version can be read without its project file."""
    return {_TASK: task, _CLASSES: json.dumps(list(classes))}
