"""Tidemill: real-time machine learning that a small team can run. What a project file needs is here."""

from tidemill.events import Stream
from tidemill.features import Label, View, col, count, derive, max_, mean, min_, std, sum_, variance
from tidemill.learning import Model, Monitor, Requests, RetrainPolicy
from tidemill.project import Project
from tidemill.streams import Asked, Counts, Recorded, Recording

__all__ = [
    "Asked",
    "Counts",
    "Label",
    "Model",
    "Monitor",
    "Project",
    "Recorded",
    "Recording",
    "Requests",
    "RetrainPolicy",
    "Stream",
    "View",
    "col",
    "count",
    "derive",
    "max_",
    "mean",
    "min_",
    "std",
    "sum_",
    "variance",
]
