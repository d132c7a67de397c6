"""What serves, over HTTP: try a version as shadow or canary, promote it, go back."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request
from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field

from tidemill.errors import ConflictError, InputError
from tidemill.learning import Model
from tidemill.project import Project, Workspace
from tidemill.registry import (
    Asker,
    Attempt,
    Beside,
    Registry,
    act_at_once,
    compare_trials,
    end_trials,
    name_trials,
    request_promotion,
    request_rollback,
    try_version,
)
from tidemill.serving.access import CALLER, SAID
from tidemill.serving.describing import Examples, Refused, answered
from tidemill.serving.examples import EXAMPLE_VERSION, example_decision, example_said, no_model
from tidemill.stores import Caller, Decision, Role
from tidemill.stores.decision_records import Act, Outcome

By = Annotated[
    str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f]*$", description="who asks, for the audit; else the key says it")
]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]

_NO_NAME = "HTTP"
_TRY: dict[str, Example] = {
    "shadow": {"value": {"shadow": 4}},
    "canary": {"value": {"canary": 4, "percent": 10}},
    "replacing": {"summary": "another canary in the place of the one that is tried now", "value": {"canary": 5, "replace": 4}},
}
_WRONG = "A request that cannot be understood", InputError("Input should be greater than or equal to 1", where="version")


class Trial(BaseModel):
    """What to try: a shadow, or a canary with its share."""

    model_config = ConfigDict(extra="forbid", strict=True)

    shadow: Version | None = Field(None, description="the version that scores every question and answers none")
    canary: Version | None = Field(None, description="the version that answers the questions of a share of keys")
    percent: float | None = Field(
        None, gt=0, le=100, description="the canary's share; else a running one keeps its own, and a new one has 5"
    )
    replace: Version | None = Field(None, description="the version tried so by now, which makes room; refused where it is another one")

    def attempt(self) -> Attempt:
        """What is asked for.

        Raises:
            InputError: neither of the two, or both; or a share that is nobody's.
        """
        if self.canary is not None and self.shadow is None:
            return Attempt("canary", self.canary, self.percent, self.replace)
        if self.shadow is None or self.canary is not None:
            raise InputError('say one of the two, {"shadow": VERSION} or {"canary": VERSION, "percent": 10}')
        if self.percent is not None:
            raise InputError("a shadow answers nothing; it is a canary's", where="percent")
        return Attempt("shadow", self.shadow, replace=self.replace)


class Meant(BaseModel):
    """Which trials are to end; whatever is tried, where neither is said."""

    model_config = ConfigDict(extra="forbid")

    shadow: Version | None = Field(None, description="the version that is meant; refused where another one is the shadow by now")
    canary: Version | None = Field(None, description="the version that is meant; refused where another one is the canary by now")

    def trials(self) -> dict[Role, int]:
        """The version of each role."""
        said: dict[Role, int | None] = {"shadow": self.shadow, "canary": self.canary}
        return {role: version for role, version in said.items() if version is not None}


class Promotion(BaseModel):
    """Which version to promote."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: Version = Field(description="the registered version")
    by: By = _NO_NAME


class Rollback(BaseModel):
    """Who asks to go back, and to which version."""

    model_config = ConfigDict(extra="forbid", strict=True)

    by: By = _NO_NAME
    to_version: Version | None = Field(None, description="the previous champion that is meant; sent twice with it, nothing is done twice")


@dataclass(frozen=True)
class Release:
    """What serves a model: the versions by alias, and those that are tried beside the champion."""

    model: str
    aliases: Mapping[str, int]
    trials: Sequence[Beside]


@dataclass(frozen=True)
class Ended:
    """A promotion or rollback that was asked for, and how it ended; `id` is that of its decision."""

    id: str
    model: str
    act: Act
    outcome: Outcome | None
    from_version: str | None
    to_version: str | None
    decided_by: str
    reason: str
    took_ms: int


def release_routes(workspace: Workspace, registry: Registry) -> APIRouter:
    """The routes below `/v1/models/{model}` that say and change what serves; each change is in force when it is answered."""
    router = APIRouter(prefix="/v1/models/{model}")
    router.include_router(_trial_routes(workspace, registry))
    router.include_router(_act_routes(workspace, registry))
    return router


