"""Finding a project file, without loading it."""

from __future__ import annotations

from pathlib import Path

from tidemill.errors import ProjectError


def project_root() -> Path:
    """The folder that holds `flows/`, `tasks/` and `examples/`: the checkout, or their copy in the wheel."""
    package = Path(__file__).resolve().parent
    copied = package / "_project"
    return copied if copied.is_dir() else package.parents[1]


def find_project(path: Path) -> Path:
    """The absolute path of a project file; a relative one is looked for here, then beside the shipped examples.

    Raises:
        ProjectError: there is no such file.
    """
    for candidate in (path, path / "project.py", project_root() / path):
        if candidate.is_file():
            return candidate.resolve()
    raise ProjectError("no such project file", where=str(path), fix="give one with --project PATH, e.g. examples/flights/project.py")
