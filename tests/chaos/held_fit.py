"""`tests.tiny` with fits that wait while a file is there, so that something can befall a retrain in its middle; a project file."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

from sklearn.pipeline import Pipeline

from tests import tiny

HOLD = "CHAOS_HOLD"  # the environment variable that names the file
FITTING = ".fitting"  # the ending of the one beside it that says that a fit has begun
_LONGEST_S = 900.0


def make_estimator() -> Pipeline:
    """That of `tests.tiny`, once it may go on."""
    hold, until_s = Path(os.environ[HOLD]), time.monotonic() + _LONGEST_S
    hold.with_suffix(FITTING).touch()
    while hold.exists() and time.monotonic() < until_s:
        time.sleep(0.05)
    return tiny.make_estimator()


project = replace(tiny.project, name="held", models=[replace(tiny.LATE_ORDER, estimator=make_estimator)])
