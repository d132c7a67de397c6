"""Tasks that bring events in and sum them up."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.context import opened
from tidemill.clock import wall_ms
from tidemill.stores import backfill_view, copy_file


@task(cache_policy=NO_CACHE)
def copy(stream: str, file: str) -> int:
    """Copy a file's events into the log; see `tidemill.stores.copy_file`."""
    context = opened()
    return copy_file(context.workspace.log, context.workspace.project.stream(stream).name, Path(file), wall_ms())


@task(cache_policy=NO_CACHE)
def fill(view: str) -> int:
    """Fill a view's tiles from the lake; see `tidemill.stores.backfill_view`."""
    workspace = opened().workspace
    return backfill_view(workspace.state, workspace.lake, workspace.project.view(view))
