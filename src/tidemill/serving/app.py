"""The API server: events in, predictions and features out, and what the loop has decided."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.telemetry import TelemetryConfig
from starlette.concurrency import run_in_threadpool

from tidemill.clock import wall_ms
from tidemill.errors import InputError, TidemillError
from tidemill.kernels.ahead import compile_kernels
from tidemill.project import Workspace, describe_view, list_views
from tidemill.serving.access import CALLER, Access
from tidemill.serving.acts import acts_routes
from tidemill.serving.answer_log import AnswerLog
from tidemill.serving.answers import Answers
from tidemill.serving.champions import Champions
from tidemill.serving.consoles import Forwarder, console_routes
from tidemill.serving.examples import event_examples, keys_examples
from tidemill.serving.features import LATEST_MS, KeysAsked, read_features, read_features_of
from tidemill.serving.guards import Guards
from tidemill.serving.intake import take
from tidemill.serving.keyring import Keyring
from tidemill.serving.metrics import ServerMetrics
from tidemill.serving.predict_lane import PredictLane
from tidemill.serving.predict_route import predict_routes
from tidemill.serving.predictor import Predictor
from tidemill.serving.quality import quality_routes
from tidemill.serving.rate import Rate
from tidemill.serving.refusing import refusal
from tidemill.serving.releases import release_routes
from tidemill.serving.scopes import check_routes, describe_scopes
from tidemill.serving.tracing import tracing
from tidemill.serving.waiting import end_all
from tidemill.serving.watching import Watching
from tidemill.settings import Settings
from tidemill.stages import listening
from tidemill.stores.wal_upkeep import WalUpkeep

logger = logging.getLogger(__name__)

# Watching and tracing.py tell more; FastAPI's would look its settings up at every request
_NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False, auto_configure=False)
_WRITTEN = ("log", "serving")  # the databases that a server writes to at every request
Moment = Annotated[int | None, Query(ge=0, le=LATEST_MS)]


@dataclasses.dataclass(frozen=True)
class Served:
    """What the routes need: the project's stores, the models held, and the clock."""

    workspace: Workspace
    settings: Settings
    champions: Champions
    metrics: ServerMetrics


def create_app(
    workspace: Workspace, settings: Settings, champions: Champions, pages: APIRouter | None = None, keyring: Keyring | None = None
) -> FastAPI:
    """The application; it keeps the champions fresh while it runs.

    Args:
        workspace: the project's stores.
        settings: of the server: whether it is open, what it bounds.
        champions: the models that serve.
        pages: what people see.
        keyring: who may call; one of its own by default, unless the server is open.

    Raises:
        LookupError: a route has no scope.
    """
    server = settings.server
    if keyring is None and not server.open:
        keyring = Keyring(workspace.keys)
    now_ms = workspace.now_ms if settings.server.replay else wall_ms
    log = AnswerLog(workspace.predictions, server.max_waiting_rows)
    metrics = ServerMetrics(workspace, server.port if server.workers > 1 else None)
    answers = Answers(Predictor(workspace, champions, now_ms), log, metrics, server)
    served, forwarder = Served(workspace, settings, champions, metrics), Forwarder()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        compile_kernels()  # before the first question waits for it
        upkeep = WalUpkeep(workspace.databases, _WRITTEN)
        with (
            metrics.going(),
            listening(metrics.stages),
            tracing(settings.telemetry, "server"),
            upkeep.going(),
            workspace.predictions.keys.going(),
        ):
            champions.start(settings.server.poll_champion_s, wall_ms)
            yield
            await forwarder.close()
            end_all(log.close, champions.stop)  # both speak with a store that may stand still

    app = FastAPI(
        title="tidemill",
        summary=f"Project {workspace.project.name}",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own takes its scripts from another host; ours is with the page
        redoc_url=None,
        telemetry=_NO_TELEMETRY,
    )
    app.add_middleware(PredictLane, project=workspace.project, answers=answers)
    app.add_middleware(Access, keyring=keyring, acts=workspace.acts, rate=Rate(server.rate_per_key))
    app.add_middleware(Guards, max_body_bytes=server.max_body_bytes, hosts=server.hosts, is_tls=server.tls_cert_file is not None)
    app.add_middleware(Watching, metrics=metrics)
    app.add_exception_handler(TidemillError, _explain)
    app.add_exception_handler(RequestValidationError, _explain_invalid)
    app.include_router(_write_routes(served))
    app.include_router(predict_routes(workspace.project, answers, server))
    app.include_router(release_routes(workspace, champions.registry))
    app.include_router(_read_routes(served))
    app.include_router(acts_routes(workspace))
    app.include_router(quality_routes(workspace))
    app.include_router(_health_routes(served))
    if pages is not None:
        app.include_router(pages)
    app.include_router(console_routes(settings, forwarder))
    check_routes(app)
    describe_scopes(app)
    return app


