"""Has the world moved away from what a model was trained on? Pure detectors: values and times in, warnings and alarms out."""

from tidemill.drift.baseline import Baseline, OutcomeSettings
from tidemill.drift.calibration import SAMPLE_ROWS, profile_reference
from tidemill.drift.cusum import BernoulliCusum, ResidualCusum, SizeCusum
from tidemill.drift.outcomes import Alarm, OutcomeMonitor
from tidemill.drift.reference import CYCLE_MS, WINDOW_ROWS, ColumnProfile, ReferenceProfile
from tidemill.drift.windows import ColumnWarning, WindowedDrift, window_thresholds

__all__ = [
    "CYCLE_MS",
    "SAMPLE_ROWS",
    "WINDOW_ROWS",
    "Alarm",
    "Baseline",
    "BernoulliCusum",
    "ColumnProfile",
    "ColumnWarning",
    "OutcomeMonitor",
    "OutcomeSettings",
    "ReferenceProfile",
    "ResidualCusum",
    "SizeCusum",
    "WindowedDrift",
    "profile_reference",
    "window_thresholds",
]
