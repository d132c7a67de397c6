"""A client for programs: typed calls of a tidemill server over HTTP, to be waited for or awaited."""

from tidemill.client.answers import DecisionMade, Features, ModelState, PredictionMade, Reasons, Receipt, Rejection
from tidemill.client.asynchronous import AsyncClient
from tidemill.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "Client",
    "DecisionMade",
    "Features",
    "ModelState",
    "PredictionMade",
    "Reasons",
    "Receipt",
    "Rejection",
]
