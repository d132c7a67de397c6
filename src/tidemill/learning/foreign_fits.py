"""Models of LightGBM, XGBoost and scikit-learn as `Foreign`: converted to ONNX, with what they say themselves to hold it against.

Boosters are read from their own files, which hold trees and nothing that runs; the converter and the libraries are those of the extra
`tidemill[boosters]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tidemill.errors import ExportError
from tidemill.learning.export import convert
from tidemill.learning.foreign import Foreign
from tidemill.learning.model import Model

_TABLE = "table"
_EXTRA = "install `tidemill[boosters]`, which brings LightGBM, XGBoost and their converters"


def of_lightgbm(model: Model, file: Path, columns: Sequence[str] = ()) -> Foreign:
    """A booster of LightGBM, from the text file that it saves.

    Args:
        model: whose version it is to be.
        file: `Booster.save_model` wrote it; MLflow keeps it as `model.lgb`.
        columns: the vector's columns in its order; left out those it names itself.

    Raises:
        ExportError: LightGBM is not installed, or the converter does not take it.
    """
    try:
        import lightgbm
        from onnxmltools import convert_lightgbm
    except ImportError as error:
        raise ExportError(f"{error}; {_EXTRA}") from error
    booster = lightgbm.Booster(model_file=str(file))
    names = list(columns or booster.feature_name())
    content = _converted(convert_lightgbm, booster, len(names), {"zipmap": False})

    def says(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        return np.asarray(booster.predict(frame[names].to_numpy(np.float64), num_threads=1), dtype=np.float64)

    return Foreign(content, names, says=says)


def of_xgboost(model: Model, file: Path, columns: Sequence[str] = ()) -> Foreign:
    """A booster of XGBoost, from the JSON or UBJSON file that it saves.

    Args:
        model: whose version it is to be.
        file: `save_model` wrote it; MLflow keeps it as `model.ubj`, `model.json` or `model.xgb`.
        columns: the vector's columns in its order; left out those it names itself.

    Raises:
        ExportError: XGBoost is not installed, or the converter does not take it.
    """
    try:
        import xgboost
        from onnxmltools import convert_xgboost
    except ImportError as error:
        raise ExportError(f"{error}; {_EXTRA}") from error
    booster = xgboost.Booster({"nthread": 1}, model_file=str(file))
    names = list(columns or booster.feature_names or ())
    booster.feature_names = None  # the converter knows them by their places alone
    content = _converted(convert_xgboost, booster, booster.num_features(), {})

    def says(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        return np.asarray(booster.inplace_predict(frame[names].to_numpy(np.float32)), dtype=np.float64)

    return Foreign(content, names, says=says)


def of_sklearn(model: Model, estimator: Any, columns: Sequence[str] = ()) -> Foreign:
    """An estimator of scikit-learn that was fitted on a frame, or on a table of the columns that are named.

    Raises:
        ExportError: skl2onnx does not convert it.
    """
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    names = list(columns or getattr(estimator, "feature_names_in_", ()))
    by_column = any(model.columns.get(name) == "text" for name in names) or _picks_columns(estimator)
    if by_column:
        types = [(name, StringTensorType([None, 1]) if model.columns.get(name) == "text" else FloatTensorType([None, 1])) for name in names]
    else:
        types = [(_TABLE, FloatTensorType([None, len(names)]))]
    classes = [one.item() if hasattr(one, "item") else one for one in getattr(estimator, "classes_", ())]
    try:
        proto = convert(estimator, types, {"zipmap": False} if classes else None)
    except Exception as error:  # the converter raises whatever it meets
        raise ExportError(f"skl2onnx does not convert {type(estimator).__name__}: {error!r}") from error

    def says(frame: pd.DataFrame) -> npt.NDArray[np.float64]:
        texts = {name: "" for name in names if model.columns.get(name) == "text"}
        given = frame[names].fillna(texts) if hasattr(estimator, "feature_names_in_") else frame[names].to_numpy()
        said = estimator.predict_proba(given) if classes else estimator.predict(given)
        return np.asarray(said[:, 1] if model.objective.task == "binary" else said, dtype=np.float64)

    own = classes if model.objective.task == "multiclass" else ()
    return Foreign(proto.SerializeToString(), () if by_column else names, classes=own, says=says)


def _picks_columns(estimator: Any) -> bool:
    """Whether its first step is told apart by column names."""
    first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
    return hasattr(first, "transformers")


def _converted(convert: Callable[..., Any], booster: Any, n_columns: int, options: Mapping[str, object]) -> bytes:
    from onnxmltools.convert.common.data_types import FloatTensorType

    try:
        proto = convert(booster, initial_types=[(_TABLE, FloatTensorType([None, n_columns]))], **options)
    except Exception as error:  # the converter raises whatever it meets
        raise ExportError(f"onnxmltools does not convert it: {error!r}") from error
    content: bytes = proto.SerializeToString()
    return content
