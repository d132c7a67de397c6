"""The models a server holds: the champion that answers and the frozen first model beside it, swapped without a pause."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from tidemill.clock import NowMs
from tidemill.errors import ConflictError, NotReadyError, TidemillError
from tidemill.learning import Model, OnnxModel
from tidemill.project import Workspace
from tidemill.registry import CHAMPION, FROZEN, Registry
from tidemill.stores import Role

logger = logging.getLogger(__name__)

_ROLES: tuple[Role, ...] = ("champion", "frozen")
_ALIASES: dict[Role, str] = {"champion": CHAMPION, "frozen": FROZEN}


@dataclass(frozen=True)
class Loaded:
    """A version ready to score."""

    version: int
    scorer: OnnxModel


class Champions:
    """Keeps the versions that the registry's aliases name.

    A request takes one `Mapping` of loaded versions at its start and uses it to its end, so a swap between two requests mixes
    nothing and interrupts nobody. While the registry is down the versions that were loaded go on serving.

    Args:
        workspace: of the project whose models are served.
        registry: where versions come from.
        server: this server's name, under which it confirms what it serves.
    """

    def __init__(self, workspace: Workspace, registry: Registry, server: str) -> None:
        self._workspace = workspace
        self._registry = registry
        self._server = server
        self._serving: dict[str, dict[Role, Loaded]] = {}
        self._wanted: dict[str, dict[Role, int]] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def serving(self, model: str) -> dict[Role, Loaded]:
        """What answers for a model now.

        Raises:
            NotReadyError: it has no champion yet.
        """
        held = self._serving.get(model)
        if held is None:
            raise NotReadyError(f"model {model!r} has no champion yet; train one with `tidemill train {model}`")
        return held

    def refresh(self, now_wall_ms: int) -> None:
        """Load what the aliases name now, and confirm it."""
        for model in self._workspace.project.models:
            self._refresh(model, now_wall_ms)

    def start(self, every_s: float, now_wall_ms: NowMs) -> None:
        """Refresh in a thread of its own until `stop`."""
        self._thread = threading.Thread(target=self._run, args=(every_s, now_wall_ms), name="champions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, wait for it, and say that this server serves nothing any more, so that no deployment waits for it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._workspace.predictions.leave(self._server)

    def _run(self, every_s: float, now_wall_ms: NowMs) -> None:
        while not self._stop.is_set():
            try:
                self.refresh(now_wall_ms())
            except TidemillError as error:
                logger.warning("champion not refreshed error=%s", error)
            self._stop.wait(every_s)

    def _refresh(self, model: Model, now_wall_ms: int) -> None:
        name = self._workspace.project.registered_name(model.name)
        wanted = {role: version for role in _ROLES if (version := self._registry.alias(name, _ALIASES[role])) is not None}
        if "champion" not in wanted:
            self._workspace.predictions.confirm(self._server, model.name, 0, now_wall_ms)  # the first deployment waits for it too
            return
        if self._wanted.get(model.name) != wanted:
            try:
                self._serving[model.name] = self._load(model, name, wanted)
                logger.info("serving model=%s versions=%s", model.name, wanted)
            except ConflictError as error:  # it stays as it is until the aliases move on
                logger.error("champion not served model=%s error=%s", model.name, error)
            self._wanted[model.name] = wanted
        served = self._serving.get(model.name)
        self._workspace.predictions.confirm(self._server, model.name, served["champion"].version if served else 0, now_wall_ms)

    def _load(self, model: Model, name: str, wanted: dict[Role, int]) -> dict[Role, Loaded]:
        """What the aliases name, without other roles of another task.

        Raises:
            ConflictError: the champion is of another task than the project file says.
        """
        ready = {loaded.version: loaded for loaded in self._serving.get(model.name, {}).values()}
        for version in set(wanted.values()) - set(ready):
            ready[version] = Loaded(version, OnnxModel(self._registry.load(name, version).onnx, model.columns))
        task = model.objective.task
        champion = ready[wanted["champion"]]
        if champion.scorer.task != task:
            what = f"version {champion.version} of model {model.name!r} is a {champion.scorer.task} model, the project file says {task}"
            raise ConflictError(f"{what}; run `tidemill train {model.name}`, then `tidemill promote` what it registers")
        return {role: ready[version] for role, version in wanted.items() if ready[version].scorer.task == task}
