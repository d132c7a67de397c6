"""Which failures a task is tried again for."""

from __future__ import annotations

import asyncio

import pytest
from prefect.states import exception_to_failed_state

from tasks.deployment import _is_again
from tidemill.errors import ConflictError, NotReadyError


@pytest.mark.parametrize(("error", "again"), [(ConflictError("overtaken"), False), (NotReadyError("a server is behind"), True)], ids=repr)
def test_what_was_overtaken_is_not_deployed_over_what_has_overtaken_it(error: Exception, again: bool) -> None:
    state = asyncio.run(exception_to_failed_state(error))
    assert _is_again(None, None, state) is again
