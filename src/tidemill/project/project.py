"""A project: everything one file defines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from tidemill.errors import NotFoundError, ProjectError
from tidemill.events import Stream
from tidemill.features import Label, View
from tidemill.learning import Model
from tidemill.streams import Recording

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
        for kind, names in (("stream", self.stream_names), ("view", [v.name for v in self.views]), ("model", [m.name for m in self.models])):
            for name in names:
                if names.count(name) > 1:
                    raise ProjectError(f"two {kind}s are called {name!r}", where=where, fix="rename one")
        for view in self.views:
            self._known_stream(view.stream, f"view {view.name!r}")
        for model in self.models:
            self._known_stream(model.label.stream, f"the label of model {model.name!r}")
            self._known_stream(model.requests.stream, f"the requests of model {model.name!r}")
            for view in model.views:
                if view not in self.views:
                    raise ProjectError(f"model {model.name!r} reads view {view.name!r}", where=where, fix="add it to views=[...]")

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


def _find(kind: str, name: str, things: Sequence[T]) -> T:
    for thing in things:
        if thing.name == name:
            return thing
    raise NotFoundError(kind, name, [thing.name for thing in things])
