"""`compact`: merge the lake's small files, each night, and remove those that no reader needs any more."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.lake import merge_files, remove_files, stream_names


@flow(name="compact")
def compact(streams: tuple[str, ...] = (), keep_hours: int = 48) -> State:
    """Merge small files of the named streams, of all when none is named; files out of use stay for `keep_hours`, for readers at work."""
    replaced, by, removed = 0, 0, 0
    for stream in streams or stream_names():
        merged = merge_files(stream)
        replaced, by = replaced + merged.replaced, by + merged.by
        removed += remove_files(stream, keep_hours)
    return Completed(name="Compacted", message=f"{replaced} files became {by}; {removed} old ones removed")
