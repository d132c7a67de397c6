"""Asking versions: what is only tried takes no answer from the champion, and what is no number is no answer."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from tidemill.kernels import Floats
from tidemill.learning import Vectors
from tidemill.learning.task import Task
from tidemill.serving import asking
from tidemill.serving.asking import ask_all
from tidemill.serving.loading import Loaded
from tidemill.stores import Class

LOTS = [Vectors(["size"], np.array([[1.0, 2.0]], np.float32), {}), Vectors(["size"], np.array([[3.0]], np.float32), {})]


class Scorer:
    """A version that says what it is asked, or fails, or says what is no number."""

    task: Task = "regression"
    classes: tuple[Class, ...] = ()
    waits = False
    reads = ("size",)

    def __init__(self, odd: Exception | float | None = None) -> None:
        self._odd = odd

    down = ""

    def run(self, vectors: Vectors) -> Floats:
        if isinstance(self._odd, Exception):
            raise self._odd
        said: Floats = vectors.singles[0].astype(np.float64)
        if self._odd is not None:
            said[said == 3.0] = self._odd
        return said

    def score(self, columns: object, classes: object = ()) -> Floats:
        raise NotImplementedError


def loaded(version: int, odd: Exception | float | None = None) -> Loaded:
    return Loaded(version, Scorer(odd), {})


@pytest.mark.parametrize("odd", [ValueError("of another width"), RuntimeError("ONNX Runtime"), np.nan, np.inf])
def test_what_is_only_tried_is_left_out_and_told_of_seldom(
    odd: Exception | float, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(asking, "_LOGGED_S", {})
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            said = ask_all("late", {"champion": loaded(1), "shadow": loaded(2, odd), "frozen": loaded(1)}, LOTS)
            assert {role: one.tolist() for role, one in said.items()} == {"champion": [1.0, 2.0, 3.0], "frozen": [1.0, 2.0, 3.0]}
    assert len(caplog.messages) == 1 and "model=late version=2" in caplog.messages[0]


def test_what_a_champion_says_is_logged_as_it_is() -> None:
    assert np.isnan(ask_all("late", {"champion": loaded(1, np.nan)}, LOTS)["champion"]).tolist() == [False, False, True]
