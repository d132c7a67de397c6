"""Tasks that bring events in and sum them up."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.context import opened
from tidemill.clock import wall_ms
from tidemill.serving import Copier
from tidemill.stores import copy_file


@task(cache_policy=NO_CACHE)
def copy(stream: str, file: str, most: int) -> int:
    """Copy a file's events into the log, or without one what the stream's source holds now, about `most` events."""
    workspace = opened().workspace
    wanted = workspace.project.stream(stream)
    if file:
        return copy_file(workspace.log, wanted.name, Path(file), wall_ms())
    copied = 0
    with closing(Copier(workspace, wanted, max_behind=sys.maxsize)) as copier:
        while copied < most and (more := copier.step()):
            copied += more
    return copied


@task(cache_policy=NO_CACHE)
def fill(view: str) -> int:
    """Fill what a view or table lacks from the lake; see `tidemill.stores.backfill_view`."""
    return opened().workspace.backfill(view)
