"""Has the world moved away from what a model was trained on? Pure detectors: values and times in, warnings and alarms out."""

from tidemill.drift.baseline import Baseline, OutcomeSettings
from tidemill.drift.betting import BettingDrift
from tidemill.drift.budget import DEFAULT_BUDGET, DOMAIN_SHARE, outcome_thresholds, tail_level
from tidemill.drift.calibration import SAMPLE_ROWS, Sampling, profile_reference
from tidemill.drift.checks import Checks, data_faults
from tidemill.drift.cusum import BernoulliCusum, ResidualCusum, SizeCusum
from tidemill.drift.features import FeatureDrift
from tidemill.drift.outcomes import Alarm, OutcomeMonitor
from tidemill.drift.reference import CYCLE_MS, WINDOW_ROWS, ColumnProfile, ReferenceProfile
from tidemill.drift.volume import ROWS
from tidemill.drift.windows import ColumnWarning, WindowedDrift, window_thresholds

__all__ = [
    "CYCLE_MS",
    "DEFAULT_BUDGET",
    "DOMAIN_SHARE",
    "ROWS",
    "SAMPLE_ROWS",
    "WINDOW_ROWS",
    "Alarm",
    "Baseline",
    "BernoulliCusum",
    "BettingDrift",
    "Checks",
    "ColumnProfile",
    "ColumnWarning",
    "FeatureDrift",
    "OutcomeMonitor",
    "OutcomeSettings",
    "ReferenceProfile",
    "ResidualCusum",
    "Sampling",
    "SizeCusum",
    "WindowedDrift",
    "data_faults",
    "outcome_thresholds",
    "profile_reference",
    "tail_level",
    "window_thresholds",
]
