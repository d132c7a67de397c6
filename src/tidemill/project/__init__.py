"""Projects: the one file a user writes, found and loaded."""

from tidemill.project.loader import DEFAULT, find_project, load_project, project_root
from tidemill.project.project import Project
from tidemill.project.workspace import Workspace

__all__ = ["DEFAULT", "Project", "Workspace", "find_project", "load_project", "project_root"]