def _trial_routes(workspace: Workspace, registry: Registry) -> APIRouter:
    router, project = APIRouter(), workspace.project
    told, no_such = _release_examples(project), no_model(project)

    @router.get("/release", summary="What serves, and what is tried beside it", **answered(told, no_such))
    def release(model: str) -> Release:
        return _told(workspace, registry, project.model(model))

    @router.post("/release", summary="Try a version as shadow or canary", **answered(told, no_such, _tried(project), _WRONG))
    def begin_trial(model: str, trial: Annotated[Trial, Body(openapi_examples=_TRY)], request: Request) -> Release:
        wanted, attempt = project.model(model), trial.attempt()
        _say(request, model, name_trials({attempt.role: attempt.version}))
        _say(request, model, try_version(registry, project.registered_name(wanted.name), attempt))
        return _told(workspace, registry, wanted)

    ended = answered(told, no_such, _champion(project), _WRONG)

    @router.delete("/release", summary="End shadow and canary: the champion answers everything", **ended)
    def end_release(model: str, meant: Annotated[Meant, Query()], request: Request) -> Release:
        wanted, trials = project.model(model), meant.trials()
        _say(request, model, name_trials(trials))
        end_trials(registry, project.registered_name(wanted.name), trials or None)
        return _told(workspace, registry, wanted)

    return router


def _act_routes(workspace: Workspace, registry: Registry) -> APIRouter:
    router, project = APIRouter(), workspace.project
    told = answered(_ended_examples(project), no_model(project), _champion(project), _WRONG)

    @router.post("/promote", summary="Make a version the champion, whatever the gate said of it", **told)
    def promote(model: str, promotion: Promotion, request: Request) -> Ended:
        _say(request, model, f"version {promotion.version}", promotion.by)
        wanted, asker = project.model(model), _asker(request, promotion.by)
        decision = request_promotion(workspace, registry, wanted, promotion.version, asker)
        return _ended(act_at_once(workspace, registry, wanted, decision, asker))

    @router.post("/rollback", summary="Make the previous champion the champion again", **told)
    def rollback(model: str, request: Request, asked: Rollback | None = None) -> Ended:
        asked = asked or Rollback()
        _say(request, model, "" if asked.to_version is None else f"to version {asked.to_version}", asked.by)
        wanted, asker = project.model(model), _asker(request, asked.by)
        decision = request_rollback(workspace, registry, wanted, asker, asked.to_version)
        return _ended(act_at_once(workspace, registry, wanted, decision, asker))

    return router


def _told(workspace: Workspace, registry: Registry, model: Model) -> Release:
    named = registry.named(workspace.project.registered_name(model.name))
    return Release(model.name, named.versions, compare_trials(workspace, model, named))


def _say(request: Request, about: str, detail: str, by: str = "") -> None:
    """For the audit of acts, which knows the key by itself."""
    request.scope[SAID] = (about, detail, by)


def _asker(request: Request, by: str) -> Asker:
    """Who decides: the key, or on an open server whoever they say they are."""
    caller: Caller = request.scope[CALLER]
    return Asker(caller.name or by, f"http-{uuid.uuid4()}")


def _ended(decision: Decision) -> Ended:
    return Ended(
        id=decision.id,
        model=decision.model,
        act=decision.act,
        outcome=decision.outcome,
        from_version=decision.from_version,
        to_version=decision.to_version,
        decided_by=decision.decided_by,
        reason=decision.outcome_reason,
        took_ms=(decision.finished_wall_ms or 0) - decision.requested_wall_ms,
    )


def _release_examples(project: Project) -> Examples:
    return {model.name: (f"A canary of {model.name}", _release(model)) for model in project.models}


def _release(model: Model) -> Release:
    outcome, said = example_said(model)
    figures, canary = model.objective.quality(outcome, said).figures, EXAMPLE_VERSION + 1
    beside = Beside("canary", canary, 10.0, len(outcome), figures, figures)
    return Release(model.name, {"champion": EXAMPLE_VERSION, "previous": 2, "canary": canary}, [beside])


def _ended_examples(project: Project) -> Examples:
    return {model.name: (f"A rollback of {model.name}", _ended(example_decision(model))) for model in project.models}


def _champion(project: Project) -> Refused:
    name = next((model.name for model in project.models), "refund")
    what = f"version {EXAMPLE_VERSION} of {name!r} is the champion already"
    return "Something else is the champion than is meant, or a server is behind", ConflictError(what)


def _tried(project: Project) -> Refused:
    name = next((model.name for model in project.models), "refund")
    what = f"version {EXAMPLE_VERSION} of {project.registered_name(name)!r} is tried as canary by now, not 2; look, and ask again"
    return "Another version is tried already, the version is the champion, or there is none", ConflictError(what)
