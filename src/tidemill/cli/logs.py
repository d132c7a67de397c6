"""Log lines of a command go to what stderr is at the moment."""

from __future__ import annotations

import logging
import sys


class CurrentStderr(logging.Handler):
    """A progress display stands in for stderr while it is up; a line written past it would run into its figures."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            print(self.format(record), file=sys.stderr)
        except Exception:  # as every handler of the standard library: logging must not end what it tells of
            self.handleError(record)


def log_to_stderr() -> None:
    """Warnings of everyone, and what tidemill has done, on stderr."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s", handlers=[CurrentStderr()])
    logging.getLogger("tidemill").setLevel(logging.INFO)
