"""Puts the top-level folders into the wheel as `tidemill/_project/`, so that an installed tidemill finds its flows.

Only in a standard build: an editable install reads the folders where they are, and a copy would go stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDERS = ("flows", "tasks", "monitoring", "deployments", "examples")


class ProjectFoldersHook(BuildHookInterface):
    """The wheel's own copy of the project's folders; `tidemill.project.project_root()` says where they are."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folders when `version` is `standard`; a folder that is missing ends the build."""
        if version != "standard":
            return
        for folder in FOLDERS:
            build_data["force_include"][str(Path(self.root) / folder)] = f"tidemill/_project/{folder}"
