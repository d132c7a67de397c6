"""What a refusal of the server is raised as, and when a call is tried again.

```
 no connection       nothing was taken                     tried again
 429                 nothing was taken, or of events the first lines, which sent again are duplicates; tried again after Retry-After
 503, 502, 504       it may have been taken                tried again if the call is repeatable
 broken connection   likewise                              likewise
 any other status    tried again it would be the same      raised
```
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from tidemill.errors import (
    BusyError,
    ConflictError,
    InputError,
    NotFoundError,
    NotReadyError,
    RefusedError,
    TidemillError,
    UnavailableError,
)

_AWAY = frozenset({502, 503, 504})
_LONGEST_WAIT_S = 10.0
_UNKNOWN = re.compile(r"no (?P<kind>.+?) '(?P<name>.*?)'(?:; there is: (?P<known>.*))?$")


class UnreachedError(UnavailableError):
    """No connection came about, so the server cannot have taken anything."""


def failure(status: int, raw: Any, headers: Mapping[str, str], url: str) -> TidemillError:
    """The error of an answer that is no success.

    >>> failure(404, {"error": {"where": "nobody", "what": "no model 'nobody'; there is: refund"}}, {}, "http://127.0.0.1:8000")
    NotFoundError("no model 'nobody'; there is: refund")
    """
    where, what = told_in(raw)
    what = what or f"{url} answered {status} without saying why; see its log"
    if status == 404 and (unknown := _UNKNOWN.match(what)):
        known = unknown["known"].split(", ") if unknown["known"] else []
        return NotFoundError(unknown["kind"], unknown["name"], known)
    if status in (413, 422):
        return InputError(what, where=where or "body")
    if status == 429:
        return BusyError(what, retry_after_s=_whole(headers.get("retry-after"), 1))
    if status == 401:
        return RefusedError(f"{what}; set TIDEMILL_CLIENT__KEY, or hand the client a key")
    if status == 409:
        return (ConflictError if where == "ConflictError" else NotReadyError)(what)
    return UnavailableError(what) if status in _AWAY else RefusedError(f"{url} answered {status}: {what}")


def told_in(raw: Any) -> tuple[str, str]:
    """What a refusal is about, and why, which need not name the place again; both empty where it is none of tidemill's.

    >>> told_in({"error": {"where": "0.amount", "what": "0.amount: Field required"}}), told_in("Bad Gateway")
    (('0.amount', 'Field required'), ('', ''))
    """
    told = raw.get("error") if isinstance(raw, dict) else None
    if not isinstance(told, dict):
        return "", ""
    where = str(told.get("where", ""))
    return where, str(told.get("what", "")).removeprefix(f"{where}: ")


def may_repeat(error: TidemillError, repeatable: bool) -> bool:
    """Whether a call that failed so is worth sending again, and safe."""
    return isinstance(error, BusyError | UnreachedError) or (repeatable and isinstance(error, UnavailableError))


def wait_s(error: TidemillError, attempt: int, rng: random.Random) -> float:
    """How long to wait before the next attempt: what the server says, else longer each time and never twice the same.

    Args:
        error: of the attempt before.
        attempt: how many there were.
        rng: so that many clients do not come back at once.
    """
    if isinstance(error, BusyError):
        return min(float(error.retry_after_s) * rng.uniform(1.0, 1.25), _LONGEST_WAIT_S)
    return min(rng.uniform(0.5, 1.0) * 0.2 * 2.0**attempt, _LONGEST_WAIT_S)


def _whole(text: str | None, default: int) -> int:
    return int(text) if text is not None and text.isdigit() else default
