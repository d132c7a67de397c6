"""What `tidemill doctor` looks at."""

from __future__ import annotations

import platform
import shutil
import stat
import sys
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from tidemill.cli.services import is_taken, is_well, services
from tidemill.errors import TidemillError
from tidemill.project import Project, Workspace, load_project
from tidemill.pyfunc.bounds import bounds_of
from tidemill.pyfunc.environments import find_python, find_uv, kept_from, may_run
from tidemill.pyfunc.model import folder_of
from tidemill.settings import PyfuncSettings, Settings
from tidemill.stores import Databases, total_text

_LEAST_FREE_GB = 5
_PACKAGES = ("prefect", "mlflow", "evidently", "scikit-learn", "sqlalchemy", "duckdb", "deltalake", "onnxruntime")


@dataclass(frozen=True)
class Finding:
    """One thing looked at, and what to do where it is not well."""

    what: str
    state: Literal["ok", "note", "bad"]
    said: str


def examine(settings: Settings) -> list[Finding]:
    """Everything looked at, in the order one would mend it."""
    found = [_python(), *_packages(), _disk(settings), *_home(settings), *_project(settings)]
    return [*found, *_pyfunc(settings.pyfunc, settings.home), *_ports(settings)]


def _python() -> Finding:
    good = sys.version_info >= (3, 11)
    return Finding("Python", "ok" if good else "bad", platform.python_version() + ("" if good else "; 3.11 or newer is needed"))


def _packages() -> list[Finding]:
    found = []
    for name in _PACKAGES:
        try:
            found.append(Finding(name, "ok", version(name)))
        except PackageNotFoundError:
            found.append(Finding(name, "bad", "not installed; run `make install`"))
    return found


def _disk(settings: Settings) -> Finding:
    home = settings.home.resolve()
    free_gb = shutil.disk_usage(_existing(home)).free / 1e9
    said = f"{free_gb:.0f} GB free for {home}"
    return (
        Finding("disk", "ok", said) if free_gb >= _LEAST_FREE_GB else Finding("disk", "bad", f"{said}; a year of the demo takes about 3 GB")
    )


def _existing(folder: Path) -> Path:
    """A folder, or the nearest above it that there is."""
    return next(one for one in (folder, *folder.parents) if one.exists())


def _home(settings: Settings) -> list[Finding]:
    """Whether a home that was there before, or is of an earlier release, is open to others; its files have the mode of any file."""
    home = settings.home.resolve()
    if not home.exists() or not (mode := stat.S_IMODE(home.stat().st_mode)) & 0o077:
        return []
    said = f"{home} has mode {mode:o}: other users of this machine may read events, predictions and hashes of keys; close it with chmod 700"
    return [Finding("home", "note", said)]


def _project(settings: Settings) -> list[Finding]:
    try:
        project = load_project(settings.project)
    except TidemillError as error:
        return [Finding("project", "bad", str(error))]
    tables = f"{len(project.tables)} tables, " if project.tables else ""
    said = f"{project.name}: {len(project.streams)} streams, {len(project.views)} views, {tables}{len(project.models)} models"
    return [Finding("project", "ok", said), *_tables(project, settings)]


def _tables(project: Project, settings: Settings) -> list[Finding]:
    """What tiles, ids and rows take, and will take: the first two's memory is the system's, which keeps what is in use."""
    try:
        if not Databases(settings.home, settings.database_url).exists("state"):
            return [Finding("tiles and ids", "note", "no events yet; look again when some have come")]
        with closing(Workspace.open(project, settings.home, database=settings.database_url, log=settings.log, remember=False)) as workspace:
            sizes = workspace.state.sizes()
    except TidemillError as error:
        return [Finding("tiles and ids", "bad", str(error))]
    free_bytes = shutil.disk_usage(settings.home.resolve()).free
    found = []
    for kind in ("tiles", "ids", *(["rows"] if project.tables else [])):
        mine = [size for size in sizes if size.what.startswith(kind)]
        too_much = sum(size.n_bytes_ahead - size.n_bytes for size in mine) > free_bytes
        greatest = max(mine, key=lambda size: size.n_bytes_ahead, default=None)
        most = f"; most of it {greatest.what}" if greatest and len(mine) > 1 else ""
        advice = "; more than the disk has left: shorten windows or lateness, or use larger buckets" if too_much else ""
        found.append(Finding(kind, "bad" if too_much else "ok", f"{total_text(mine)}{most}{advice}"))
    return found


def _pyfunc(settings: PyfuncSettings, home: Path) -> list[Finding]:
    """Whether models with code of their own can run, and as whom; nothing where they are not wanted."""
    if not settings.enabled:
        return []
    what = "models with code"
    try:
        user = bounds_of(settings).user
        if settings.environment:
            python = settings.environment
            if not may_run(Path(python), user):
                problem = f"{settings.environment} cannot be run by whom they run as; TIDEMILL_PYFUNC__ENVIRONMENT names its interpreter"
                return [Finding(what, "bad", problem)]
            made = f"in the environment of {settings.environment}"
        else:
            uv, here = find_uv(), f"{sys.version_info[0]}.{sys.version_info[1]}"
            python = settings.python or str(find_python(here, user))
            made = f"in environments that {uv} makes with {python}"
        if why := kept_from(Path(python), user, _existing(folder_of(settings, home))):
            return [Finding(what, "bad", why)]
    except TidemillError as error:
        return [Finding(what, "bad", str(error))]
    if user is None:
        without = "without network or secrets of the environment" if not settings.network else "without secrets of the environment"
        return [Finding(what, "note", f"{made}, {without}, but as this user: they may read its files; root would give them a user")]
    return [Finding(what, "ok", f"{made}, as user {settings.user}")]


def _ports(settings: Settings) -> list[Finding]:
    found = []
    for service in services(settings, work=False):
        if not service.port:
            continue
        what = f"{service.name} on port {service.port}"
        if is_well(service.health_url):
            found.append(Finding(what, "ok", f"up at {service.health_url}"))
        elif is_taken(service.port):
            whose = f"by a {service.name} that hangs or is still starting, as its log says, or by something else"
            advice = f"end it, or set TIDEMILL_{service.name.upper()}__PORT to another port"
            found.append(Finding(what, "bad", f"taken, but {service.health_url} does not answer: {whose}; {advice}"))
        else:
            found.append(Finding(what, "note", "not running; `tidemill up` starts it"))
    return found
