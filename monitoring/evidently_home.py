"""An Evidently workspace in the home, one project a model, whose own UI shows the reports over time.

`evidently ui --workspace .tidemill/evidently --port 8001` opens it.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from evidently.sdk.models import ProjectModel
from evidently.ui.workspace import Workspace

from monitoring.pages import Page
from tidemill.registry import KEPT_REPORTS

FOLDER = "evidently"
_PAGES = 3  # of a check
_NAMES = uuid.UUID("5f6a1b52-5a5c-4f0e-9f4e-3d1d8a0f7c11")


def project_id(name: str) -> uuid.UUID:
    """The project of a registered model: the same wherever and whenever it is made, so that two checks at a time make one."""
    return uuid.uuid5(_NAMES, name)


def keep_in_workspace(home: Path, name: str, title: str, pages: Sequence[Page], kept: int = KEPT_REPORTS) -> None:
    """Add pages of a check to the workspace; of each model those of the newest checks stay.

    Args:
        home: of the workspace.
        name: the model's registered name.
        title: of the check.
        pages: of it.
        kept: how many checks stay.
    """
    workspace, project = Workspace(str(home / FOLDER)), project_id(name)
    if workspace.get_project(project) is None:
        workspace.add_project(ProjectModel(id=project, name=name, description="Evidently's checks of what the model was asked"))
    for page in pages:
        workspace.add_run(project, page.snapshot, name=f"{title}: {page.name}")
    held = sorted(workspace.list_runs(project), key=str)  # their ids rise with time
    for old in held[: -kept * _PAGES]:
        workspace.delete_run(project, old)
