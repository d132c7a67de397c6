"""What `tidemill predict` prints of an answer of each kind."""

from __future__ import annotations

from typing import Any

import pytest

from tidemill.cli.operate import _said


@pytest.mark.parametrize(
    ("answer", "want"),
    [
        ({"probability": 0.25}, "0.2500"),
        ({"value": 1_234.5678}, "1234.57"),
        ({"probabilities": {"late": 0.25, "lost": 0.75}}, "lost 0.7500, late 0.2500"),
        ({"probabilities": {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}}, "d 0.4000, c 0.3000, b 0.2000, 1 more"),
    ],
)
def test_an_answer_in_a_few_words(answer: dict[str, Any], want: str) -> None:
    assert _said(answer) == want
