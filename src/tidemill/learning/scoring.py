"""Scoring vectors with an exported model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime as ort

from tidemill.events import Column, FieldKind
from tidemill.kernels import Floats


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


def to_feed(columns: Mapping[str, Column], kinds: Mapping[str, FieldKind]) -> dict[str, Column]:
    """(n, 1) tensors of (n,) columns: numbers as float32, text as strings with "" for missing."""
    names = [name for name, kind in kinds.items() if kind != "text"]
    numbers = np.array([columns[name] for name in names], dtype=np.float32)
    feed = {name: row[:, None] for name, row in zip(names, numbers, strict=True)}
    for name in kinds.keys() - feed.keys():
        feed[name] = np.array([["" if value is None else value] for value in columns[name]], dtype=object)
    return feed
