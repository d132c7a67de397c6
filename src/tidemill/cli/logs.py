"""Log lines of a command go to what stderr is at the moment, as text for a person or as JSON for a program."""

from __future__ import annotations

import json
import logging
import re
import sys
from copy import copy
from datetime import UTC, datetime
from typing import Literal

_FIELD = re.compile(r"(\w+)=%[-.\d]*[a-z]")
_ANY = re.compile(r"%[-.\d]*[a-z]")
_TOLD_BY_US = "kafka."  # of a broker that is away its client says ten lines, each time it tries; what comes of it is an error of ours
_MINUTE_S = 60.0
_FORGOTTEN_S = 600.0
_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class Repeats:
    """A warning that comes again word for word is written once a minute, with how often it has come meanwhile.

    A server that is away is asked every second by each who needs it, for as long as it is.
    """

    def __init__(self) -> None:
        self._written: dict[tuple[str, str, str], tuple[float, int]] = {}

    def written(self, record: logging.LogRecord) -> logging.LogRecord | None:
        """What to write: the record, or a copy that says how often it has come meanwhile; None where it has just been written."""
        said = (record.name, record.getMessage(), str(record.exc_info and record.exc_info[1]))
        at_s, n_kept_back = self._written.get(said, (-_MINUTE_S, 0))
        if 0 <= record.created - at_s < _MINUTE_S:  # a clock that was set back is no reason to be silent
            self._written[said] = at_s, n_kept_back + 1
            return None
        recent = {one: (at_s, n) for one, (at_s, n) in self._written.items() if 0 <= record.created - at_s < _FORGOTTEN_S}
        self._written = recent | {said: (record.created, 0)}
        if n_kept_back and isinstance(args := record.args, tuple):
            text = str(record.msg) if args else str(record.msg).replace("%", "%%")
            record = copy(record)  # which others may write too
            record.msg, record.args = f"{text} again=%d", (*args, n_kept_back)
        return record


class CurrentStderr(logging.Handler):
    """A progress display stands in for stderr while it is up; a line written past it would run into its figures."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, unless it has just been written."""
        try:
            if record.name.startswith(_TOLD_BY_US):
                return
            told = record if record.levelno < logging.WARNING else self._repeats.written(record)
            if told is not None:
                print(self.format(told), file=sys.stderr)
        except Exception:  # as every handler of the standard library: logging must not end what it tells of
            self.handleError(record)


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and each `key=value` of the message by its key.

    >>> record = logging.LogRecord("tidemill.x", logging.INFO, "", 0, "promoted model=%s version=%d", ("late", 3), None)
    >>> told = json.loads(JsonLines().format(record))
    >>> told["message"], told["fields"]
    ('promoted model=late version=3', {'model': 'late', 'version': 3})
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "fields": _fields(record),
        }
        if record.exc_info:
            told["error"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def log_to_stderr() -> None:
    """Warnings of everyone, and what tidemill has done, on stderr."""
    logging.basicConfig(level=logging.WARNING, format=_TEXT, handlers=[CurrentStderr()])
    logging.getLogger("tidemill").setLevel(logging.INFO)


def write_lines(how: Literal["text", "json"]) -> None:
    """Say how the lines of this process are written from here on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, CurrentStderr):
            handler.setFormatter(JsonLines() if how == "json" else logging.Formatter(_TEXT))


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """The values that a message names, where each of its values has a name or none is left out."""
    if not isinstance(record.msg, str):  # an error, say, which others log as it is
        return {}
    starts = [found.start() for found in _ANY.finditer(record.msg)]
    args = record.args if isinstance(record.args, tuple) else ()
    if len(starts) != len(args):
        return {}
    named = [(found.start(1), found[1]) for found in _FIELD.finditer(record.msg)]
    return {name: args[starts.index(start + len(name) + 1)] for start, name in named if start + len(name) + 1 in starts}
