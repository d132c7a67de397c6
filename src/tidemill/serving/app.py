"""The API server: events in, predictions and features out, and what the loop has decided."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException

from tidemill.clock import wall_ms
from tidemill.errors import InputError, TidemillError
from tidemill.kernels.ahead import compile_kernels
from tidemill.project import Workspace
from tidemill.serving.access import Access
from tidemill.serving.acts import acts_routes
from tidemill.serving.answer_log import AnswerLog
from tidemill.serving.answers import Answers
from tidemill.serving.champions import Champions
from tidemill.serving.consoles import Forwarder, console_routes
from tidemill.serving.event_route import event_route
from tidemill.serving.examples import request_schemas
from tidemill.serving.feature_routes import feature_routes
from tidemill.serving.guards import Guards
from tidemill.serving.health_routes import health_routes
from tidemill.serving.keyring import Keyring
from tidemill.serving.metrics import ServerMetrics
from tidemill.serving.model_routes import model_routes
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

# Watching and tracing.py tell more; FastAPI's would look its settings up at every request
_NO_TELEMETRY = TelemetryConfig(tracing=False, metrics=False, logs=False, auto_configure=False)
_SHOWN = 200  # letters of a path
_WRITTEN = ("log", "serving")  # the databases that a server writes to at every request


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
    forwarder = Forwarder()

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
    app.add_exception_handler(HTTPException, _explain_other)
    app.include_router(event_route(workspace, settings, metrics))
    app.include_router(predict_routes(workspace.project, answers, server))
    app.include_router(release_routes(workspace, champions.registry))
    app.include_router(feature_routes(workspace, server.max_rows))
    app.include_router(model_routes(workspace, champions))
    app.include_router(acts_routes(workspace))
    app.include_router(quality_routes(workspace))
    app.include_router(health_routes(workspace, champions, metrics))
    if pages is not None:
        app.include_router(pages)
    app.include_router(console_routes(settings, forwarder))
    check_routes(app)
    describe_scopes(app, request_schemas(workspace.project))
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


async def _explain_other(request: Request, error: Exception) -> JSONResponse:
    """What the router refuses: a body that is no text, a path or a method that there is not."""
    assert isinstance(error, HTTPException)
    if error.status_code == 400:
        return refusal(InputError(error.detail))
    what = f"{error.detail}: {request.method} {request.url.path[:_SHOWN]!r}; /docs says what there is"
    return JSONResponse({"error": {"where": "path", "what": what}}, error.status_code, error.headers)
