"""A new project's folder: rendered from the templates that ship with the package, with its data beside."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from tidemill.cli.starting.columns import Column, Sample
from tidemill.cli.starting.roles import Roles
from tidemill.clock import DAY_MS, duration_ms, moment_ms
from tidemill.errors import ConflictError, InputError
from tidemill.sources.field_names import field_names

FILES = {
    "project.py": "project.py.jinja",
    "README.md": "README.md.jinja",
    "test_project.py": "test_project.py.jinja",
    ".gitignore": "gitignore.jinja",
}
_LEAST_DAYS = 10  # a week to learn from, one day to begin and two to be asked about
_NOW = "NOW"
_TYPES = {"number": "float | None", "whole": "float | None", "flag": "bool | None", "time": "datetime | None"}


@dataclass(frozen=True)
class Start:
    """What a new project is made of.

    Args:
        folder: where it goes.
        sample: of its history.
        roles: what the columns are for.
        outcome_after: how long after an event its outcome is known, where no column says when.
        is_own: whether the history is the user's, not made up.
    """

    folder: Path
    sample: Sample
    roles: Roles
    outcome_after: str
    is_own: bool

    @property
    def name(self) -> str:
        """Of the project: the folder's, as far as a name may be that."""
        return field_names([self.folder.resolve().name])[0]

    @property
    def stream(self) -> str:
        """Of the events: the file's."""
        return field_names([self.sample.file.stem])[0]

    @property
    def event_id(self) -> str:
        """The field that names an event."""
        if self.roles.event_id is not None:
            return self.roles.event_id.name
        return self._unused("row_id")

    @property
    def outcome_time(self) -> str:
        """The field that says when an outcome was known."""
        return self.roles.label_time.name if self.roles.label_time else self._unused("outcome_at")

    @property
    def days(self) -> int:
        """How many days the history has; 0 where they are too few to rehearse on."""
        days = ceil((self.roles.last_ms - self.roles.first_ms) / DAY_MS)
        return days if days >= _LEAST_DAYS else 0

    @property
    def first_fit(self) -> int:
        """After how many of them the first model is trained."""
        return max(7, self.days // 2)

    @property
    def within(self) -> str:
        """How long an outcome counts: three times as long as it takes, at least three days."""
        taken_ms = duration_ms(self.outcome_after)
        if self.roles.label_time is not None:
            pairs = zip(self.roles.time.values, self.roles.label_time.values, strict=True)
            times = [(moment_ms(begin), moment_ms(end)) for begin, end in pairs]
            taken_ms = max((end - begin for begin, end in times if begin is not None and end is not None), default=taken_ms)
        return f"{max(3, ceil(3 * taken_ms / DAY_MS))}d"

    def _unused(self, name: str) -> str:
        taken = {column.name for column in self.sample.columns}
        return next(one for one in (name, *(f"{name}_{number}" for number in range(2, len(taken) + 3))) if one not in taken)


def write_project(start: Start) -> list[Path]:
    """Write a project's files and copy its history to `data/`; answers the files.

    Raises:
        ConflictError: one of them is there already.
        InputError: the folder cannot be made, or written to.
    """
    names = [Path(name) for name in FILES] + [Path("data") / start.sample.file.name]
    for name in names:
        path = start.folder / name
        if path.exists() and path.resolve() != start.sample.file.resolve():
            raise ConflictError(f"{path} is there already, and nothing is overwritten; name another folder, or move it away")
    texts, history = render(start), start.folder / names[-1]
    try:
        history.parent.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            (start.folder / file).write_text(text, encoding="utf-8")
        if not history.exists():
            shutil.copyfile(start.sample.file, history)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}; name another folder", where=str(error.filename)) from error
    return [start.folder / name for name in names]


