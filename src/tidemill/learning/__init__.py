"""Learning: what a model is, training sets, fitting, evaluation and export."""

from tidemill.learning.model import Model, Requests
from tidemill.learning.policy import Monitor, RetrainPolicy, Trigger

__all__ = ["Model", "Monitor", "Requests", "RetrainPolicy", "Trigger"]
