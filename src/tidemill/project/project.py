"""A project: everything one file defines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tidemill.errors import NotFoundError, ProjectError
from tidemill.events import Stream
from tidemill.features import Label, View
from tidemill.learning import Model
from tidemill.streams import Recording

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # folders, SQL columns, URLs and parameters of derived features are made of it
_NAME_FIX = "begin with a letter, then letters, digits and underscores only"

T = TypeVar("T", Stream, View, Model)


@dataclass(frozen=True)
class Project:
    """Streams, views and models under one name.

    Args:
        name: prefixes registered models, names deployments.
        streams: what events there are.
        views: how they are summed up.
        models: what is predicted.
        recording: makes a recording to replay, for demos and rehearsals; takes the number of days.

    Raises:
        ProjectError: two things of one name, or a part that refers to something not in the project.
    """

    name: str
    streams: Sequence[Stream] = field(kw_only=True)
    views: Sequence[View] = field(default=(), kw_only=True)
    models: Sequence[Model] = field(default=(), kw_only=True)
    recording: Callable[..., Recording] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Check the declaration."""
        where = f"project {self.name!r}"
        _check_names("project", [self.name], where)
        _check_names("stream", self.stream_names, where)
        _check_names("view", [view.name for view in self.views], where)
        _check_names("model", [model.name for model in self.models], where)
        self._check_times()
        self._check_parts()

    def _check_times(self) -> None:
        for stream in self.streams:
            if stream.kinds[stream.event_time] == "text":
                fix = "declare it as an aware datetime, or as int: milliseconds since the epoch"
                raise ProjectError(f"event_time={stream.event_time!r} is text", where=f"stream {stream.name!r}", fix=fix)

    def _check_parts(self) -> None:
        for view in self.views:
            self._known_stream(view.stream, f"view {view.name!r}")
        for model in self.models:
            self._known_stream(model.label.stream, f"the label of model {model.name!r}")
            self._known_stream(model.requests.stream, f"the requests of model {model.name!r}")
            for view in model.views:
                if view not in self.views:
                    raise ProjectError(
                        f"model {model.name!r} reads view {view.name!r}", where=f"project {self.name!r}", fix="add it to views=[...]"
                    )

    @property
    def stream_names(self) -> list[str]:
        """The streams' names, in order."""
        return [stream.name for stream in self.streams]

    @property
    def labels(self) -> dict[str, Label]:
        """By model, what its outcomes are."""
        return {model.name: model.label for model in self.models}

    @property
    def retention_ms(self) -> dict[str, int]:
        """By stream, how old an event may be when it becomes known: the longest need of its views, or its own lateness."""
        retention = {stream.name: stream.allowed_lateness_ms for stream in self.streams}
        for view in self.views:
            retention[view.stream.name] = max(retention[view.stream.name], view.retention_ms)
        return retention

    def stream(self, name: str) -> Stream:
        """The stream of that name.

        Raises:
            NotFoundError: there is none.
        """
        return _find("stream", name, self.streams)

    def view(self, name: str) -> View:
        """The view of that name.

        Raises:
            NotFoundError: there is none.
        """
        return _find("view", name, self.views)

    def model(self, name: str) -> Model:
        """The model of that name.

        Raises:
            NotFoundError: there is none.
        """
        return _find("model", name, self.models)

    def registered_name(self, model: str) -> str:
        """What the registry calls a model of this project."""
        return f"{self.name}.{model}"

    def _known_stream(self, stream: Stream, what: str) -> None:
        if stream not in self.streams:
            raise ProjectError(f"{what} reads stream {stream.name!r}", where=f"project {self.name!r}", fix="add it to streams=[...]")


def _check_names(kind: str, names: Sequence[str], where: str) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise ProjectError(f"the {kind} name {name!r} does not fit everywhere it is used", where=where, fix=_NAME_FIX)
        if names.count(name) > 1:
            raise ProjectError(f"two {kind}s are called {name!r}", where=where, fix="rename one")


def _find(kind: str, name: str, things: Sequence[T]) -> T:
    for thing in things:
        if thing.name == name:
            return thing
    raise NotFoundError(kind, name, [thing.name for thing in things])
