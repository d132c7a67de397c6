"""A row asked alone is answered to the bit as ONNX Runtime answers it otherwise, also by several threads at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnxruntime as ort
import pandas as pd
import pytest
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.compose import make_column_transformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tidemill.learning.one_row import OneRow
from tidemill.learning.vectors import Vectors

N_ROWS = 300
ROWS = np.random.default_rng(0).normal(size=(N_ROWS, 3)).astype(np.float32)
BINARY, THREE = (ROWS[:, 0] > 0).astype(np.int64), np.digitize(ROWS[:, 1], [-0.5, 0.5])


def session(estimator: Any, outcome: Any) -> tuple[ort.InferenceSession, str]:
    """The estimator in ONNX, with an input for each column, and the name of its last output."""
    frame = pd.DataFrame(ROWS, columns=list("abc"))
    whole = make_pipeline(make_column_transformer(("passthrough", list("abc"))), estimator).fit(frame, outcome)
    options = {"zipmap": False} if hasattr(estimator, "predict_proba") else {}
    proto = to_onnx(whole, initial_types=[(name, FloatTensorType([None, 1])) for name in "abc"], options=options)
    made = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return made, made.get_outputs()[-1].name


CASES = {
    "binary": (LogisticRegression(), BINARY, (1, 2)),
    "trees": (RandomForestClassifier(20, random_state=0), BINARY, (1, 2)),
    "classes": (LogisticRegression(), THREE, (1, 3)),
    "number": (GradientBoostingRegressor(n_estimators=10), ROWS[:, 2], (1, 1)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_row_is_answered_to_the_bit_as_without_binding(case: str) -> None:
    estimator, outcome, shape = CASES[case]
    made, output = session(estimator, outcome)
    assert OneRow.is_bindable(made)
    alone, orders = OneRow(made, output, shape), (["a", "b", "c"], ["c", "b", "a"])

    def both(row: int) -> tuple[bytes, bytes]:
        one = Vectors(orders[row % 2], ROWS[row : row + 1, :: -1 if row % 2 else 1].T, {})
        return alone.run(one).tobytes(), made.run([output], one.feed)[0].tobytes()

    with ThreadPoolExecutor(4) as pool:
        for bound, plain in pool.map(both, range(N_ROWS)):
            assert bound == plain


def test_a_column_that_is_not_there_is_named() -> None:
    made, output = session(LogisticRegression(), BINARY)
    with pytest.raises(KeyError, match="b"):
        OneRow(made, output, (1, 2)).run(Vectors(["a", "c"], ROWS[:2, :1], {}))
