"""Learning: what a model is, training sets, fitting, evaluation and export."""

from tidemill.learning.budget import Budget
from tidemill.learning.domain import domain_auc, domain_table, told_apart
from tidemill.learning.explaining import Explanation, explain, typical_columns
from tidemill.learning.fitting import Fitted, fit, fit_all, predict, refit, to_input
from tidemill.learning.importance import important_columns
from tidemill.learning.intervals import Figures, Interval, block_of
from tidemill.learning.label_lag import LabelLag
from tidemill.learning.lake_sql import Limits
from tidemill.learning.measured import Measured, measure
from tidemill.learning.metrics import Quality, auc, losses, quality, weekly
from tidemill.learning.model import Model, Requests
from tidemill.learning.moments import Clock, Moments
from tidemill.learning.objective import Objective
from tidemill.learning.parity import Mismatch, Parity, check_parity
from tidemill.learning.point_in_time import values_at
from tidemill.learning.policy import Monitor
from tidemill.learning.retrain_policy import RetrainPolicy, Window
from tidemill.learning.sampling import Sample, evenly
from tidemill.learning.scorer import Scorer, in_classes
from tidemill.learning.scoring import WRONG_COLUMNS, OnnxModel
from tidemill.learning.slices import SliceQuality, slice_quality
from tidemill.learning.task import Metric, Task
from tidemill.learning.training_set import TrainingSet, TrainingSetBuilder, build_training_set, vectors_of
from tidemill.learning.value_cache import ValueCache
from tidemill.learning.vectors import Vectors

__all__ = [
    "WRONG_COLUMNS",
    "Budget",
    "Clock",
    "Explanation",
    "Figures",
    "Fitted",
    "Interval",
    "LabelLag",
    "Limits",
    "Measured",
    "Metric",
    "Mismatch",
    "Model",
    "Moments",
    "Monitor",
    "Objective",
    "OnnxModel",
    "Parity",
    "Quality",
    "Requests",
    "RetrainPolicy",
    "Sample",
    "Scorer",
    "SliceQuality",
    "Task",
    "TrainingSet",
    "TrainingSetBuilder",
    "ValueCache",
    "Vectors",
    "Window",
    "auc",
    "block_of",
    "build_training_set",
    "check_parity",
    "domain_auc",
    "domain_table",
    "evenly",
    "explain",
    "fit",
    "fit_all",
    "important_columns",
    "in_classes",
    "losses",
    "measure",
    "predict",
    "quality",
    "refit",
    "slice_quality",
    "to_input",
    "told_apart",
    "typical_columns",
    "values_at",
    "vectors_of",
    "weekly",
]