def render(start: Start) -> dict[str, str]:
    """The text of each file, by name."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # no other command needs it

    environment = Environment(
        loader=PackageLoader("tidemill.cli.starting"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Python and Markdown, no HTML
    )
    filters: dict[str, Callable[..., Any]] = {"literal": _literal, "field_type": _field_type, "shell": _shell}
    environment.filters.update(filters)
    said = _said(start)
    return {name: _blank_lines(environment.get_template(template).render(said)) for name, template in FILES.items()}


def _said(start: Start) -> Mapping[str, Any]:
    roles, label = start.roles, start.roles.label
    asked = [*roles.keys, *roles.numbers, *roles.categories]
    request = {start.event_id: "n1", **{column.name: _example(column) for column in asked}}
    event = {start.event_id: "n1", roles.time.name: _NOW, **{column.name: _example(column) for column in (*asked, *roles.others)}}
    outcome = {start.event_id: "n1", start.outcome_time: _NOW, **{column.name: _example(column) for column in roles.keys}}
    return {
        "title": start.folder.resolve().name,
        "file": start.sample.file.name,
        "project": start.name,
        "stream": start.stream,
        "event_id": start.event_id,
        "outcomes": f"{start.stream}_outcomes",
        "outcome_time": start.outcome_time,
        "outcome_after": start.outcome_after,
        "within": start.within,
        "roles": roles,
        "model": label.name if label else "",
        "event_columns": [*asked, *roles.others],
        "question_columns": asked,
        "model_numbers": roles.numbers,
        "label_value": _label_value(roles) if label else "",
        "share_of": _label_value(roles) if label and roles.task == "binary" else "",
        "has_mean": bool(roles.numbers) or roles.task == "regression",
        "booster": "HistGradientBoostingRegressor" if roles.task == "regression" else "HistGradientBoostingClassifier",
        "days": start.days,
        "first_fit": start.first_fit,
        "request": request,
        "event": event,
        "outcome": {**outcome, label.name: _example(label)} if label else {},
        "key_names": " and ".join(f"`{key.name}`" for key in roles.keys),
        "key_value": _path_safe(roles.keys[0]),
        "is_own": start.is_own,
        "table": list(describe(start).items()),
    }


def describe(start: Start) -> dict[str, str]:
    """What each column of the file was taken for, by its header."""
    roles = start.roles
    known = f"the outcome, known {'when `' + roles.label_time.header + '` says' if roles.label_time else start.outcome_after + ' later'}"
    what = known + (f"; predicted is `{roles.positive}`" if roles.positive else "")
    said = {roles.time.name: "when it happened"}
    said |= {roles.event_id.name: "its id"} if roles.event_id else {}
    said |= {key.name: "a key: features are made by it" for key in roles.keys}
    said |= {column.name: "a number" if column.kind != "flag" else "true or false" for column in roles.numbers}
    said |= {column.name: f"a category of {len(column.counts)} values" for column in roles.categories}
    said |= {column.name: "kept with the event; no model reads it" for column in roles.others}
    said |= {roles.label.name: f"{what} ({roles.task})"} if roles.label else {}
    said |= {roles.label_time.name: "when the outcome is known"} if roles.label_time else {}
    return {column.header: said.get(column.name, "left out") for column in start.sample.columns}


def _label_value(roles: Roles) -> str:
    if roles.label is None:
        raise InputError("a project without a label has no outcome", where="template")
    name = _literal(roles.label.name)
    if roles.positive:
        return f"col({name}).equals({_literal(roles.positive)})"
    return f"col({name}) >= 1" if roles.label.kind == "flag" else name


def _field_type(column: Column) -> str:
    """Numbers may be missing, as sooner or later they are; a text is optional where it was seen missing."""
    return _TYPES.get(column.kind, "str | None" if column.has_gaps else "str")


def _example(column: Column) -> object:
    value = column.counts.most_common(1)[0][0]
    if column.kind == "flag":
        return value.lower() in ("true", "t", "yes", "1")
    if column.kind in ("number", "whole"):
        return float(value) if column.kind == "number" else int(value)
    return _NOW if column.kind == "time" else value


def _literal(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _shell(value: object) -> str:
    """JSON as one word for a shell, which puts in the time."""
    quoted = json.dumps(value, ensure_ascii=False).replace("'", "'\\''")
    return "'" + quoted.replace(_NOW, "'$(date -u +%FT%TZ)'") + "'"


def _path_safe(column: Column) -> str:
    from urllib.parse import quote

    return quote(column.counts.most_common(1)[0][0], safe="")


def _blank_lines(text: str) -> str:
    """No more than two blank lines together, as left out parts leave them, and none at the end."""
    return re.sub(r"\n{4,}", "\n\n\n", text).rstrip("\n") + "\n"
