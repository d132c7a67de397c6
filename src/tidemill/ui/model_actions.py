"""What a person does on the page about a model: retrain, try, promote, roll back, freeze. Plain forms, answered by what came of it.

Each form says what will happen, and has a tick beside the sentence that says what begins; without the tick nothing is done. A retrain
becomes a decision that the loop carries out; a promotion or rollback is carried out here and now. The page then shows the decision, which
tells how it goes on. A shadow or canary is no decision, as the champion stays: the page shows it among the versions.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from tidemill.clock import NowMs, wall_ms
from tidemill.errors import ConflictError, InputError, NotReadyError, TidemillError
from tidemill.learning import Model
from tidemill.loop.silencing import said
from tidemill.project import Workspace
from tidemill.registry import (
    Asker,
    Attempt,
    Registry,
    act_at_once,
    end_trials,
    name_trials,
    request_promotion,
    request_retrain,
    request_rollback,
    try_version,
)
from tidemill.stores import Decision, Role
from tidemill.ui.caller import caller_of, say
from tidemill.ui.forms import Form, go_to, one, read_form, refused

logger = logging.getLogger(__name__)

_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,4})?")


@dataclass(frozen=True)
class Done:
    """What was done: words for the audit, and the part of the page that shows what came of it."""

    detail: str
    anchor: str


@dataclass(frozen=True)
class _Act:
    """What one form does: of a model, a form and who sent it; and what begins with it, in the words that its tick stands for."""

    path: str
    do: Callable[[Model, Form, str], Done]
    begins: Callable[[Model, Form], str]


def model_router(workspace: Workspace, registry: Registry, changed: Callable[[], None], now_wall_ms: NowMs = wall_ms) -> APIRouter:
    """The routes `POST /ui/models/{model}/...`: `retrain`, `shadow`, `canary`, `end-trials`, `promote`, `rollback`, `freeze`, `unfreeze`.

    Args:
        workspace: the stores.
        registry: whose aliases a promotion or rollback moves.
        changed: called once something was done, e.g. `OverviewReader(...).forget`.
        now_wall_ms: the wall clock.
    """
    router, hand = APIRouter(prefix="/ui/models/{model}", include_in_schema=False), _Hand(workspace, registry, now_wall_ms)
    acts = (
        _Act("/retrain", hand.retrain, lambda model, _: f"a challenger of {model.name} is fitted now"),
        _Act("/shadow", hand.shadow, _scores),
        _Act("/canary", hand.canary, _answers_a_share),
        _Act("/end-trials", hand.end_trials, lambda model, form: f"{name_trials(_trials(form))} of {model.name} scores no more"),
        _Act("/promote", hand.promote, _answers),
        _Act("/rollback", hand.rollback, _answers),
        _Act("/freeze", hand.freeze, lambda model, _: f"nothing retrains {model.name} from now on"),
        _Act("/unfreeze", hand.unfreeze, lambda model, _: f"alarms and schedules may retrain {model.name} from now on"),
    )
    for act in acts:
        router.add_api_route(act.path, _action(workspace, act, changed), methods=["POST"])
    return router


@dataclass(frozen=True)
class _Hand:
    """The acts."""

    workspace: Workspace
    registry: Registry
    now_wall_ms: NowMs

    def retrain(self, model: Model, form: Form, by: str) -> Done:
        reason = _reason(form)
        decision = request_retrain(self.workspace, model, reason, _asker(by))
        return Done(reason, f"decision-{decision.id}")

    def shadow(self, model: Model, form: Form, _by: str) -> Done:
        return self._begin(model, Attempt("shadow", _version(form), replace=_replaced(form)))

    def canary(self, model: Model, form: Form, _by: str) -> Done:
        return self._begin(model, Attempt("canary", _version(form), _percent(form), _replaced(form)))

    def end_trials(self, model: Model, form: Form, _by: str) -> Done:
        meant = _trials(form)
        end_trials(self.registry, self._registered(model), meant)
        return self._tried(model, name_trials(meant))

    def promote(self, model: Model, form: Form, by: str) -> Done:
        version, asker = _version(form), _asker(by)
        decision = request_promotion(self.workspace, self.registry, model, version, asker)
        return self._at_once(model, decision, asker)

    def rollback(self, model: Model, form: Form, by: str) -> Done:
        version, asker = _version(form), _asker(by)
        decision = request_rollback(self.workspace, self.registry, model, asker, version)
        return self._at_once(model, decision, asker)

    def freeze(self, model: Model, form: Form, by: str) -> Done:
        reason = _reason(form)
        if not self.workspace.decisions.freeze(model.name, by, reason, self.now_wall_ms()):
            raise ConflictError(f"{model.name} is frozen already; the page says by whom, and why")
        return Done(reason, f"model-{model.name}")

    def unfreeze(self, model: Model, _form: Form, by: str) -> Done:
        if not self.workspace.decisions.unfreeze(model.name, by, self.now_wall_ms()):
            raise ConflictError(f"{model.name} is not frozen any more")
        return Done("", f"model-{model.name}")

    def _registered(self, model: Model) -> str:
        return self.workspace.project.registered_name(model.name)

    def _begin(self, model: Model, attempt: Attempt) -> Done:
        return self._tried(model, try_version(self.registry, self._registered(model), attempt))

    def _tried(self, model: Model, told: str) -> Done:
        self.registry.named(self._registered(model))  # which the home remembers, and the page reads
        return Done(told, f"versions-of-{model.name}")

    def _at_once(self, model: Model, decision: Decision, asker: Asker) -> Done:
        told = f"to version {decision.to_version}"
        try:
            act_at_once(self.workspace, self.registry, model, decision, asker)
        except NotReadyError as error:  # a server is behind, or MLflow is away: the decision waits, and the page shows it so
            logger.warning("a decision waits id=%s error=%s", decision.id, error)
            told += f", waits: {error}"
        return Done(told, f"decision-{decision.id}")


def _action(workspace: Workspace, act: _Act, changed: Callable[[], None]) -> Callable[..., object]:
    def carry_out(name: str, form: Form, by: str) -> Done:
        model = workspace.project.model(name)
        _confirmed(form, act.begins(model, form))
        return act.do(model, form, by)

    async def answer(request: Request, model: str) -> Response:
        try:
            form = await read_form(request)
            by = caller_of(request).name or said(one(form, "by"), "by")
            say(request, model, "", by)  # who tried it stands in the audit, whatever comes of it
            done = await run_in_threadpool(carry_out, model, form, by)
        except TidemillError as error:
            changed()  # a decision that failed, or waits, is shown at once
            return refused(error)
        say(request, model, done.detail, by)
        logger.info("done on the page path=%s", request.url.path)
        changed()
        return go_to(f"/#{done.anchor}")

    return answer


def _reason(form: Form) -> str:
    return said(one(form, "reason"), "reason")


def _version(form: Form, field: str = "version") -> int:
    version = one(form, field)
    if not _VERSION.fullmatch(version):
        raise InputError(f"{version[:20]!r} is no version; choose one of the list", where=field)
    return int(version)


def _trials(form: Form) -> dict[Role, int]:
    """What is meant to end, as the form showed it."""
    roles: tuple[Role, ...] = ("shadow", "canary")
    meant = {role: _version(form, role) for role in roles if role in form}
    if not meant:
        raise InputError("say which version is tried no more, as shadow=VERSION or canary=VERSION", where="form")
    return meant


def _replaced(form: Form) -> int | None:
    """What is tried by now and makes room, as the form showed it."""
    return _version(form, "replace") if "replace" in form else None


def _percent(form: Form) -> float:
    percent = one(form, "percent")
    if not _PERCENT.fullmatch(percent):
        raise InputError(f"{percent[:20]!r} is no share; say a percentage above 0 and up to 100", where="percent")
    return float(percent)


def _answers(model: Model, form: Form) -> str:
    return f"version {_version(form)} of {model.name} answers from now on"


def _scores(model: Model, form: Form) -> str:
    return f"version {_version(form)} of {model.name} scores every question from now on{_in_place(form)}"


def _answers_a_share(model: Model, form: Form) -> str:
    return f"version {_version(form)} of {model.name} answers {_percent(form):g} % of the keys from now on{_in_place(form)}"


def _in_place(form: Form) -> str:
    replaced = _replaced(form)
    return "" if replaced in (None, _version(form)) else f", in place of version {replaced}"


def _confirmed(form: Form, begins: str) -> None:
    if one(form, "sure") != "yes":
        raise InputError(f"not confirmed, so nothing was done; tick the box that says that {begins}", where="sure")


def _asker(by: str) -> Asker:
    return Asker(by, f"page-{uuid.uuid4()}")
