"""`loop`: the first run of everything: ingest, backfill, train, deploy, monitor."""

from __future__ import annotations

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.backfill import backfill
from flows.ingest import ingest
from flows.monitor import monitor
from flows.train import train
from tidemill.errors import UNFIT


@flow(name="loop")
def loop(model: str, stream: str = "", file: str = "", views: tuple[str, ...] = ()) -> State:
    """Bring a model up: copy a file when one is given, fill the named views and tables, train, deploy the first champion, check it."""
    if file:
        ingest(stream, file)
    for view in views:
        backfill(view)
    trained = train(model, return_state=True)
    trained.result()  # raises where it failed
    if trained.name in UNFIT:
        return Completed(name=trained.name, message=trained.message)
    monitor(model, "first run", return_state=True)  # whatever is said of it, the model is up
    return Completed(name="Running", message=f"{model} is up")
