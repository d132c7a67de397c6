"""Export to ONNX, and the proof that the exported model says what the trained one says."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import onnxruntime as ort
import pandas as pd
from skl2onnx import to_onnx
from skl2onnx.common import _container
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.pipeline import Pipeline

from tidemill.errors import ExportError
from tidemill.events import Column, FieldKind
from tidemill.kernels import Floats
from tidemill.learning.fitting import predict
from tidemill.learning.model import Model

TOLERANCE = 1e-5
_CONVERTING = threading.Lock()


@dataclass(frozen=True)
class Exported:
    """An ONNX model and how far its outputs lay from the trained one's on the rows they were compared on."""

    content: bytes
    largest_difference: float
    n_compared: int


class OnnxModel:
    """Scores vectors with ONNX Runtime; nothing is unpickled.

    Args:
        content: the ONNX file.
        columns: the vector's columns and kinds, in order.
    """

    def __init__(self, content: bytes, columns: Mapping[str, FieldKind]) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._columns = dict(columns)
        self._inputs = [value.name for value in self._session.get_inputs()]

    def score(self, columns: Mapping[str, Column]) -> Floats:
        """(n,) the probability of outcome 1, for (n,) columns as `Model.assemble` makes them."""
        return self.run(to_feed(columns, self._columns))

    def run(self, feed: Mapping[str, Column]) -> Floats:
        """The same for tensors that `to_feed` made, so that several models of one vector share them."""
        probabilities = self._session.run(["probabilities"], {name: feed[name] for name in self._inputs})[0]
        return np.asarray(probabilities, dtype=np.float64)[:, 1]


def export(model: Model, estimator: Any, frame: pd.DataFrame) -> Exported:
    """The estimator as ONNX, compared with it on the rows of `frame`.

    Raises:
        ExportError: it cannot be converted, or an output differs by more than 1e-5.
    """
    types = [(name, StringTensorType([None, 1]) if kind == "text" else FloatTensorType([None, 1])) for name, kind in model.columns.items()]
    try:
        with _CONVERTING, patch.object(_container, "make_node", _plain_make_node(_container.make_node)):
            proto = to_onnx(estimator, initial_types=types, options={"zipmap": False})
    except Exception as error:  # the converter raises whatever it meets; what matters is that this model cannot serve
        raise ExportError(f"model {model.name!r} does not convert to ONNX: {error!r}; {_advice(estimator)}") from error
    content = proto.SerializeToString()
    columns = {name: frame[name].to_numpy() for name in model.columns}
    difference = np.abs(OnnxModel(content, model.columns).score(columns) - predict(model, estimator, frame))
    largest = float(difference.max(initial=0.0))
    if largest > TOLERANCE:
        wrong = int((difference > TOLERANCE).sum())
        raise ExportError(
            f"the ONNX form of model {model.name!r} differs from the trained one on {wrong} of {len(frame)} rows, by up to {largest:.2g}; "
            "encode categories yourself (native categorical features convert wrongly)"
        )
    return Exported(content, largest, len(frame))


def _advice(estimator: Any) -> str:
    """What to do about an estimator that does not convert."""
    if not isinstance(estimator, Pipeline):
        return "a bare estimator takes one table, and a model is asked column by column: put a ColumnTransformer before it in a pipeline"
    return "use estimators that skl2onnx converts"


def _plain_make_node(make_node: Any) -> Any:
    """skl2onnx 1.20 hands numpy integers and booleans to onnx, which refuses them."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.bool_ | bool | np.integer):
            return int(value)
        return [plain(item) for item in value] if isinstance(value, list) else value

    def made(*args: Any, **attributes: Any) -> Any:
        return make_node(*args, **{name: plain(value) for name, value in attributes.items()})

    return made


def to_feed(columns: Mapping[str, Column], kinds: Mapping[str, FieldKind]) -> dict[str, Column]:
    """(n, 1) tensors of (n,) columns: numbers as float32, text as strings with "" for missing."""
    names = [name for name, kind in kinds.items() if kind != "text"]
    numbers = np.array([columns[name] for name in names], dtype=np.float32)
    feed = {name: row[:, None] for name, row in zip(names, numbers, strict=True)}
    for name in kinds.keys() - feed.keys():
        feed[name] = np.array([["" if value is None else value] for value in columns[name]], dtype=object)
    return feed
