"""A release: all that is logged of one trained model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tidemill.pyfunc import About

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Pyfunc:
    """A model that becomes no ONNX.

    Args:
        folder: what MLflow wrote; nothing of it is opened.
        about: what is known of it.
    """

    folder: Path
    about: About


@dataclass(frozen=True)
class Release:
    """What is logged of one trained model.

    Args:
        name: the registered name, `{project}.{model}`.
        run_name: for people.
        params: settings and sizes.
        metrics: figures.
        tags: where it comes from: trigger, code version, lake versions, view digest.
        content: the ONNX file, or a model that becomes none.
        example: (few, n_columns) rows, for the signature.
        reference: JSON of the reference profile for drift.
        sample: at most 5,000 rows of the reference, for Evidently.
        dataset: the training rows' name, digest, source folder and Delta version.
    """

    name: str
    run_name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    content: bytes | Pyfunc
    example: pd.DataFrame
    reference: str
    sample: pd.DataFrame
    dataset: DatasetRef


@dataclass(frozen=True)
class DatasetRef:
    """Which rows a model was trained on."""

    name: str
    digest: str
    folder: Path
    version: int
