"""Has the world moved away from what a model was trained on? Pure detectors: values and times in, warnings and alarms out.

And how good is the model: estimated before its labels, measured after.
"""

from tidemill.drift.baseline import Baseline, OutcomeSettings
from tidemill.drift.betting import BettingDrift
from tidemill.drift.block_cusum import ResidualCusum
from tidemill.drift.budget import DEFAULT_BUDGET, DOMAIN_SHARE, tail_level
from tidemill.drift.calibration import SAMPLE_ROWS, Sampling, profile_reference
from tidemill.drift.certainty import Answer, Certainty
from tidemill.drift.checks import Checks, data_faults
from tidemill.drift.cusum import BernoulliCusum, SizeCusum
from tidemill.drift.dating import dated_again
from tidemill.drift.estimate import QualityReference, estimate_quality, profile_quality, window_ms
from tidemill.drift.estimate_errors import estimate_errors, profile_errors
from tidemill.drift.features import FeatureDrift
from tidemill.drift.heat import ColumnChange, Heat
from tidemill.drift.outcome_budget import outcome_settings
from tidemill.drift.outcomes import Alarm, OutcomeMonitor
from tidemill.drift.quality_memory import QualityMemory, QualityWindows
from tidemill.drift.quality_report import QualityReport, report_quality
from tidemill.drift.quality_window import QualityWindow
from tidemill.drift.reference import CYCLE_MS, WINDOW_ROWS, ColumnProfile, ReferenceProfile
from tidemill.drift.score_bins import Scored
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
    "Answer",
    "Baseline",
    "BernoulliCusum",
    "BettingDrift",
    "Certainty",
    "Checks",
    "ColumnChange",
    "ColumnProfile",
    "ColumnWarning",
    "FeatureDrift",
    "Heat",
    "OutcomeMonitor",
    "OutcomeSettings",
    "QualityMemory",
    "QualityReference",
    "QualityReport",
    "QualityWindow",
    "QualityWindows",
    "ReferenceProfile",
    "ResidualCusum",
    "Sampling",
    "Scored",
    "SizeCusum",
    "WindowedDrift",
    "data_faults",
    "dated_again",
    "estimate_errors",
    "estimate_quality",
    "outcome_settings",
    "profile_errors",
    "profile_quality",
    "profile_reference",
    "report_quality",
    "tail_level",
    "window_ms",
    "window_thresholds",
]
