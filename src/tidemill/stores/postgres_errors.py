"""What PostgreSQL says when it is down, full or held up, as one error of ours that names the server and no password."""

from __future__ import annotations

from typing import Any

from psycopg import OperationalError
from sqlalchemy import URL, Engine, event

from tidemill.errors import UnavailableError


def unavailable(url: URL, error: BaseException) -> UnavailableError:
    """The error to raise from one of psycopg's."""
    said = " ".join(str(error).split())
    return UnavailableError(f"PostgreSQL at {url.render_as_string(hide_password=True)} does not answer: {said}; try again once it does")


def tell_plainly(engine: Engine) -> None:
    """Let statements that SQLAlchemy runs raise that error; the driver's own cursors do so in `tidemill.stores.cursors`."""

    @event.listens_for(engine, "handle_error")
    def _on_error(context: Any) -> None:
        if isinstance(context.original_exception, OperationalError) and not context.is_pre_ping:
            raise unavailable(engine.url, context.original_exception) from context.original_exception
