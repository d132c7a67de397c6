"""Starting a run while Prefect is not there, says nothing, or has not been told of it yet."""

from __future__ import annotations

import socket
from threading import Timer

import pytest
from httpx import ConnectError
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Pending, Running

from tests.services import free_port
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


def test_a_run_is_awaited_until_it_begins_and_one_that_was_killed_before_not_for_ever(prefect_api_url: str) -> None:
    with temporary_settings({PREFECT_API_URL: prefect_api_url}), get_client(sync_client=True) as client:
        client.create_deployment(client.create_flow(flow(name="one")(lambda name: None)), name="awaited")
        run = runs.start("one/awaited", {"name": "a"})

        def is_awaited(name: str = "a", deployment: str = "awaited", begins_within_s: float = 300.0) -> bool:
            return runs.is_awaited(deployment, {"name": name}, patience_s=10, begins_within_s=begins_within_s)

        assert (is_awaited(), is_awaited("b"), is_awaited(deployment="another")) == (True, False, False), "nobody is free for it"
        assert is_awaited(begins_within_s=0)
        client.set_flow_run_state(run, Pending())
        assert is_awaited(), "its process starts"
        assert not is_awaited(begins_within_s=0), "it was killed before it began"
        client.set_flow_run_state(run, Running())
        assert not is_awaited()
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}), pytest.raises(ConnectError):
        runs.is_awaited("awaited", {}, patience_s=1)
