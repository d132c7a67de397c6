"""What every task of a process shares: the settings, the workspace and the registry, opened once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from tidemill.learning import Model
from tidemill.project import Workspace, load_project
from tidemill.registry import Registry
from tidemill.settings import Settings, read_settings


@dataclass(frozen=True)
class Context:
    """A project opened by a flow run."""

    settings: Settings
    workspace: Workspace
    registry: Registry

    def model(self, name: str) -> Model:
        """The model of that name; NotFoundError names those there are."""
        return self.workspace.project.model(name)

    def registered(self, name: str) -> str:
        """What the registry calls it."""
        return self.workspace.project.registered_name(name)


@cache
def opened() -> Context:
    """The context of this process."""
    settings = read_settings()
    workspace = Workspace.open(
        load_project(settings.project),
        settings.home,
        database=settings.database_url,
        log=settings.log,
        durable_log=not settings.server.replay,
    )
    return Context(settings, workspace, Registry(settings.mlflow_uri, workspace.home, settings.pyfunc))
