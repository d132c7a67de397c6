"""Serving: the API server, the models it holds, the monitors, and the worker that keeps everything going."""

from tidemill.serving.app import create_app
from tidemill.serving.champions import Champions
from tidemill.serving.copying import Copier, copiers
from tidemill.serving.ending import EndingServer
from tidemill.serving.features import FeatureAnswer, read_features, read_features_of
from tidemill.serving.keyring import Keyring
from tidemill.serving.one_write import OneWrite
from tidemill.serving.prediction import Prediction
from tidemill.serving.predictor import Predictor
from tidemill.serving.publishing import Publisher, publishers
from tidemill.serving.worker import Worker

__all__ = [
    "Champions",
    "Copier",
    "EndingServer",
    "FeatureAnswer",
    "Keyring",
    "OneWrite",
    "Prediction",
    "Predictor",
    "Publisher",
    "Worker",
    "copiers",
    "create_app",
    "publishers",
    "read_features",
    "read_features_of",
]
