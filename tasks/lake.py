"""Tasks that keep the lake in order."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.context import opened
from tidemill.stores.lake_upkeep import Compacted


@task(retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE, persist_result=False)
def merge_files(stream: str) -> Compacted:
    """Merge a stream's small files; see `tidemill.stores.Lake.compact`."""
    context = opened()
    return context.workspace.lake.compact(context.workspace.project.stream(stream).name)


@task(retries=1, retry_delay_seconds=2, cache_policy=NO_CACHE, persist_result=False)
def remove_files(stream: str, keep_hours: int) -> int:
    """Remove a stream's files that no reader needs; see `tidemill.stores.Lake.vacuum`."""
    context = opened()
    return context.workspace.lake.vacuum(context.workspace.project.stream(stream).name, keep_hours)


@task(cache_policy=NO_CACHE, persist_result=False)
def stream_names() -> list[str]:
    """Every stream of the project."""
    return sorted(opened().workspace.project.stream_names)
