"""Serving: the API server, the models it holds, the monitors, and the worker that keeps everything going."""

from tidemill.serving.app import create_app
from tidemill.serving.champions import Champions
from tidemill.serving.connection import Connection, end_before
from tidemill.serving.copying import Copier, copiers
from tidemill.serving.features import FeatureAnswer, read_features, read_features_of
from tidemill.serving.keyring import Keyring
from tidemill.serving.prediction import Prediction
from tidemill.serving.predictor import Predictor
from tidemill.serving.publishing import Publisher, publishers
from tidemill.serving.worker import Worker

__all__ = [
    "Champions",
    "Connection",
    "Copier",
    "FeatureAnswer",
    "Keyring",
    "Prediction",
    "Predictor",
    "Publisher",
    "Worker",
    "copiers",
    "create_app",
    "end_before",
    "publishers",
    "read_features",
    "read_features_of",
]
