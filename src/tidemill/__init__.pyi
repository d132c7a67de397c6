# What `tidemill` exports. It is read when the package is imported, too: lazy_loader takes from it where each name lies.

from .client import AsyncClient, Client
from .events import Stream
from .features import (
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
from .learning import Model, Monitor, Requests, RetrainPolicy
from .project import CsvHistory, Project
from .sources import Delta, Files, Kafka, Kinesis, SqlOutbox, SqlTable
from .streams import Asked, Counts, Recorded, Recording
from .targets import KafkaTopic

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
