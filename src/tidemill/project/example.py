"""A request of a model as an example, true to its fields: `/docs` shows it, and the page as a line for the shell."""

from __future__ import annotations

from typing import get_args

import orjson

from tidemill.events import FieldKind
from tidemill.learning import Model

_VALUES: dict[FieldKind, object] = {"number": 1, "text": "a", "time": "2025-01-15T08:00:00Z"}


def example_request(model: Model) -> dict[str, object]:
    """One value of each field of a model's request."""
    flags = {name for name, one in model.request.model_fields.items() if bool in (one.annotation, *get_args(one.annotation))}
    return {name: True if name in flags else _VALUES[kind] for name, kind in model.request_kinds.items()}


def example_curl(model: Model, server_url: str) -> str:
    """A line for the shell that asks a model; it shows the key of `TIDEMILL_CLIENT__KEY`, where there is one."""
    body = orjson.dumps(example_request(model)).decode().replace("'", r"'\''")
    headers = "-H 'content-type: application/json' -H \"authorization: Bearer $TIDEMILL_CLIENT__KEY\""
    return f"curl -s {server_url}/v1/models/{model.name}/predict {headers} -d '{body}'"
