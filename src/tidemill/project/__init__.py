"""Projects: the one file a user writes, found and loaded."""

from tidemill.project.catalogue import FeatureRecord, ViewDetail, ViewSummary, describe_view, describe_views, example_views, list_views
from tidemill.project.csv_history import CsvHistory
from tidemill.project.example import example_curl, example_event, example_python, example_request
from tidemill.project.forgetting import Forgotten, forget_entity, look_for_entity
from tidemill.project.loader import DEFAULT, load_project
from tidemill.project.project import Project
from tidemill.project.sending_again import SentAgain, send_again
from tidemill.project.workspace import Workspace
from tidemill.project_file import find_project, project_root

__all__ = [
    "DEFAULT",
    "CsvHistory",
    "FeatureRecord",
    "Forgotten",
    "Project",
    "SentAgain",
    "ViewDetail",
    "ViewSummary",
    "Workspace",
    "describe_view",
    "describe_views",
    "example_curl",
    "example_event",
    "example_python",
    "example_request",
    "example_views",
    "find_project",
    "forget_entity",
    "list_views",
    "load_project",
    "look_for_entity",
    "project_root",
    "send_again",
]
