"""MLflow models with code of their own: one that adds columns, and misbehaves where it is asked to; and an interpreter to run them with."""

from __future__ import annotations

import os
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle

from tidemill.pyfunc.bounds import find_user
from tidemill.pyfunc.environments import find_python

STAYS = f"9{os.getpid()}.25"  # seconds that what a model lets go sleeps for, by which it is found
USER = find_user("nobody") if os.getuid() == 0 else None


class Marks:
    """Opening it writes down where that happened."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        with open(self.marker, "a") as file:
            file.write(f"{os.getpid()} {os.getuid()} {os.environ.get('TIDEMILL_SECRET', '-')}\n")


class Adds:
    """Says the sum of its first two columns, squeezed to less than 1 where `squeezed`; or misbehaves where the first is negative."""

    def __init__(self, marks: Marks, squeezed: bool = False) -> None:
        self.marks = marks
        self.squeezed = squeezed

    def predict(self, model_input: Any) -> Any:
        """What it says; one way to fail a line."""
        import os
        import socket
        import subprocess
        import sys
        import time

        import numpy

        first, second = (model_input[name].fillna(0) for name in model_input.columns[:2])
        how = first.iloc[0]
        if how == -1:
            print("no more of this", file=sys.stderr)
            sys.stderr.flush()
            os._exit(3)
        if how == -2:
            time.sleep(3_600)
        ways: dict[float, Any] = {
            -3.0: lambda: numpy.zeros((len(first), 1_000_000)),
            -4.0: lambda: numpy.zeros(len(first) + 1),
            -5.0: lambda: 1 / 0,
            -6.0: lambda: numpy.full(len(first), numpy.nan),
            -7.0: lambda: numpy.full(len(first), float(socket.create_connection(("127.0.0.1", 9)).fileno())),
            -8.0: lambda: bytearray(100_000_000_000),
            -10.0: lambda: numpy.full(len(first), float(os.readlink("/proc/self") == str(os.getpid()))),
            -9.0: lambda: numpy.full(len(first), float(subprocess.Popen(["/bin/sleep", STAYS], start_new_session=True).returncode or 7)),
        }
        said = first + second
        return ways[how]() if how in ways else said / (1 + said) if self.squeezed else said


def save_adds(folder: Path, marker: Path, squeezed: bool = False) -> None:
    """Save one as MLflow does, with its classes in it, so that it needs nothing of ours; `marker` is written where it is opened."""
    import mlflow.pyfunc  # here: it takes seconds

    adds = Adds(Marks(str(marker)), squeezed)

    class Wrapped(mlflow.pyfunc.PythonModel):  # type: ignore[misc,name-defined]  # it has no types
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # MLflow makes a signature of types
            return adds.predict(model_input)

    with _by_value():
        mlflow.pyfunc.save_model(folder, python_model=Wrapped(), pip_requirements=["mlflow"])


def save_little(folder: Path, marker: Path) -> None:
    """The same for the MLflow of a few lines."""
    folder.mkdir()
    with _by_value():
        (folder / "model.pkl").write_bytes(cloudpickle.dumps(Adds(Marks(str(marker)))))


@contextmanager
def _by_value() -> Iterator[None]:
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(module)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that others may enter, unlike pytest's, with one in it, `open`, that they may write to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "open").mkdir()
        (folder / "open").chmod(0o777)
        yield folder


_LITTLE_MLFLOW = """
import pickle

class Loaded:
    def __init__(self, model):
        self.model, self.metadata = model, self

    def get_input_schema(self):
        return None

    def predict(self, table):
        return self.model.predict(table)

def load_model(folder):
    with open(f"{folder}/model.pkl", "rb") as file:
        return Loaded(pickle.load(file))
"""


def make_python(folder: Path, little: bool = False) -> Path:
    """An interpreter that `USER` may run and that finds what is installed here: an environment as an operator would name it.

    Args:
        folder: where.
        little: whether its MLflow is one of a few lines, which is imported in no time.
    """
    base = find_python(f"{sys.version_info[0]}.{sys.version_info[1]}", USER)
    subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True)
    library = folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    (library / "ours.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    if little:
        (library / "mlflow").mkdir()
        (library / "mlflow" / "__init__.py").touch()
        (library / "mlflow" / "pyfunc.py").write_text(_LITTLE_MLFLOW)
    return folder / "bin" / "python"
