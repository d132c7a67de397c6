"""Carrying reactions out: Prefect deployments are started, webhooks called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from tidemill.errors import NotReadyError, RefusedError
from tidemill.features import Reaction
from tidemill.loop import CarriedOut, Webhook, carry_out
from tidemill.loop.reacting import Send
from tidemill.project import Workspace
from tidemill.stores.reactions import Waiting

Start = Callable[[str, dict[str, Any], str], object]
_PARAMETERS = frozenset({409, 422})  # what Prefect answers to parameters that the flow cannot take


class Reacting:
    """Carries out what the reactions of a project came to, each reaction by itself.

    Args:
        workspace: whose reactions.
        start: given a deployment, its parameters and an idempotency key; raises NotReadyError when it cannot start it.
        environ: where the URLs of webhooks are.
    """

    def __init__(self, workspace: Workspace, start: Start, environ: Mapping[str, str]) -> None:
        self._store = workspace.reactions
        self._sends = {reaction.name: _sender(reaction, start, environ) for reaction in workspace.project.reactions}

    @property
    def names(self) -> list[str]:
        """The reactions."""
        return list(self._sends)

    def step(self, name: str, wall_ms: int) -> CarriedOut:
        """One round for one reaction."""
        return carry_out(self._store, name, self._sends[name], wall_ms)


def _sender(reaction: Reaction, start: Start, environ: Mapping[str, str]) -> Send:
    if reaction.run:
        return lambda waiting: _start(start, reaction.run, waiting)
    webhook = Webhook(reaction.webhook, reaction.webhook_env, environ)
    return lambda waiting: webhook.call(waiting.body, waiting.id)


def _start(start: Start, deployment: str, waiting: Waiting) -> None:
    try:
        start(deployment, orjson.loads(waiting.body)["parameters"], waiting.id)
    except NotReadyError as error:
        answer = getattr(error.__cause__, "response", None)
        if getattr(answer, "status_code", None) in _PARAMETERS:
            raise RefusedError(str(error)) from error
        raise
