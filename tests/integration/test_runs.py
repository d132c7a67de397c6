"""Starting a run while Prefect is not there, or is there and says nothing."""

from __future__ import annotations

import socket

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from tidemill.cli import runs
from tidemill.errors import NotReadyError


@pytest.mark.timeout(240)  # with its own retries Prefect's client takes longer
@pytest.mark.parametrize("listening", [False, True])
def test_an_impatient_start_gives_up_and_says_so(listening: bool) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listening:
            silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        with temporary_settings({PREFECT_API_URL: url}), pytest.raises(NotReadyError, match="did not start 'monitor/tiny'"):
            runs.start("monitor/tiny", {}, "a key", patience_s=1.0)