async def _explain(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, TidemillError)
    return refusal(error)


async def _explain_invalid(_request: Request, error: Exception) -> JSONResponse:
    """What FastAPI refuses, in the words of ours."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "body"
    return refusal(InputError(str(first["msg"]), where=where))


def _write_routes(served: Served) -> APIRouter:
    router = APIRouter(prefix="/v1")
    workspace = served.workspace

    sending = event_examples(workspace.project)

    @router.post("/streams/{stream}/events", summary="Send events: a JSON array, or one object a line", **sending)
    async def send_events(stream: str, request: Request) -> dict[str, Any]:
        received = await take(workspace, stream, request, served.settings)
        counts = received.accepted + received.duplicates + len(received.rejected), len(received.rejected)
        served.metrics.received(stream, *counts)
        return dataclasses.asdict(received)

    return router


def _read_routes(served: Served) -> APIRouter:
    router = APIRouter(prefix="/v1")
    workspace, project = served.workspace, served.workspace.project

    @router.get("/features/{view}/{key}", summary="The features of one key of a view or table, now or at a time (ms since the epoch)")
    def features(view: str, key: str, at: Moment = None) -> dict[str, Any]:
        return dataclasses.asdict(read_features(workspace, project.source(view), key, at))

    many = "The features of many keys at one position, now or at a time (ms since the epoch)"

    @router.post("/features/{view}", summary=many, **keys_examples(project))
    async def features_of(view: str, request: Request) -> Response:
        wanted = project.source(view)
        asked = KeysAsked.of(await request.body(), served.settings.server.max_rows)
        found = await run_in_threadpool(read_features_of, workspace, wanted, asked.keys, asked.at)
        return Response(orjson.dumps(found), media_type="application/json")

    @router.get("/views", summary="Every view and table: what it is about, who reads it, how fresh it is")
    def views() -> list[dict[str, Any]]:
        return [dataclasses.asdict(one) for one in list_views(workspace, wall_ms())]

    @router.get("/views/{view}", summary="One view or table: what its features mean, and what they were worth lately")
    def view(view: str) -> dict[str, Any]:
        return dataclasses.asdict(describe_view(workspace, project.source(view), wall_ms()))

    @router.get("/models/{model}", summary="A model's versions and what it reads")
    def model(model: str) -> dict[str, Any]:
        wanted = project.model(model)
        loaded = served.champions.serving(wanted.name)
        return {
            "model": wanted.name,
            "registered_name": project.registered_name(wanted.name),
            "versions": {role: held.version for role, held in loaded.roles.items()},
            "task": wanted.objective.task,
            "columns": wanted.columns,
            "predictions": workspace.predictions.count(wanted.name),
        }

    @router.get("/models/{model}/drift", summary="What the monitors of a model hold")
    def drift(model: str) -> dict[str, Any]:
        wanted = project.model(model).name
        return {kind: workspace.monitors.load(f"{kind}:{wanted}")[1] for kind in ("outcomes", "windows", "check")}

    @router.get("/decisions", summary="What the loop decided, newest first")
    def decisions(model: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
        of = None if model is None else project.model(model).name
        return [dataclasses.asdict(decision) for decision in workspace.decisions.recent(of, min(max(limit, 1), 500))]

    return router


def _health_routes(served: Served) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz", summary="The process is up")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz", summary="The stores can be read and written, and every model has a champion that answers")
    def readyz(request: Request) -> JSONResponse:
        checks = {"stores": _said(served.workspace.books)}
        for model in served.workspace.project.models:
            checks[f"model {model.name}"] = _said(partial(served.champions.check, model.name))
        ready = all(said == "ok" for said in checks.values())
        told = {"ready": ready, "checks": checks} if "read" in request.scope[CALLER].scopes else {"ready": ready}
        return JSONResponse(told, status_code=200 if ready else 503)

    @router.get("/metrics", summary="Prometheus metrics")
    def metrics() -> Response:
        return Response(served.metrics.render(), media_type="text/plain; version=0.0.4")

    return router


def _said(check: Callable[[], object]) -> str:
    try:
        check()
    except TidemillError as error:
        return str(error)
    except Exception as error:  # a full disk, a file that is gone: whatever it is, this server is not ready, and says so
        logger.exception("not ready error=%s", type(error).__name__)
        return type(error).__name__
    return "ok"
