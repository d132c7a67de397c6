"""What each call sends and how its answer is read: the part that the two clients share, without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from numbers import Real
from typing import Any, Generic, TypeVar, overload
from urllib.parse import quote

import orjson
from pydantic import BaseModel

from tidemill.client import answers
from tidemill.errors import InputError

T = TypeVar("T")
Asked = Mapping[str, Any] | BaseModel
LINES = "application/x-ndjson"
JSON = "application/json"
_ASKED = "hand in a mapping or a pydantic model, or a list of them"
_NUMPY = orjson.OPT_SERIALIZE_NUMPY  # which loads no numpy
_ENGINE_S = 330.0  # a server has whoever sends lines wait for an engine that is behind, for five minutes at most


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request.

    Args:
        method: of HTTP.
        path: below the server's URL.
        read: makes the answer of its JSON.
        body: what is sent.
        content_type: of the body.
        query: what follows the path.
        waits_s: how long its answer may take at least, whatever the client's patience.
        repeatable: whether sending it twice does what sending it once does, so that it may be tried again after any failure.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    body: bytes = b""
    content_type: str = JSON
    query: Mapping[str, str | int] = field(default_factory=dict)
    repeatable: bool = True
    waits_s: float = 0.0


def send_events(stream: str, events: Iterable[Asked]) -> Call[answers.Receipt]:
    """Events, one a line, however many; an event has an id, so sent again it is a duplicate."""
    if isinstance(events, Mapping | BaseModel):
        raise InputError("one event; hand in a list of them", where="events")
    lines = [_json(event, place) for place, event in enumerate(events)]
    if not lines:
        raise InputError("no events; send at least one", where="events")
    return Call("POST", f"/v1/streams/{quote(stream, safe='')}/events", answers.receipt, b"\n".join(lines), LINES, waits_s=_ENGINE_S)


@overload
def predict(model: str, asked: Asked, *, explain: bool) -> Call[answers.PredictionMade]: ...
@overload
def predict(model: str, asked: Sequence[Asked], *, explain: bool) -> Call[list[answers.PredictionMade]]: ...
def predict(model: str, asked: Asked | Sequence[Asked], *, explain: bool) -> Call[Any]:
    """One question or several. Asked twice it is two predictions in the log, so it is not repeatable."""
    path, query = f"/v1/models/{quote(model, safe='')}/predict", {"explain": "true"} if explain else {}
    if isinstance(asked, Mapping | BaseModel) or not isinstance(asked, Iterable):
        return Call("POST", path, answers.prediction, _json(asked, 0), query=query, repeatable=False)
    body = b"[" + b",".join(_json(one, place) for place, one in enumerate(asked)) + b"]"
    return Call("POST", path, lambda raw: [answers.prediction(one) for one in raw], body, query=query, repeatable=False)


def features(view: str, key: str, at: datetime | int | None) -> Call[answers.Features]:
    """The features of one key; in a body, as no path could hold every key."""
    several = features_of(view, [key], at)
    return Call(several.method, several.path, lambda raw: several.read(raw)[0], several.body)


def features_of(view: str, keys: Sequence[str], at: datetime | int | None) -> Call[list[answers.Features]]:
    """The features of many keys at one position."""
    if isinstance(keys, str):
        raise InputError(f"{keys!r} is one text; hand in a list of keys, or ask `features`", where="keys")
    asked = {"keys": list(keys), **({} if at is None else {"at": _ms(at)})}
    path = f"/v1/features/{quote(view, safe='')}"
    return Call("POST", path, lambda raw: [answers.known(answers.Features, one) for one in raw], orjson.dumps(asked))


def model(name: str) -> Call[answers.ModelState]:
    """One model as it is served."""
    return Call("GET", f"/v1/models/{quote(name, safe='')}", lambda raw: answers.known(answers.ModelState, raw))


def decisions(of: str | None, limit: int) -> Call[list[answers.DecisionMade]]:
    """The newest decisions of a model, or of all."""
    query: dict[str, str | int] = {"limit": limit} | ({} if of is None else {"model": of})
    return Call("GET", "/v1/decisions", lambda raw: [answers.known(answers.DecisionMade, one) for one in raw], query=query)


def _json(value: Asked, place: int) -> bytes:
    """One JSON object on one line; times of a mapping need a zone, as a server takes no other.

    Args:
        value: an event or a question.
        place: its number among those of the call, from 0, as a server counts them.

    Raises:
        InputError: something that JSON cannot hold.
    """
    if not isinstance(value, Mapping | BaseModel):
        raise InputError(f"{value!r} cannot be sent; {_ASKED}", where=str(place))
    try:
        fields = value.model_dump(mode="json") if isinstance(value, BaseModel) else dict(value)
        for name, one in (value.__dict__ if isinstance(value, BaseModel) else fields).items():
            if isinstance(one, Real) and not isfinite(one):  # which would be sent as null
                raise InputError(f"{one}; send None for a missing value", where=f"{place}.{name}")
        return orjson.dumps(fields, option=_NUMPY)
    except TypeError as error:
        raise InputError(f"{error}; send texts, numbers, booleans, null, datetimes, lists and dicts", where=str(place)) from error


def _ms(at: datetime | int) -> int:
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise InputError(f"{at} has no time zone; say one, e.g. datetime.now(UTC)", where="at")
        return round(at.timestamp() * 1_000)
    return at
