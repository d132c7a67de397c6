"""The whole application with keys asked for, and real MLflow and Prefect behind its login."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import tiny
from tests.browser.site import Server
from tidemill.clock import wall_ms
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving import Champions, Keyring, create_app
from tidemill.settings import MlflowSettings, PrefectSettings, ServerSettings, Settings
from tidemill.stores import ApiKey
from tidemill.stores.api_key import check_scopes, hash_of, new_text, prefix_of
from tidemill.ui import OverviewReader, login_router, page_router

MAX_BODY_BYTES = 100_000


@dataclass
class BehindLogin:
    """A server, and how keys for it are made."""

    workspace: Workspace
    url: str

    def key(self, name: str, *scopes: str) -> str:
        """A new key."""
        text = new_text()
        key = ApiKey(prefix_of(text) or "", name, check_scopes([*scopes]), self.workspace.project.name, "test", wall_ms())
        self.workspace.keys.add(key, hash_of(text))
        return text


@contextmanager
def behind_login(home: Path, mlflow_uri: str, prefect_api_url: str) -> Iterator[BehindLogin]:
    """Serve it while the block runs."""
    settings = Settings(
        server=ServerSettings(max_body_bytes=MAX_BODY_BYTES),
        mlflow=MlflowSettings(uri=mlflow_uri),
        prefect=PrefectSettings(api_url=prefect_api_url),
    )
    workspace = Workspace.open(tiny.named("tiny_behind"), home)
    reader, keyring = OverviewReader(workspace, settings), Keyring(workspace.keys)
    pages = page_router(reader.read)
    pages.include_router(login_router(keyring))
    champions = Champions(workspace, Registry(mlflow_uri, home), "test")
    server = Server.of(create_app(workspace, settings, champions, pages, keyring), lambda: None)
    try:
        yield BehindLogin(workspace, server.url.rstrip("/"))
    finally:
        server.stop()
        workspace.close()
