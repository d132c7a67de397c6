"""A schema registry, as Confluent's and those like it answer: which schema a value was written with."""

from __future__ import annotations

import os
import time
from typing import Any
from urllib.parse import quote

import orjson
import urllib3

from tidemill.errors import NotReadyError, SettingsError

_ANSWER_S = 5.0
_ASK_AGAIN_S = 30.0


class UnknownSchemaError(Exception):
    """A value names no schema that can be had; the message says why."""


class SchemaRegistry:
    """The registry at an address. What it does not know it is asked for again after half a minute.

    Args:
        address: `http://127.0.0.1:8081`.
        username_env: the environment's variable with the user, if it asks for one.
        password_env: the variable with the password.

    Raises:
        SettingsError: a variable is missing.
    """

    def __init__(self, address: str, username_env: str | None = None, password_env: str | None = None) -> None:
        self._address = address.rstrip("/")
        login = [_secret(name) for name in (username_env, password_env) if name is not None]
        headers = urllib3.make_headers(basic_auth=":".join(login)) if login else {}
        self._pool = urllib3.PoolManager(headers=headers, timeout=_ANSWER_S, retries=False)
        self._unknown = dict[str, float]()

    def by_id(self, number: int) -> Any:
        """What it says of the schema with an id: `schema`, and where it differs from Avro without references, `schemaType`, `references`.

        Raises:
            UnknownSchemaError: it has none.
            NotReadyError: it does not answer, or refuses to.
        """
        return self._ask(f"/schemas/ids/{number}")

    def by_version(self, subject: str, version: int) -> Any:
        """The same of one version of a subject."""
        return self._ask(f"/subjects/{quote(subject, safe='')}/versions/{version}")

    def _ask(self, path: str) -> Any:
        missing = UnknownSchemaError(f"the registry at {self._address} has no {path}")
        if self._unknown.get(path, 0.0) > time.monotonic():
            raise missing
        try:
            answer = self._pool.request("GET", self._address + path)
        except urllib3.exceptions.HTTPError as error:
            raise NotReadyError(f"the schema registry at {self._address} does not answer: {error}") from error
        if answer.status == 404:
            self._unknown[path] = time.monotonic() + _ASK_AGAIN_S
            raise missing
        if answer.status != 200:
            raise NotReadyError(f"the schema registry at {self._address} answers {path} with status {answer.status}")
        return orjson.loads(answer.data)


def _secret(name: str) -> str:
    if not os.environ.get(name):
        raise SettingsError(f"the environment has no {name}; set it, or name another variable in Avro(username_env=..., password_env=...)")
    return os.environ[name]
