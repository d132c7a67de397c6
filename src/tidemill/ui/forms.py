"""Plain forms: read with care, done in a worker thread, answered by where to go next."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import Request, Response

from tidemill.errors import BusyError, ConflictError, DeniedError, InputError, NotFoundError, NotReadyError, TidemillError
from tidemill.ui.files import read_files
from tidemill.ui.form_token import FIELD, check_form
from tidemill.ui.page import HEADERS, HTML
from tidemill.ui.rendering import Renderer

Form = Mapping[str, list[str]]
_FORM = "application/x-www-form-urlencoded"
_MOST_FIELDS = 1_000
_STATUS: tuple[tuple[type[TidemillError], HTTPStatus], ...] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (DeniedError, HTTPStatus.FORBIDDEN),
    (ConflictError, HTTPStatus.CONFLICT),
    (BusyError, HTTPStatus.TOO_MANY_REQUESTS),
    (NotReadyError, HTTPStatus.SERVICE_UNAVAILABLE),
)


async def read_form(request: Request) -> Form:
    """The fields of a form of this page.

    Raises:
        InputError: it is no form.
        DeniedError: it does not come from this page.
    """
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != _FORM:
        raise InputError(f"{kind[:80]!r} is not {_FORM}", where="header Content-Type")
    try:
        form = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise InputError(f"not a form: {error}") from error
    check_form(request, one(form, FIELD))
    return form


def one(form: Form, name: str) -> str:
    """The value of a field that stands once; empty where it is left out."""
    values = form.get(name, [""])
    if len(values) != 1:
        raise InputError(f"{len(values)} values; send one", where=name)
    return values[0]


def refused(error: TidemillError) -> Response:
    """What a person reads whose form was not taken, or whose act has failed."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), HTTPStatus.UNPROCESSABLE_ENTITY)
    text = refusal_page(str(error))
    again = {"Retry-After": str(error.retry_after_s)} if isinstance(error, BusyError) else {}
    return Response(text, status, {**HEADERS, **again, "Cache-Control": "no-store"}, HTML)


def refusal_page(why: str) -> str:
    """HTML that says why a form was not taken."""
    return _renderer().refusal(why=why)


def go_to(place: str) -> Response:
    """Where a browser goes once a form was taken."""
    return Response(None, HTTPStatus.SEE_OTHER, {"Location": place})


@cache
def _renderer() -> Renderer:
    return Renderer(read_files())
