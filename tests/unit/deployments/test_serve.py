"""The flows are served again after an outage of Prefect, and after nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deployments.serve import GIVEN_UP, is_outage, serve_again

REQUEST = httpx.Request("GET", "http://127.0.0.1:1/api")


def answered(status: int) -> httpx.HTTPStatusError:
    return httpx.HTTPStatusError("", request=REQUEST, response=httpx.Response(status, request=REQUEST))


def test_it_serves_again_once_prefect_answers() -> None:
    happened: list[str] = []
    first = ExceptionGroup("", [RuntimeError(GIVEN_UP[0]), RuntimeError(f"{GIVEN_UP[1]} at http://127.0.0.1:1/api")])
    ends: Iterator[Exception | None] = iter([first, httpx.ConnectError(""), answered(503), None])

    def serve() -> None:
        happened.append("served")
        error = next(ends)
        if error is not None:
            raise error

    serve_again(serve, lambda: happened.append("waited"))
    assert happened == ["served", "waited", "served", "waited", "served", "waited", "served"]


@pytest.mark.parametrize(
    "error", [RuntimeError("no such flow"), answered(422), ExceptionGroup("", [RuntimeError(GIVEN_UP[0]), ValueError()])]
)
def test_what_prefect_refuses_is_not_tried_again(error: Exception) -> None:
    def serve() -> None:
        raise error

    assert not is_outage(error)
    with pytest.raises(type(error)):
        serve_again(serve, lambda: None)


def test_prefect_says_so_in_the_words_that_are_known() -> None:
    from prefect._internal import version_checking
    from prefect.utilities import services

    for words, module in zip(GIVEN_UP, (services, version_checking), strict=True):
        assert words in Path(str(module.__file__)).read_text(encoding="utf-8")
