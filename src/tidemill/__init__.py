"""Tidemill: real-time machine learning that a small team can run. What a project file needs is here."""

from tidemill.client import AsyncClient, Client
from tidemill.events import Stream
from tidemill.features import (
    Label,
    Table,
    View,
    col,
    count,
    derive,
    distinct,
    first,
    greatest,
    last,
    least,
    max_,
    mean,
    min_,
    on,
    quantile,
    share,
    std,
    sum_,
    variance,
)
from tidemill.learning import Model, Monitor, Requests, RetrainPolicy
from tidemill.project import CsvHistory, Project
from tidemill.sources import Delta, Files, Kafka, Kinesis, SqlOutbox, SqlTable
from tidemill.streams import Asked, Counts, Recorded, Recording
from tidemill.targets import KafkaTopic

__all__ = [
    "Asked",
    "AsyncClient",
    "Client",
    "Counts",
    "CsvHistory",
    "Delta",
    "Files",
    "Kafka",
    "KafkaTopic",
    "Kinesis",
    "Label",
    "Model",
    "Monitor",
    "Project",
    "Recorded",
    "Recording",
    "Requests",
    "RetrainPolicy",
    "SqlOutbox",
    "SqlTable",
    "Stream",
    "Table",
    "View",
    "col",
    "count",
    "derive",
    "distinct",
    "first",
    "greatest",
    "last",
    "least",
    "max_",
    "mean",
    "min_",
    "on",
    "quantile",
    "share",
    "std",
    "sum_",
    "variance",
]
