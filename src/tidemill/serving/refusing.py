"""What is wrong with a request, as HTTP says it: a status, a place, words; the same whoever answers."""

from __future__ import annotations

from starlette.responses import JSONResponse

from tidemill.errors import BusyError, ConflictError, DeniedError, InputError, NotFoundError, NotReadyError, TidemillError, UnavailableError

_STATUS: dict[type[TidemillError], int] = {  # the first that fits
    InputError: 422,
    DeniedError: 403,
    NotFoundError: 404,
    UnavailableError: 503,
    NotReadyError: 409,
    ConflictError: 409,
    BusyError: 429,
}
HOW_TO_CALL = "send `Authorization: Bearer tm_...`; `tidemill keys create NAME --scope ...` makes one"
_RETRY_S = 2  # once a server that is down may be back


def refusal(error: TidemillError) -> JSONResponse:
    """The answer that an error becomes; one that nobody can set right by asking differently is a 500.

    >>> refusal(InputError("send 1 to 100", where="body")).status_code, refusal(InputError("no", where="0.amount")).body
    (422, b'{"error":{"where":"0.amount","what":"0.amount: no"}}')
    """
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 500)
    where = getattr(error, "where", getattr(error, "name", type(error).__name__))
    headers = {"retry-after": str(error.retry_after_s)} if isinstance(error, BusyError) else None
    if isinstance(error, UnavailableError):
        headers = {"retry-after": str(_RETRY_S)}
    return JSONResponse({"error": {"where": str(where), "what": str(error)}}, status_code=status, headers=headers)
