"""The page: what the stores say, read at one look and shown so that one glance tells whether all is well."""

from tidemill.ui.alert_actions import alert_router
from tidemill.ui.changes import Changes
from tidemill.ui.drift_summary import DriftSummary, read_drift
from tidemill.ui.in_words import InWords
from tidemill.ui.live import watch_page
from tidemill.ui.login import login_router
from tidemill.ui.model_actions import model_router
from tidemill.ui.overview import Overview, OverviewReader, read_overview
from tidemill.ui.page import page_router
from tidemill.ui.parts import Shown

__all__ = [
    "Changes",
    "DriftSummary",
    "InWords",
    "Overview",
    "OverviewReader",
    "Shown",
    "alert_router",
    "login_router",
    "model_router",
    "page_router",
    "read_drift",
    "read_overview",
    "watch_page",
]
