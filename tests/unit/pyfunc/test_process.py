"""A model in a process of its own: what it may do, what it is, and what becomes of one that misbehaves.

Its environment has an MLflow of a few lines, as the true one takes seconds to import; tests/integration/test_importing_pyfunc.py has that.
"""

from __future__ import annotations

import gc
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.pyfunc_models import STAYS, USER, make_python, open_folder, save_little
from tidemill.errors import ExportError, UnavailableError
from tidemill.events import Column, FieldKind
from tidemill.learning import Vectors
from tidemill.pyfunc import About, Bounds, PyfuncModel
from tidemill.pyfunc.model import as_stream
from tidemill.pyfunc.process import ModelProcess, sweep

PATIENT = Bounds(start_s=300.0, answer_s=60.0, user=USER)
KINDS: dict[str, FieldKind] = {"amount": "number", "number": "number", "shop": "text"}
SUM = About("regression", (), {"a": "amount", "b": "number", "shop": "shop"})


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with open_folder() as folder:
        save_little(folder / "model", folder / "open" / "marker")
        make_python(folder / "python", little=True)
        yield folder


def process(place: Path, bounds: Bounds = PATIENT) -> ModelProcess:
    return ModelProcess("version 4 of 'sum'", place / "python" / "bin" / "python", place / "model", place / "runs", bounds)


def asked(first: float) -> Vectors:
    columns: dict[str, Column] = {"amount": np.array([first, 2.0]), "number": np.array([0.5, np.nan])}
    return Vectors.of({**columns, "shop": np.array(["x", None], dtype=object)}, KINDS)


def until(holds: Callable[[], bool], for_s: float = 240.0) -> None:
    end_s = time.monotonic() + for_s
    while not holds():
        assert time.monotonic() < end_s, "it does not come to hold"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def model(place: Path) -> PyfuncModel:
    """One for all tests: each that ends its process waits until it is up again."""
    marker = place / "open" / "marker"
    marker.unlink(missing_ok=True)  # saving it may have looked at it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIDEMILL_SECRET", "s3cret")
        return PyfuncModel(SUM, KINDS, process(place))


def test_it_answers_and_is_opened_by_another_process_and_user_alone(place: Path, model: PyfuncModel) -> None:
    assert model.run(asked(1.0)).tolist() == [1.5, 2.0]
    opened = [line.split() for line in (place / "open" / "marker").read_text().splitlines()]
    assert opened and all(int(pid) != os.getpid() and secret == "-" for pid, _, secret in opened)
    assert {int(uid) for _, uid, _ in opened} == {USER[0] if USER else os.getuid()}


def test_a_folder_with_links_is_copied_for_nobody(place: Path, tmp_path: Path) -> None:
    linked = tmp_path / "model"
    shutil.copytree(place / "model", linked)
    (linked / "more").mkdir()
    (linked / "more" / "secret").symlink_to("/etc/shadow")
    runs = place / "linked"
    with pytest.raises(ExportError, match="model/more/secret is a link"):
        ModelProcess("version 4 of 'sum'", place / "python" / "bin" / "python", linked, runs, PATIENT).start()
    assert list(runs.iterdir()) == [], "and nothing is left of it"


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (-5.0, "raised ZeroDivisionError"),
        (-6.0, "said nan of row 0, which is not a number"),
        (-7.0, "raised OSError: .*unreachable"),
        (-8.0, "raised MemoryError"),
    ],
)
def test_one_that_cannot_answer_goes_on(model: PyfuncModel, how: float, told: str) -> None:
    with pytest.raises(UnavailableError, match=told):
        model.run(asked(how))
    assert model.run(asked(1.0)).tolist() == [1.5, 2.0]


@pytest.mark.parametrize(
    ("how", "told"),
    [
        (-1.0, r"has ended \(exit code 3\): no more of this"),
        (-3.0, "answered 16000008 bytes where at most 24 were asked for"),
        (-4.0, "answered 32 bytes where at most 24|answered 3 rows of 1 where 2 rows of 1"),
    ],
)
def test_one_that_breaks_its_word_is_ended_and_started_again(model: PyfuncModel, how: float, told: str) -> None:
    with pytest.raises(UnavailableError, match=told):
        model.run(asked(how))
    with pytest.raises(UnavailableError, match=f"({told}).*; it is started again"):
        model.run(asked(1.0))

    def answers() -> bool:
        try:
            return bool(model.run(asked(1.0)).tolist() == [1.5, 2.0])
        except UnavailableError:
            return False

    until(answers)


def test_one_that_hangs_is_killed_at_the_deadline_and_leaves_nothing(place: Path) -> None:
    before = threading.active_count()
    one = process(place, replace(PATIENT, answer_s=1.0))
    one.start()
    own = {folder.name for folder in (place / "runs").iterdir()}
    assert own
    with pytest.raises(UnavailableError, match="did not answer in time"):
        one.ask(as_stream({"a": np.array([-2.0]), "b": np.array([0.0])}), 1, (1,))
    assert not one.is_up
    until(lambda: threading.active_count() <= before)
    sweep(place / "runs")
    assert len(list((place / "runs").iterdir())) == len(own) - 1, "the other's folder is in use"


def test_it_finds_itself_among_the_processes(place: Path) -> None:
    one = process(place)
    one.start()
    assert one.ask(as_stream({"a": np.array([-10.0]), "b": np.array([0.0])}), 1, (1,)).tolist() == [[1.0]]
    one.end()


def test_what_it_started_and_let_go_ends_with_it(place: Path) -> None:
    def stays() -> int:
        count = 0
        for one in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has just ended
                count += STAYS.encode() in one.read_bytes()
        return count

    one = process(place)
    one.start()
    assert one.ask(as_stream({"a": np.array([-9.0]), "b": np.array([0.0])}), 1, (1,)).tolist() == [[7.0]]
    assert stays() == 1
    one.end()
    until(lambda: stays() == 0)


def test_a_replaced_one_ends_with_its_scorer(place: Path) -> None:
    one = process(place)
    scorer = PyfuncModel(SUM, KINDS, one)
    assert one.is_up
    del scorer
    gc.collect()
    assert not one.is_up


def test_one_that_cannot_be_loaded_says_why(place: Path) -> None:
    one = process(place)
    one.model = place / "open"
    with pytest.raises(UnavailableError, match=r"could not be loaded: FileNotFoundError"):
        one.start()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run it as somebody else")
def test_a_closed_interpreter_is_named_with_what_to_do(place: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "python").symlink_to(place / "python" / "bin" / "python")
    one = process(place)
    one.python = closed / "python"
    with pytest.raises(UnavailableError, match=r"user \d+ may not enter .*; set TIDEMILL_PYFUNC__PYTHON to one that it may"):
        one.start()
