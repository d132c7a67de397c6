"""Export to ONNX, and the proof that the exported model says what the trained one says.

Not among what `tidemill.learning` names: the converter takes seconds to import, and only who fits needs it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import pandas as pd
from onnx.helper import set_model_props
from skl2onnx import to_onnx
from skl2onnx.common import _container
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.pipeline import Pipeline

from tidemill.errors import ExportError
from tidemill.learning.fitting import predict
from tidemill.learning.model import Model
from tidemill.learning.scoring import OnnxModel, describe
from tidemill.stores import Class

_CONVERTING = threading.Lock()


@dataclass(frozen=True)
class Exported:
    """An ONNX model and how far its outputs lay from the trained one's on the rows they were compared on."""

    content: bytes
    largest_difference: float
    n_compared: int


def export(model: Model, estimator: Any, frame: pd.DataFrame, classes: Sequence[Class] = ()) -> Exported:
    """The estimator as ONNX, compared with it on the rows of `frame`; the file says what it answers, so that it can be read alone.

    Args:
        model: whose.
        estimator: fitted.
        frame: (n, n_columns) vectors to compare on.
        classes: what the outcomes it was fitted to are places of, where they are one of several.

    Raises:
        ExportError: it cannot be converted, or an output differs by more than `Objective.largest_difference` allows.
    """
    objective = model.objective
    options = None if objective.task == "regression" else {"zipmap": False}
    types = [(name, StringTensorType([None, 1]) if kind == "text" else FloatTensorType([None, 1])) for name, kind in model.columns.items()]
    try:
        proto = convert(estimator, types, options)
    except Exception as error:  # the converter raises whatever it meets; what matters is that this model cannot serve
        raise ExportError(f"model {model.name!r} does not convert to ONNX: {error!r}; {_advice(estimator)}") from error
    set_model_props(proto, describe(objective.task, [classes[place] for place in estimator.classes_] if classes else ()))
    content = proto.SerializeToString()
    columns = {name: frame[name].to_numpy() for name in model.columns}
    said, trained = OnnxModel(content, model.columns).score(columns, classes), predict(model, estimator, frame, len(classes))
    largest, wrong = objective.largest_difference(said, trained)
    if wrong.any():
        where = f"on {wrong.sum()} of {len(frame)} rows, by up to {largest:.2g}"
        raise ExportError(
            f"the ONNX form of model {model.name!r} differs from the trained one {where}; "
            "encode categories yourself (native categorical features convert wrongly)"
        )
    return Exported(content, largest, len(frame))


def convert(estimator: Any, types: Sequence[tuple[str, Any]], options: Mapping[str, Any] | None) -> onnx.ModelProto:
    """What skl2onnx makes of an estimator; it raises whatever it meets."""
    with _CONVERTING, patch.object(_container, "make_node", _plain_make_node(_container.make_node)):
        proto: onnx.ModelProto = to_onnx(estimator, initial_types=list(types), options=options)
    return proto


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
