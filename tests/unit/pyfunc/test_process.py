"""A real pyfunc model in a process of its own: what it may do, what it is, and what becomes of one that misbehaves."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest

from tidemill.errors import UnavailableError
from tidemill.pyfunc import Bounds, ModelProcess, as_stream

NOBODY = (65534, 65534) if os.getuid() == 0 else None
PATIENT = Bounds(start_s=300.0, answer_s=60.0, user=NOBODY)


class Marks:
    """Opening it writes down where that happened."""

    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        with open(self.marker, "a") as file:
            file.write(f"{os.getpid()} {os.getuid()} {os.environ.get('TIDEMILL_SECRET', '-')}\n")


class Adds(mlflow.pyfunc.PythonModel):  # type: ignore[misc]  # mlflow has no types here
    """Adds two columns, or misbehaves where the first is negative."""

    def __init__(self, marks: Marks) -> None:
        self.marks = marks

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: C901 # one way to fail a line
        import os
        import time

        import numpy

        how = model_input["a"].iloc[0]
        if how == -1:
            os._exit(3)
        if how == -2:
            time.sleep(3_600)
        if how == -3:
            return numpy.zeros((len(model_input), 1_000_000))
        if how == -4:
            return numpy.zeros(len(model_input) + 1)
        if how == -5:
            raise ValueError("not today")
        return model_input["a"] + model_input["b"].fillna(0)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that others may enter, unlike pytest's."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "open").mkdir()
    (folder / "open").chmod(0o777)
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    mlflow.pyfunc.save_model(folder / "model", python_model=Adds(Marks(str(folder / "open" / "marker"))), pip_requirements=["mlflow"])
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    yield folder
    shutil.rmtree(folder)


def process(place: Path, bounds: Bounds = PATIENT) -> ModelProcess:
    return ModelProcess("version 4 of model 'sum'", Path(sys.executable), place / "model", place / "runs", bounds)


def table(first: float) -> bytes:
    return as_stream({"a": np.array([first, 2.0]), "b": np.array([0.5, np.nan]), "shop": np.array(["x", None], dtype=object)})


def test_it_answers_and_is_opened_by_another_process_and_user_alone(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMILL_SECRET", "s3cret")
    marker = place / "open" / "marker"
    marker.unlink(missing_ok=True)  # saving the model may have looked at it
    one = process(place)
    one.start()
    try:
        assert one.ask(table(1.0), 2, 1).tolist() == [[1.5], [2.0]]
        opened = [line.split() for line in marker.read_text().splitlines()]
        assert opened and all(int(pid) != os.getpid() and secret == "-" for pid, _, secret in opened)
        assert {int(uid) for _, uid, _ in opened} == {NOBODY[0] if NOBODY else os.getuid()}
        with pytest.raises(UnavailableError, match="raised ValueError: not today"):
            one.ask(table(-5.0), 2, 1)
        assert one.is_up, "a model that raises goes on"
    finally:
        one.end()
    assert not any((place / "runs").iterdir())


@pytest.mark.parametrize(
    ("how", "told"),
    [(-1.0, "has ended"), (-3.0, "answered 16000008 bytes where at most 24"), (-4.0, "answered 32 bytes|did not answer 2 rows")],
)
def test_one_that_breaks_its_word_is_ended_and_can_be_started_again(place: Path, how: float, told: str) -> None:
    one = process(place)
    one.start()
    try:
        with pytest.raises(UnavailableError, match=told):
            one.ask(table(how), 2, 1)
        assert not one.is_up
        with pytest.raises(UnavailableError, match="is not running"):
            one.ask(table(1.0), 2, 1)
    finally:
        one.end()


def test_one_that_hangs_is_ended_after_the_deadline(place: Path) -> None:
    one = process(place, Bounds(start_s=300.0, answer_s=1.0, user=NOBODY))
    one.start()
    try:
        with pytest.raises(UnavailableError, match="did not answer in time"):
            one.ask(table(-2.0), 2, 1)
        assert not one.is_up
    finally:
        one.end()
