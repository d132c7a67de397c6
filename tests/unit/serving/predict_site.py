"""An application with a champion, asked without a network: the pieces of a body and the moment of each are the test's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from tests import tiny
from tests.held import hold_version, name_versions
from tidemill.project import Workspace
from tidemill.registry import Registry, snapshot
from tidemill.serving import Champions, Keyring, create_app
from tidemill.settings import ServerSettings, Settings
from tidemill.stores import SCOPES, ApiKey
from tidemill.stores.api_key import hash_of, new_text, prefix_of

PATH = "/v1/models/late_order/predict"
MOST_BYTES = 2_000
ASKED = {"order_id": "q1", "shop": "a", "amount": 20.0}
BODY = json.dumps(ASKED).encode()
Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Told:
    """An answer as it goes to the server."""

    status: int
    headers: Headers
    body: bytes

    def known(self) -> object:
        """What it says, but under which ids."""
        try:
            said = json.loads(self.body)
        except ValueError:
            return self.body
        for one in said if isinstance(said, list) else [said]:
            one.pop("prediction_id", None)
        return said


@dataclass(frozen=True)
class Site:
    """An application that asks for keys, and one of each kind."""

    app: FastAPI
    keys: dict[str, str]
    workspace: Workspace
    champions: Champions

    def ask(self, path: str, query: bytes, headers: Headers, chunks: Sequence[bytes]) -> Told:
        """Send a request, its body in these pieces."""
        return asyncio.run(asked(self.app, scope_of(path, query, headers), chunks))

    def headers(self, key: str | None = "all", **more: str) -> Headers:
        found = {"host": "127.0.0.1:8000"} | ({} if key is None else {"authorization": f"Bearer {self.keys.get(key, key)}"}) | more
        return [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in found.items()]


def scope_of(path: str, query: bytes, headers: Headers) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "root_path": ""}
    return found | {"path": path, "raw_path": path.encode(), "query_string": query, "headers": headers, "client": None, "server": None}


async def asked(app: FastAPI, scope: dict[str, Any], chunks: Sequence[bytes]) -> Told:
    waiting = [{"type": "http.request", "body": chunk, "more_body": place < len(chunks) - 1} for place, chunk in enumerate(chunks)]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type]  # Starlette's names for the same
    start, *parts = sent or [{"status": 0, "headers": []}]
    return Told(start["status"], start["headers"], b"".join(part["body"] for part in parts))


@contextmanager
def open_site(home: Path, database: str | None = None) -> Iterator[Site]:
    """A site of the tiny project, whose model has a champion."""
    workspace = Workspace.open(tiny.project, home, database=database)
    tiny.live(workspace, 0, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")  # no registry is up, and nobody is to wait for one
        hold_version(workspace, 1, snapshot(workspace, tiny.LATE_ORDER))
        name_versions(workspace, {"champion": 1}, 0.0)
        champions = Champions(workspace, Registry("http://127.0.0.1:9", workspace.home), "test")
        champions.refresh(0)
        keys = {}
        for name, scopes in (("all", SCOPES), ("reader", ("read",))):
            keys[name] = new_text()
            workspace.keys.add(ApiKey(prefix_of(keys[name]) or "", name, scopes, "tiny", "ann", 1), hash_of(keys[name]))
        limits = ServerSettings(replay=True, max_body_bytes=MOST_BYTES, max_rows=5)
        yield Site(create_app(workspace, Settings(server=limits), champions, keyring=Keyring(workspace.keys)), keys, workspace, champions)
        workspace.close()
