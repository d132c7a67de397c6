"""The classifier: encoders and gradient boosting, of scikit-learn's classes alone, so that it exports to ONNX and unpickles anywhere."""

from __future__ import annotations

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder


def make_estimator() -> Pipeline:
    """A pipeline that reads a table with text columns carrier, origin and dest, and numbers with NaN for missing.

    Native categorical features of the booster are not used: they convert to ONNX silently wrong. Airlines and airports
    are one column each; the many destinations are one number, which trees split well enough.

    >>> [name for name, _ in make_estimator().steps]
    ['encode', 'classify']
    """
    encode = ColumnTransformer(
        [
            ("airline_and_airport", OneHotEncoder(handle_unknown="ignore", sparse_output=False), ["carrier", "origin"]),
            ("destination", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), ["dest"]),
        ],
        remainder="passthrough",
        verbose_feature_names_out=False,
    )
    classify = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.05, max_leaf_nodes=15, min_samples_leaf=100, l2_regularization=1.0, random_state=0
    )
    return Pipeline([("encode", encode), ("classify", classify)])
