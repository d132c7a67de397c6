"""A request of a model, and an event of a stream, true to their fields: `/docs` shows them, the page lines for the shell and for Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import orjson
from pydantic import BaseModel

from tidemill.events import FieldKind, Stream
from tidemill.learning import Model

_VALUES: dict[FieldKind, object] = {"number": 1, "text": "a", "time": "2025-01-15T08:00:00Z"}


def example_request(model: Model) -> dict[str, object]:
    """One value of each field of a model's request."""
    return _example(model.request, model.request_kinds)


def example_event(stream: Stream) -> dict[str, object]:
    """One value of each field of a stream's event."""
    return _example(stream.schema, stream.kinds)


def example_curl(model: Model, server_url: str) -> str:
    """A line for the shell that asks a model; it shows the key of `TIDEMILL_CLIENT__KEY`, where there is one."""
    body = orjson.dumps(example_request(model)).decode().replace("'", r"'\''")
    headers = "-H 'content-type: application/json' -H \"authorization: Bearer $TIDEMILL_CLIENT__KEY\""
    return f"curl -s {server_url}/v1/models/{model.name}/predict {headers} -d '{body}'"


def example_python(model: Model, server_url: str) -> str:
    """A few lines of Python that ask a model with `tidemill.Client`, which shows the key of `TIDEMILL_CLIENT__KEY` by itself."""
    texts = {name: f'"{value}"' if isinstance(value, str) else repr(value) for name, value in example_request(model).items()}
    fields = "".join(f'    "{name}": {text},\n' for name, text in texts.items())
    asked = f'client = Client("{server_url}")\nanswer = client.predict("{model.name}", {{\n{fields}}})\n'
    return f"from tidemill import Client\n\n{asked}print(answer.prediction, answer.{model.objective.kind}, answer.model_version)\n"


def _example(schema: type[BaseModel], kinds: Mapping[str, FieldKind]) -> dict[str, object]:
    flags = {name for name, one in schema.model_fields.items() if bool in (one.annotation, *get_args(one.annotation))}
    return {name: True if name in flags else _VALUES[kind] for name, kind in kinds.items()}
