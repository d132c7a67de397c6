"""Loading a project file."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path

from tidemill.errors import ProjectError
from tidemill.project.project import Project
from tidemill.project_file import find_project, project_root

DEFAULT = Path("examples/flights/project.py")


def load_project(path: Path = DEFAULT) -> Project:
    """The `project` that a file defines.

    The file's folder is importable while it loads and after, so a project may lie in several files; for a file of a checkout it
    is the checkout's root instead.

    Raises:
        ProjectError: the file is missing, fails, or defines no `project`; names the line and what to do.
    """
    file = find_project(path)
    name = f"tidemill_project_{abs(hash(file))}"
    if name in sys.modules:
        return _project_of(sys.modules[name], file)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ProjectError("not a Python file", where=str(file), fix="a project file ends in .py")
    module = importlib.util.module_from_spec(spec)
    root = project_root() if file.is_relative_to(project_root()) else file.parent
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    sys.modules[name] = module
    try:
        # not by its loader, which takes a file mended within the second for the bytecode it cached
        exec(compile(file.read_bytes(), file, "exec"), module.__dict__)
    except ProjectError as error:
        del sys.modules[name]
        raise ProjectError(str(error).removesuffix(f"; {error.fix}"), where=_place(error, file), fix=error.fix) from error
    except Exception as error:  # whatever the user's file raises is reported with its place
        del sys.modules[name]
        raise ProjectError(f"{type(error).__name__}: {error}", where=_place(error, file), fix="mend this line, then try again") from error
    return _project_of(module, file)


def _project_of(module: object, file: Path) -> Project:
    project = getattr(module, "project", None)
    if not isinstance(project, Project):
        raise ProjectError("defines no `project`", where=str(file), fix='end it with: project = Project("name", streams=[...])')
    return project


def _place(error: BaseException, file: Path) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == file]
    if isinstance(error, SyntaxError) and error.filename == str(file):
        lines = [error.lineno]
    return f"{file}:{lines[-1]}" if lines else str(file)
