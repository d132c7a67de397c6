"""`backfill`: fill a view's tiles from the lake."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.events import fill


@flow(name="backfill")
def backfill(view: str) -> State:
    """Replace a view's tiles by those of all events within its retention."""
    return Completed(name="Filled", message=f"{fill(view)} events")
