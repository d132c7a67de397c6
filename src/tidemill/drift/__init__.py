"""Has the world moved away from what a model was trained on? Pure detectors: values and times in, warnings and alarms out.

And how good is the model: estimated before its labels, measured after.
"""

from tidemill.drift.baseline import Baseline, OutcomeSettings
from tidemill.drift.calibration import SAMPLE_ROWS, profile_reference
from tidemill.drift.cusum import BernoulliCusum, ResidualCusum, SizeCusum
from tidemill.drift.estimate import QualityReference, estimate_quality, profile_quality, window_ms
from tidemill.drift.outcomes import Alarm, OutcomeMonitor
from tidemill.drift.quality_memory import QualityMemory, QualityWindows
from tidemill.drift.quality_report import QualityReport, report_quality
from tidemill.drift.quality_window import QualityWindow
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
    "QualityMemory",
    "QualityReference",
    "QualityReport",
    "QualityWindow",
    "QualityWindows",
    "ReferenceProfile",
    "ResidualCusum",
    "SizeCusum",
    "WindowedDrift",
    "estimate_quality",
    "profile_quality",
    "profile_reference",
    "report_quality",
    "window_ms",
    "window_thresholds",
]
