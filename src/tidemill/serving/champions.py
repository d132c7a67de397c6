"""The versions a server holds: the champion that answers, those beside it, and the last one, swapped without a pause."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from tidemill.clock import NowMs
from tidemill.errors import ConflictError, NotReadyError, TidemillError, UnavailableError
from tidemill.learning import Model
from tidemill.project import Workspace
from tidemill.registry import CANARY, CHAMPION, FROZEN, PREVIOUS, SHADOW, Named, Registry
from tidemill.serving.canary import Canary
from tidemill.serving.loading import Loaded, load
from tidemill.serving.starting import StartingError, Starts
from tidemill.stores import Role

logger = logging.getLogger(__name__)

_ALIASES: dict[Role, str] = {"champion": CHAMPION, "frozen": FROZEN, "shadow": SHADOW, "canary": CANARY}
_PATIENCE_S = 1.0  # with a version that was just asked for; most are ready by then


@dataclass(frozen=True)
class Serving:
    """What answers for a model: taken once by a request and used to its end, so that a swap mixes nothing.

    Args:
        roles: the versions that score, by role; the champion is always there.
        canary: which questions the role `canary` answers; None where there is none.
        kept: what else is loaded, by version, so that going back takes no time.
    """

    roles: Mapping[Role, Loaded]
    canary: Canary | None = None
    kept: Mapping[int, Loaded] = field(default_factory=dict)

    @property
    def champion(self) -> Loaded:
        """The one that answers."""
        return self.roles["champion"]

    @property
    def waits(self) -> bool:
        """Whether another process is asked."""
        return any(one.scorer.waits for one in self.roles.values())


class Champions:
    """Keeps the versions that the registry's aliases name, and the last champion, so that a rollback has nothing to load.

    While the registry is down the versions that were loaded go on serving; a server that starts meanwhile serves what this home
    was last told, from the files that are held in it.

    Args:
        workspace: of the project whose models are served.
        registry: where versions come from.
        server: this server's name, under which it confirms what it serves.
    """

    def __init__(self, workspace: Workspace, registry: Registry, server: str) -> None:
        self.registry = registry
        self._workspace = workspace
        self._server = server
        self._serving: dict[str, Serving] = {}
        self._wanted: dict[str, Named] = {}
        self._starts: Starts[Loaded] = Starts(self.hurry)
        self._not_ready: dict[str, TidemillError] = {}  # by model, why what its aliases name is not served yet
        self._unwritten = ""  # why the store took nothing when it was last written to
        self._stop = threading.Event()
        self._look = threading.Event()
        self._refreshing = threading.Lock()
        self._thread: threading.Thread | None = None

    def serving(self, model: str) -> Serving:
        """What answers for a model now.

        Raises:
            NotReadyError: it has no champion yet, or one that does not fit the project file.
            UnavailableError: it is being started, or nobody can say which it is: the registry is down.
        """
        held = self._serving.get(model)
        if held is None:
            why = self._not_ready.get(model)
            if why is not None:
                raise (UnavailableError if isinstance(why, UnavailableError) else NotReadyError)(str(why))
            raise NotReadyError(f"model {model!r} has no champion yet; train one with `tidemill train {model}`")
        return held

    def check(self, model: str) -> None:
        """Whether a question would be answered: by a champion that can, and logged.

        Raises:
            NotReadyError: as of `serving`.
            UnavailableError: as of `serving`; or the champion's process is down, or the store did not take the last word of this server.
        """
        if why := self.serving(model).champion.scorer.down or self._unwritten:
            raise UnavailableError(why)

    def refresh(self, now_wall_ms: int, patience_s: float = 60.0) -> None:
        """Load what the aliases name now, and confirm it; what is wrong with one model keeps no other from it.

        Args:
            now_wall_ms: when.
            patience_s: how long each version is waited for at first; one that takes longer is found by a later look.

        Raises:
            UnavailableError: the registry or the store did not answer for one, once all have been looked at.
        """
        errors: list[Exception] = []
        with self._refreshing:
            for model in self._workspace.project.models:
                try:
                    self._refresh(model, now_wall_ms, patience_s)
                except UnavailableError as error:
                    self._not_ready.setdefault(model.name, error)  # what is known to be wrong with its champion still is
                    errors.append(error)
                except Exception as error:  # whatever the registry says of it
                    self._not_ready.setdefault(model.name, NotReadyError(f"its champion cannot be served: {error}; see the server's log"))
                    errors.append(error)
        if errors:
            raise errors[0]

    def start(self, every_s: float, now_wall_ms: NowMs) -> None:
        """Refresh in a thread of its own until `stop`."""
        self.registry.listen(self.hurry)
        self._thread = threading.Thread(target=self._run, args=(every_s, now_wall_ms), name="champions", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Refresh now: an alias has just been moved."""
        self._look.set()

    def stop(self) -> None:
        """End the thread, wait for it, and say that this server serves nothing any more, so that no deployment waits for it."""
        self._stop.set()
        self._look.set()
        if self._thread is not None:
            self._thread.join()
        self._workspace.predictions.leave(self._server)

    def _run(self, every_s: float, now_wall_ms: NowMs) -> None:
        while not self._stop.is_set():
            self._look.clear()
            try:
                self.refresh(now_wall_ms(), _PATIENCE_S)
            except TidemillError as error:
                logger.warning("champion not refreshed error=%s", error)
            except Exception:  # whatever the registry says of a model, what serves goes on, and the next alias is followed
                logger.exception("champion not refreshed")
            self._look.wait(every_s)

    def _refresh(self, model: Model, now_wall_ms: int, patience_s: float) -> None:
        try:
            named = self._named(model)
            self._starts.keep(model.name, set(named.versions.values()) if CHAMPION in named.versions else set())
            if CHAMPION not in named.versions:
                self._not_ready.pop(model.name, None)
            elif self._wanted.get(model.name) != named:
                self._follow(model, named, patience_s)
        finally:  # also what could not be followed: a deployment waits for who is heard of, and else counts this server as gone
            served = self._serving.get(model.name)  # 0 is waited for too, by the first deployment
            self._confirm(model.name, served.champion.version if served else 0, now_wall_ms)

    def _confirm(self, model: str, version: int, now_wall_ms: int) -> None:
        try:
            self._workspace.predictions.confirm(self._server, model, version, now_wall_ms)
        except UnavailableError as error:
            self._unwritten = str(error)
            raise
        self._unwritten = ""

    def _follow(self, model: Model, named: Named, patience_s: float) -> None:
        """Serve what the aliases name, as far as it is ready; the rest is looked at again the next time."""
        before = self._serving.get(model.name)
        try:
            serving = self._load(model, named, before, patience_s)
        except (StartingError, ConflictError) as error:  # its start has logged what is wrong with it
            self._not_ready[model.name] = error
        else:
            self._serving[model.name] = serving
            if serving != before:
                logger.info("serving model=%s versions=%s", model.name, {role: one.version for role, one in serving.roles.items()})
        if self._starts.are_going(model.name):
            self._wanted.pop(model.name, None)  # what is served now is neither what was wanted before nor all of this
        else:
            self._wanted[model.name] = named

    def _named(self, model: Model) -> Named:
        """What the aliases name; of a model that is not served yet what this home was last told, while the registry is down."""
        name = self._workspace.project.registered_name(model.name)
        try:
            return self.registry.named(name)
        except UnavailableError as error:
            held = self.registry.held(name)
            if held is None or model.name in self._serving:
                raise
            logger.warning("registry down, serving what was last named model=%s versions=%s error=%s", model.name, held.versions, error)
            return held

    def _load(self, model: Model, named: Named, before: Serving | None, patience_s: float) -> Serving:
        """What the aliases name, as far as it is ready; the champion from before until the other is.

        Raises:
            ConflictError: there is none from before, and the champion does not fit the project file.
            StartingError: there is none from before, and the champion is not ready yet, or cannot be had just now.
        """
        held = {} if before is None else {**before.kept, **{one.version: one for one in before.roles.values()}}
        for alias in (CHAMPION, FROZEN, SHADOW, CANARY, PREVIOUS):
            version = named.versions.get(alias)
            if version is not None and version not in held:
                try:
                    held[version] = self._ready(model, version, patience_s)
                except (StartingError, ConflictError):
                    if alias == CHAMPION and before is None:
                        raise
        held = {version: one for version, one in held.items() if version in named.versions.values()}
        roles = {role: held[named.versions[alias]] for role, alias in _ALIASES.items() if named.versions.get(alias) in held}
        if before is not None:
            roles.setdefault("champion", before.champion)
        canary = None
        if "canary" in roles:
            name = self._workspace.project.registered_name(model.name)
            canary = Canary(f"{name}:{roles['canary'].version}", named.canary_percent)
        return Serving(roles, canary, held)

    def _ready(self, model: Model, version: int, patience_s: float) -> Loaded:
        name = self._workspace.project.registered_name(model.name)
        make = partial(load, self.registry, name, model, version)
        return self._starts.take((model.name, version), f"version {version} of model {model.name!r}", make, patience_s)
