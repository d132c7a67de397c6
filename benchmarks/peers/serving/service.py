"""The same ONNX file behind BentoML: one service, arrays in and out, no batching across requests (its default).

Run by `bentoml serve service:Risk` with MODEL naming the ONNX file and WORKERS the number of its processes. Settings in its favour: no
access log, one thread of ONNX Runtime as ours has, an asynchronous route, so that no request waits for a thread.
"""

from __future__ import annotations

import os

import bentoml
import numpy as np
import onnxruntime as ort


@bentoml.service(workers=int(os.environ["WORKERS"]), logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Risk:
    """One model."""

    def __init__(self) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(os.environ["MODEL"], options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    @bentoml.api
    async def predict(self, rows: list[list[float]]) -> list[float]:
        """(n, 16) vectors -> (n,) probabilities of 1."""
        told = self.session.run(["probabilities"], {self.name: np.array(rows, dtype=np.float32)})
        return told[0][:, 1].tolist()
