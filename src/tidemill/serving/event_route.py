"""`POST /v1/streams/{stream}/events`: the door for events, over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from tidemill.errors import BusyError, EventError, InputError, NotFoundError
from tidemill.events import Stream, parse_event
from tidemill.project import Project, Workspace
from tidemill.serving.describing import answered
from tidemill.serving.door import Received, Rejected
from tidemill.serving.examples import EXAMPLE_MS, event_examples
from tidemill.serving.intake import take
from tidemill.serving.metrics import ServerMetrics
from tidemill.settings import Settings


def event_route(workspace: Workspace, settings: Settings, metrics: ServerMetrics) -> APIRouter:
    """The route that takes events."""
    router, project = APIRouter(prefix="/v1"), workspace.project
    summary = "Send events: a JSON array, or one object a line"

    @router.post("/streams/{stream}/events", summary=summary, **event_examples(project), **_answered(project))
    async def send_events(stream: str, request: Request) -> Received:
        def tell(some: Received) -> None:
            metrics.received(stream, some.accepted + some.duplicates + len(some.rejected), len(some.rejected))

        return await take(workspace, stream, request, settings, tell)

    return router


def _answered(project: Project) -> dict[str, Any]:
    told = {one.name: (f"Of four events of {one.name} one was known, and one is none", _received(one)) for one in project.streams}
    return answered(
        told,
        ("No such stream", NotFoundError("stream", "nothing", project.stream_names)),
        ("A body that cannot be taken apart", InputError("not UTF-8 at byte 7; send JSON")),
        ("The engine is behind", BusyError("more than 100000 events wait for the engine; is `tidemill work` running?", retry_after_s=1)),
    )


def _received(stream: Stream) -> Received:
    rejected: list[Rejected] = []
    try:
        parse_event("{}", stream, EXAMPLE_MS)
    except EventError as error:
        rejected = [{"index": 3, "reason": error.reason, "detail": error.detail}]
    return Received(accepted=2, duplicates=1, rejected=rejected)
