"""`backfill`: fill a view's tiles, or a table's rows, from the lake."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.events import fill


@flow(name="backfill")
def backfill(view: str) -> State:
    """Fill what a view or table lacks from the lake."""
    return Completed(name="Filled", message=f"{fill(view)} events")
