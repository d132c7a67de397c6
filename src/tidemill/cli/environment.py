"""The environment that tidemill's processes share: where state lies, who answers where, and silence towards the outside."""

from __future__ import annotations

import os
from pathlib import Path

from tidemill.errors import InputError
from tidemill.pages import Pages
from tidemill.project_file import find_project
from tidemill.settings import Settings


def shared_environ(settings: Settings) -> dict[str, str]:
    """Variables for MLflow, Prefect and our own processes; no telemetry, no ephemeral server, one thread a numeric library."""
    home, prefect = settings.home.resolve(), Pages.abroad(settings).prefect
    behind_us = {"PREFECT_SERVER_UI_SERVE_BASE": "/prefect", "PREFECT_SERVER_UI_API_URL": "/prefect/api"}
    return {
        "TIDEMILL_HOME": str(home),
        "TIDEMILL_PROJECT": str(find_project(settings.project)),
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # where our JSON goes
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # six more processes, for evaluations of language models
        "PREFECT_API_URL": settings.prefect_api_url,
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_UI_URL": prefect,  # for the links that it prints
        # its page knows its address; beside the code it would be everybody's
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / "prefect" / "ui"),
        **({} if settings.prefect.page else behind_us),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "PREFECT_RUNNER_POLL_FREQUENCY": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "DO_NOT_TRACK": "true",
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "passive",  # so that a fit may take every core, see tidemill.learning.fitting
    }


def adopt_environ(settings: Settings) -> None:
    """Set the shared variables for this process; call it before prefect or mlflow is imported.

    Raises:
        InputError: the home is no folder and cannot be made.
    """
    shared = shared_environ(settings)
    try:
        Path(shared["TIDEMILL_HOME"]).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        what = f"the folder of all state cannot be made: {error}; name one that you may write by TIDEMILL_HOME"
        raise InputError(what, where=shared["TIDEMILL_HOME"]) from error
    os.environ.update(shared)
