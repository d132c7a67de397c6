"""The environment of a model: the one that the operator names, or one made of the model's own requirements and kept.

Only wheels are installed, so that nothing of a package runs before a model's process does, and only by name and version from the index that
this machine's uv is set up for: a model must not say where its packages come from.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tidemill.errors import ExportError, NotReadyError
from tidemill.pyfunc import confine
from tidemill.pyfunc.last_words import readable

_TIMEOUT_S = 1_800


def requirements_of(model: Path) -> list[str]:
    """What a model's environment holds: what it asks for, and what its process needs to be asked.

    Args:
        model: the folder that MLflow wrote.

    Raises:
        ExportError: it asks for something that is no package by name and version.
    """
    lines = (model / "requirements.txt").read_text(encoding="utf-8").splitlines() if (model / "requirements.txt").is_file() else []
    wanted = [line.split(" #")[0].strip() for line in lines]
    wanted = [line for line in wanted if line and not line.startswith("#")]
    names = {_named(line) for line in wanted}
    if not names & {"mlflow", "mlflow-skinny"}:
        about = yaml.safe_load((model / "MLmodel").read_text(encoding="utf-8"))
        own = f"mlflow=={about['mlflow_version']}" if about.get("mlflow_version") else "mlflow"
        _named(own)
        wanted.append(own)
    return [*wanted, *(name for name in ("pandas", "pyarrow") if name not in names)]


def python_of(model: Path) -> str:
    """The Python that a model was made with, e.g. 3.11; code that was pickled by another may not run."""
    try:
        told = str(yaml.safe_load((model / "python_env.yaml").read_text(encoding="utf-8"))["python"])
    except (FileNotFoundError, KeyError, TypeError):
        return f"{sys.version_info[0]}.{sys.version_info[1]}"
    return ".".join(told.split(".")[:2])


def find_python(version: str, user: tuple[int, int] | None) -> Path:
    """An interpreter of a version that a user may run: this process's own, or the system's.

    Raises:
        NotReadyError: there is none; says which were looked at.
    """
    own = Path(getattr(sys, "_base_executable", sys.executable))
    known = [own] if version == f"{sys.version_info[0]}.{sys.version_info[1]}" else []
    known += [Path(folder) / f"python{version}" for folder in ("/usr/bin", "/usr/local/bin")]
    for one in known:
        if one.exists() and may_run(one, user):
            return one
    who = "" if user is None else f" that user {user[0]} may run"
    looked = ", ".join(str(one) for one in known)
    raise NotReadyError(f"no Python {version}{who} was found (looked at {looked}); set TIDEMILL_PYFUNC__PYTHON to one")


def may_run(python: Path, user: tuple[int, int] | None) -> bool:
    """Whether a user may run an interpreter."""
    return not kept_from(python, user)


def kept_from(python: Path, user: tuple[int, int] | None, folder: Path = Path("/")) -> str:
    """Why a user may not run an interpreter in a folder; empty where it may.

    It is tried, as every folder on the way to it and to its library counts.
    """
    told: dict[str, object] = {
        "command": [str(python), "-I", "-c", "pass"],
        "environ": {},
        "limits": {},
        "user": user,
        "network": True,
        "cwd": str(folder),
    }
    command = [sys.executable, "-I", "-S", confine.__file__, json.dumps(told)]
    try:
        done = subprocess.run(command, capture_output=True, env={}, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        return f"{python} did not start within 60 s"
    return "" if done.returncode == 0 else readable(done.stderr) or f"{python} ended with exit code {done.returncode}"


def make_environment(requirements: Sequence[str], python: Path, folder: Path) -> Path:
    """The interpreter of an environment that holds the requirements; made once, then found again.

    Args:
        requirements: packages by name and version.
        python: the interpreter it is made with.
        folder: where environments are kept.

    Raises:
        NotReadyError: uv is not here, or says what it could not install.
    """
    name = hashlib.sha256(json.dumps([sorted(requirements), str(python)]).encode()).hexdigest()[:16]
    place = folder / name
    found = place / "bin" / "python"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be making it
        if not (place / "made.txt").is_file():
            uv = find_uv()
            _run([uv, "venv", "--clear", "--python", str(python), str(place)])
            asked = place / "asked.txt"
            asked.write_text("\n".join(requirements) + "\n")
            _run([uv, "pip", "install", "--only-binary", ":all:", "--python", str(found), "--requirements", str(asked)])
            asked.rename(place / "made.txt")
    return found


def _named(line: str) -> str:
    try:
        one = Requirement(line)
    except InvalidRequirement:
        one = None
    # of several lines the second could be an option for uv: another index, or packages that are built, which runs their code
    if one is None or one.url is not None or not line.isprintable():
        what = f"it requires {line!r}, and only packages by name and version are installed for a model"
        raise ExportError(f"{what}; make an environment for it and name that with TIDEMILL_PYFUNC__ENVIRONMENT")
    return canonicalize_name(one.name)


def find_uv() -> str:
    """The program that makes environments.

    Raises:
        NotReadyError: it is not installed.
    """
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv")
    if found is None:
        what = "uv, which makes the environments of models, is not installed"
        raise NotReadyError(f"{what}; `pip install 'tidemill[pyfunc]'`, or name an environment with TIDEMILL_PYFUNC__ENVIRONMENT")
    return found


def _run(command: Sequence[str]) -> None:
    """Run uv, set up as for this machine and not by a project; what it makes has to be readable for another user."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TIDEMILL_") and name != "VIRTUAL_ENV"}
    try:
        done = subprocess.run(command, capture_output=True, env=environ, cwd="/", umask=0o022, check=False, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise NotReadyError(f"the model's environment was not made within {_TIMEOUT_S} s; is the index of packages reached?") from error
    if done.returncode != 0:
        raise NotReadyError(f"the model's environment was not made: {readable(done.stderr)}")
