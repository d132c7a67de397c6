"""What PostgreSQL says when it is down, full or held up, as one error of ours that names the server and no password."""

from __future__ import annotations

import time
from typing import Any

from psycopg import OperationalError
from psycopg.errors import IdleInTransactionSessionTimeout, ProgramLimitExceeded
from sqlalchemy import URL, Engine, QueuePool, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as NoneIsFreeError
from sqlalchemy.pool import ConnectionPoolEntry

from tidemill.errors import UnavailableError

# What says that the connection is gone, not that a statement is wrong; but see `is_gone`.
GONE = (OperationalError, IdleInTransactionSessionTimeout)
_IDLE_S = 1.0


def unavailable(url: URL, error: BaseException) -> UnavailableError:
    """The error to raise from one of psycopg's."""
    said = " ".join(str(error).split())
    told = url.difference_update_query([name for name in url.query if "password" in name])  # those are not hidden
    return UnavailableError(f"PostgreSQL at {told.render_as_string(hide_password=True)} does not answer: {said}; try again once it does")


def is_gone(error: BaseException | None) -> bool:
    """Whether an error of psycopg says so. It counts to it what the server will never take, a row too large for an index."""
    return isinstance(error, GONE) and not isinstance(error, ProgramLimitExceeded)


class PlainPool(QueuePool):
    """A pool that says of itself, where none of its connections comes back in time, what is said of a server that does not answer."""

    _sqla_logger_namespace = "sqlalchemy.pool.QueuePool"  # what it logs of itself is SQLAlchemy's, which is asked for warnings alone

    def _do_get(self) -> ConnectionPoolEntry:
        try:
            return super()._do_get()
        except NoneIsFreeError as error:
            raise UnavailableError("PostgreSQL is busy: all connections of this process are in use; try again soon") from error


def tell_plainly(engine: Engine) -> None:
    """Let statements that SQLAlchemy runs raise that error; the driver's own cursors do so in `tidemill.stores.cursors`."""

    @event.listens_for(engine, "handle_error")
    def _on_error(context: Any) -> None:
        if is_gone(context.original_exception):
            raise unavailable(engine.url, context.original_exception) from context.original_exception


def notice_restarts(engine: Engine) -> None:
    """Open a connection anew that has lain idle while the server was restarted; one that was just used is taken as it is."""

    @event.listens_for(engine, "checkin")
    def _on_checkin(_driver: Any, record: Any) -> None:
        record.info["idle_since_s"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _on_checkout(driver: Any, record: Any, _proxy: Any) -> None:
        now_s = time.monotonic()
        if now_s - record.info.get("idle_since_s", now_s) > _IDLE_S:
            try:
                engine.dialect.do_ping(driver)
            except GONE as error:
                raise DisconnectionError from error
