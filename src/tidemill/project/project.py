"""A project: everything one file defines."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from tidemill.errors import NotFoundError, ProjectError
from tidemill.events import Keys, Stream
from tidemill.features import FeatureSource, Label, Reaction, Table, View
from tidemill.learning import Model
from tidemill.project.csv_history import CsvHistory
from tidemill.streams import Recording
from tidemill.targets import KINDS, Kind, Target

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")  # folders, SQL columns, URLs and parameters of derived features are made of it
_NAME_FIX = "begin with a letter, then letters, digits and underscores only"

T = TypeVar("T", Stream, View, FeatureSource, Model)


@dataclass(frozen=True)
class Project:
    """Streams, views, tables and models under one name.

    Args:
        name: prefixes registered models, names deployments.
        streams: what events there are.
        views: how they are summed up.
        tables: what is joined by key, with its own history.
        models: what is predicted.
        reactions: what is done when events say so; see `tidemill.on`.
        publish: by kind (`predictions`, `alerts`, `decisions`), where to publish what comes to be from now on.
        recording: makes a recording to replay, for demos and rehearsals; takes the number of days.

    Raises:
        ProjectError: two things of one name, or a part that refers to something not in the project.
    """

    name: str
    streams: Sequence[Stream] = field(kw_only=True)
    views: Sequence[View] = field(default=(), kw_only=True)
    tables: Sequence[Table] = field(default=(), kw_only=True)
    models: Sequence[Model] = field(default=(), kw_only=True)
    reactions: Sequence[Reaction] = field(default=(), kw_only=True)
    publish: Mapping[Kind, Target] = field(default_factory=dict, kw_only=True)
    recording: Callable[..., Recording] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        """Check the declaration."""
        where = f"project {self.name!r}"
        _check_names("project", [self.name], where)
        _check_names("stream", self.stream_names, where)
        _check_names("view", [view.name for view in self.views], where)
        _check_names("view or table", [source.name for source in self.sources], where)
        _check_names("model", [model.name for model in self.models], where)
        _check_names("reaction", [reaction.name for reaction in self.reactions], where)
        for kind in self.publish:
            if kind not in KINDS:
                raise ProjectError(f"publish names {kind!r}, which there is not", where=where, fix=f"choose of {', '.join(KINDS)}")
        self._check_times()
        self._check_parts()
        if isinstance(self.recording, CsvHistory):  # made before the project, which alone knows every key
            object.__setattr__(self, "recording", replace(self.recording, keys=self.keys))

    def _check_times(self) -> None:
        for stream in self.streams:
            if stream.kinds[stream.event_time] == "text":
                fix = "declare it as an aware datetime, or as int: milliseconds since the epoch"
                raise ProjectError(f"event_time={stream.event_time!r} is text", where=f"stream {stream.name!r}", fix=fix)

    def _check_parts(self) -> None:
        for source in self.sources:
            self._known_stream(source.stream, f"{source.kind} {source.name!r}")
        for model in self.models:
            self._known_stream(model.label.stream, f"the label of model {model.name!r}")
            self._known_stream(model.requests.stream, f"the requests of model {model.name!r}")
            self._known_sources(model.sources, f"model {model.name!r}")
        for reaction in self.reactions:
            self._known_stream(reaction.stream, f"reaction {reaction.name!r}")
            self._known_sources(reaction.features, f"reaction {reaction.name!r}")

    @property
    def stream_names(self) -> list[str]:
        """The streams' names, in order."""
        return [stream.name for stream in self.streams]

    @property
    def sources(self) -> list[FeatureSource]:
        """The views, then the tables: where features come from."""
        return [*self.views, *self.tables]

    @property
    def labels(self) -> dict[str, Label]:
        """By model, what its outcomes are."""
        return {model.name: model.label for model in self.models}

    @property
    def retention_ms(self) -> dict[str, int]:
        """By stream, how old an event may be when it becomes known: the longest need of its views and tables, or its own lateness."""
        retention = {stream.name: stream.allowed_lateness_ms for stream in self.streams}
        for source in self.sources:
            retention[source.stream.name] = max(retention[source.stream.name], source.retention_ms)
        return retention

    @property
    def keys(self) -> dict[str, Keys]:
        """By stream, the text fields by whose values something is found again, alone or together: see `MAX_KEY_BYTES`."""
        found: dict[str, list[tuple[str, ...]]] = {stream.name: [(stream.event_id,)] for stream in self.streams}
        for source in self.sources:
            found[source.stream.name].append(tuple(source.entity_fields))
        for model in self.models:
            found[model.label.stream.name].append((model.label.key,))
        for reaction in self.reactions:
            found[reaction.stream.name].append(reaction.once_fields)
        texts = {stream.name: {name for name, kind in stream.kinds.items() if kind == "text"} for stream in self.streams}
        kept = {name: [tuple(field for field in fields if field in texts[name]) for fields in several] for name, several in found.items()}
        return {name: [fields for fields in dict.fromkeys(several) if fields] for name, several in kept.items()}

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

    def source(self, name: str) -> FeatureSource:
        """The view or table of that name.

        Raises:
            NotFoundError: there is none.
        """
        return _find("view or table", name, self.sources)

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

    def _known_sources(self, sources: Sequence[FeatureSource], what: str) -> None:
        for source in sources:
            if source not in self.sources:
                what, fix = f"{what} reads {source.kind} {source.name!r}", f"add it to {source.kind}s=[...]"
                raise ProjectError(what, where=f"project {self.name!r}", fix=fix)


def _check_names(kind: str, names: Sequence[str], where: str) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise ProjectError(f"the {kind} name {name!r} does not fit everywhere it is used", where=where, fix=_NAME_FIX)
        if names.count(name) > 1:
            raise ProjectError(f"two {_several(kind)} are called {name!r}", where=where, fix="rename one")


def _several(kind: str) -> str:
    return " or ".join(f"{word}s" for word in kind.split(" or "))


def _find(kind: str, name: str, things: Sequence[T]) -> T:
    for thing in things:
        if thing.name == name:
            return thing
    raise NotFoundError(kind, name, [thing.name for thing in things])
