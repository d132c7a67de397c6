"""Features over HTTP, of one key or many; and the views and tables that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from tidemill.clock import wall_ms
from tidemill.errors import InputError, NotFoundError, NotReadyError
from tidemill.events import FieldKind
from tidemill.features import FeatureSource
from tidemill.project import Project, ViewDetail, ViewSummary, Workspace, describe_view, example_views, list_views
from tidemill.serving.describing import Refused, answered
from tidemill.serving.examples import EXAMPLE_MS, example_position, keys_examples
from tidemill.serving.features import LATEST_MS, FeatureAnswer, KeysAsked, place_of, read_features, read_features_of

Moment = Annotated[int | None, Query(ge=0, le=LATEST_MS)]
_VALUES: dict[FieldKind, float | str] = {"number": 12.5, "text": "a"}


def feature_routes(workspace: Workspace, max_rows: int) -> APIRouter:
    """The routes that read features, of at most `max_rows` keys at once, and tell of views and tables."""
    router = APIRouter(prefix="/v1")
    router.include_router(_value_routes(workspace, max_rows))
    router.include_router(_view_routes(workspace))
    return router


def _value_routes(workspace: Workspace, max_rows: int) -> APIRouter:
    router, project = APIRouter(prefix="/features"), workspace.project
    one = "The features of one key of a view or table, now or at a time (ms since the epoch)"

    @router.get("/{view}/{key}", summary=one, **_answered_one(project))
    def features(view: str, key: str, at: Moment = None) -> FeatureAnswer:
        return read_features(workspace, project.source(view), key, at)

    many = "The features of many keys at one position, now or at a time (ms since the epoch)"

    @router.post("/{view}", summary=many, **keys_examples(project), **_answered_many(project))
    async def features_of(view: str, request: Request) -> Response:
        wanted = project.source(view)
        asked = KeysAsked.of(await request.body(), max_rows)
        found = await run_in_threadpool(read_features_of, workspace, wanted, asked.keys, asked.at)
        return Response(orjson.dumps(found), media_type="application/json")

    return router


def _view_routes(workspace: Workspace) -> APIRouter:
    router, project = APIRouter(prefix="/views"), workspace.project
    told = example_views(project, EXAMPLE_MS)
    each = {view.name: (f"The {view.kind} {view.name}", view) for view in told}
    summaries = [{name: value for name, value in vars(view).items() if name in ViewSummary.__dataclass_fields__} for view in told]

    @router.get("", summary="Every view and table: what it is about, who reads it, how fresh it is", **answered({"all": ("", summaries)}))
    def views() -> list[ViewSummary]:
        return list_views(workspace, wall_ms())

    detail = "One view or table: what its features mean, and what they were worth lately"

    @router.get("/{view}", summary=detail, **answered(each, _no_view(project)))
    def view(view: str) -> ViewDetail:
        return describe_view(workspace, project.source(view), wall_ms())

    return router


def _answered_one(project: Project) -> dict[str, Any]:
    told = {source.name: (f"Of a key of {source.name}", _answers(source, "a")[0]) for source in project.sources}
    return answered(told, *_refused(project))


def _answered_many(project: Project) -> dict[str, Any]:
    told = {source.name: (f"Of two keys of {source.name}", _answers(source, "ab")) for source in project.sources}
    return answered(told, *_refused(project), shape=list[FeatureAnswer])


def _answers(source: FeatureSource, parts: Sequence[str]) -> list[FeatureAnswer]:
    values: dict[str, float | str | None] = {
        name.removeprefix(f"{source.name}__"): _VALUES[kind] for name, kind in source.column_kinds.items()
    }
    keys = [",".join([part] * len(source.entity_fields)) for part in parts]
    return [FeatureAnswer(source.name, key, EXAMPLE_MS, place_of(source), example_position([source]), values) for key in keys]


def _no_view(project: Project) -> Refused:
    return "No such view or table", NotFoundError("view or table", "nothing", [source.name for source in project.sources])


def _refused(project: Project) -> list[Refused]:
    behind = NotReadyError("the lake is still behind after 15 s; is the engine running? Start it with `tidemill work`")
    parts = InputError("'a,b' has 2 parts; view 'by_shop' needs shop", where="key")
    return [_no_view(project), ("An earlier time, while the lake is behind", behind), ("No such key, or no time", parts)]
