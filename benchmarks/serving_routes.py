"""What somebody writes who serves a model by hand: one FastAPI route around a scikit-learn pipeline; and a route that does nothing at all.

Both run as ours does: uvicorn, one process, no access log, the packages of our environment.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from fastapi import FastAPI
from pydantic import create_model

from benchmarks.serving_project import alone

Row = create_model("Row", **{name: (float, ...) for name in alone.columns})  # type: ignore[call-overload]  # fields known at run time


def empty() -> FastAPI:
    """A route that reads no body and answers a constant: what FastAPI and uvicorn cost by themselves."""
    app = FastAPI()

    @app.post("/predict")
    async def predict() -> dict[str, str]:
        return {"status": "ok"}

    _well(app)
    return app


def pipeline() -> FastAPI:
    """The estimator asked for each request, as a frame of its columns."""
    app = FastAPI()
    file = os.environ["ESTIMATOR"]
    estimator = skops.io.load(file, trusted=skops.io.get_untrusted_types(file=file))  # our own, written a minute ago
    columns = list(alone.columns)

    @app.post("/predict")
    async def predict(rows: list[Row]) -> list[float]:  # type: ignore[valid-type]  # a model made at run time
        frame = pd.DataFrame(np.array([[getattr(row, name) for name in columns] for row in rows]), columns=columns)
        told: list[float] = estimator.predict_proba(frame)[:, 1].tolist()
        return told

    _well(app)
    return app


def _well(app: FastAPI) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return {}
