"""What a person is told whose form was not taken."""

from __future__ import annotations

import pytest

from tidemill.errors import BusyError, ConflictError, InputError, TidemillError, UnavailableError
from tidemill.ui.forms import refused


@pytest.mark.parametrize(
    ("error", "status", "again_s"),
    [
        (BusyError("too much waits", retry_after_s=3), 429, "3"),
        (UnavailableError("the store does not answer"), 503, None),
        (ConflictError("somebody was first"), 409, None),
        (InputError("no number", where="percent"), 422, None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_refusal_says_what_it_is_and_when_to_come_again(error: TidemillError, status: int, again_s: str | None) -> None:
    answer = refused(error)
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, again_s)
    assert str(error).encode() in bytes(answer.body)
