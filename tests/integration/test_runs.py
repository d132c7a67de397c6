"""Starting a run while Prefect is not there, says nothing, or has not been told of it yet."""

from __future__ import annotations

import socket
from threading import Timer

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
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


def test_a_deployment_that_is_not_there_is_named_and_can_be_waited_for(prefect_api_url: str) -> None:
    def make() -> None:
        with temporary_settings({PREFECT_API_URL: prefect_api_url}), get_client(sync_client=True) as client:
            client.create_deployment(client.create_flow(flow(name="late")(lambda: None)), name="tiny")

    with temporary_settings({PREFECT_API_URL: prefect_api_url}):
        with pytest.raises(NotReadyError, match="no such deployment; the process `flows`"):
            runs.start("late/tiny", {})
        with pytest.raises(NotReadyError, match=r"no deployment 'late/tiny' after 0.5 s"):
            runs.wait_until_served("late/tiny", timeout_s=0.5)
        maker = Timer(1.0, make)
        maker.start()
        runs.wait_until_served("late/tiny", timeout_s=60)
        maker.join()
        assert runs.ended(runs.start("late/tiny", {})) is None
