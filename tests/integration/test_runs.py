"""Starting a run while Prefect is not there, says nothing, or has not been told of it yet; and what a command makes of how it ends."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from threading import Timer
from typing import get_args
from unittest.mock import patch

import pytest
from httpx import ConnectError
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas import filters
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Pending, Running
from typer.testing import CliRunner

from tests import tiny
from tests.services import free_port
from tidemill.cli import runs
from tidemill.cli.main import app
from tidemill.errors import NotReadyError
from tidemill.loop.guard import RefusalName


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


@pytest.mark.parametrize(("command", "name", "code"), [("retrain", "Frozen", 1), ("retrain", "Rejected", 0), ("train", "BadData", 1)])
def test_a_command_exits_with_1_where_it_was_not_done(command: str, name: str, code: int, prefect_api_url: str, tmp_path: Path) -> None:
    settings = {"HOME": str(tmp_path), "PROJECT": str(tiny.FILE), "PREFECT__API_URL": prefect_api_url}
    reason = ["--reason", "to see"] if command == "retrain" else []
    with (
        patch.dict(os.environ, {f"TIDEMILL_{key}": value for key, value in settings.items()}),
        temporary_settings({PREFECT_API_URL: prefect_api_url}),
        get_client(sync_client=True) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        deployment = client.create_deployment(client.create_flow(flow(name=command)(lambda: None)), name=tiny.project.name)
        of_it = filters.FlowRunFilter(deployment_id=filters.FlowRunFilterDeploymentId(any_=[deployment]))
        result = pool.submit(copy_context().run, CliRunner().invoke, app, [command, tiny.LATE_ORDER.name, *reason])
        while not (asked := client.read_flow_runs(flow_run_filter=of_it)) and not result.done():
            time.sleep(0.1)
        for run in asked:
            client.set_flow_run_state(run.id, Completed(name=name, message="as it is"), force=True)
        assert (result.result().exit_code, result.result().stdout) == (code, f"{name}: as it is\n"), result.result().output
        client.delete_deployment(deployment)


def test_every_refusal_counts_as_not_done() -> None:
    refusals = [name for literal in get_args(RefusalName) for name in get_args(literal)]
    assert len(refusals) >= 8
    assert [name for name in refusals if runs.Ended(name, "", completed=True).done] == []
