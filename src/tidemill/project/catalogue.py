"""The feature registry: what views and tables there are, what they mean, who reads them, how fresh and how complete they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import orjson

from tidemill.clock import SECOND_MS, duration_text
from tidemill.events import Column
from tidemill.features import FeatureSource, View
from tidemill.learning import Model
from tidemill.project.definitions import aggregate_text
from tidemill.project.project import Project
from tidemill.project.workspace import Workspace
from tidemill.stores.newest_vectors import Vectors

N_LAST = 3


@dataclass(frozen=True)
class ViewSummary:
    """One view or table.

    Args:
        kind: which of the two.
        name: its own.
        version: of its definition.
        digest: of its definition.
        stream: whose events it sums up, or takes as rows.
        entity: the fields that its keys are made of.
        owner: who answers for it; "" where nobody is named.
        description: what it is for; "" where nothing is said.
        n_features: how many features or columns it has.
        models: of this project that read it.
        whole: whether it knows its whole past; if not, it reads as missing until `tidemill backfill` has filled it.
        last_event_ms: the newest event of its stream that was applied; None before the first.
        freshness_ms: stream time minus that.
        wall_age_ms: the wall clock minus that.
    """

    kind: Literal["view", "table"]
    name: str
    version: int
    digest: str
    stream: str
    entity: tuple[str, ...]
    owner: str
    description: str
    n_features: int
    models: tuple[str, ...]
    whole: bool
    last_event_ms: int | None
    freshness_ms: int | None
    wall_age_ms: int | None


@dataclass(frozen=True)
class FeatureRecord:
    """One feature of a view, or column of a table, and what it was worth in the newest vectors that the models of this project were served.

    Args:
        name: the feature's.
        definition: what it sums up and how, as text; of a column, what it holds.
        window: how far back, as text; "" of a column, which has none.
        bucket: the size of its tiles, as text; "" of a column.
        missing_rate: the share of the vectors in which it is missing; None while there is none.
        last_values: of the newest vectors, newest first; None is missing.
    """

    name: str
    definition: str
    window: str
    bucket: str
    missing_rate: float | None
    last_values: tuple[float | str | None, ...]


@dataclass(frozen=True)
class VersionRecord:
    """A version of a view or table that the home remembers; `first_seen_ms` is stream time, 0 for before the first event."""

    version: int
    digest: str
    first_seen_ms: int


@dataclass(frozen=True)
class ViewDetail(ViewSummary):
    """One view with its features, or table with its columns.

    Args:
        features: in the order of the definition.
        n_served: how many vectors the missing rates and last values are made of: of each model that reads the view, at most those
            of its newest `tidemill.stores.newest_vectors.NEWEST` predictions that were made with today's definitions.
        versions: all that the home remembers under this name, the lowest first.
    """

    features: tuple[FeatureRecord, ...]
    n_served: int
    versions: tuple[VersionRecord, ...]


def list_views(workspace: Workspace, now_wall_ms: int) -> list[ViewSummary]:
    """Every view of the project, then every table, in its order."""
    look = _look(workspace, now_wall_ms)
    return [_summary(look, source) for source in workspace.project.sources]


def describe_views(workspace: Workspace, now_wall_ms: int) -> list[ViewDetail]:
    """Every view and table of the project with its features, in order; the vectors of each model are read once."""
    look = _look(workspace, now_wall_ms)
    vectors = {model.name: _newest(workspace, model) for model in workspace.project.models}
    return [_detail(look, source, vectors, _versions(workspace, source)) for source in workspace.project.sources]


def describe_view(workspace: Workspace, view: FeatureSource, now_wall_ms: int) -> ViewDetail:
    """One view or table of the project with its features."""
    look = _look(workspace, now_wall_ms)
    vectors = {model.name: _newest(workspace, model) for model in look.readers(view)}
    return _detail(look, view, vectors, _versions(workspace, view))


def example_views(project: Project, at_ms: int) -> list[ViewDetail]:
    """Every view and table as it would be described a second after the first event of each stream, while no model was asked."""
    look = _Look(project, at_ms, at_ms, {stream.name: at_ms - SECOND_MS for stream in project.streams}, ())
    return [_detail(look, source, {}, (VersionRecord(source.version, source.digest, at_ms - SECOND_MS),)) for source in project.sources]


@dataclass(frozen=True)
class _Look:
    """What is read once for all."""

    project: Project
    now_ms: int
    now_wall_ms: int
    last_event_ms: Mapping[str, int]
    partial: Sequence[str]

    def readers(self, view: FeatureSource) -> list[Model]:
        return [model for model in self.project.models if view in model.sources]


def _look(workspace: Workspace, now_wall_ms: int) -> _Look:
    state = workspace.state
    return _Look(workspace.project, workspace.now_ms(), now_wall_ms, state.last_event_ms(), state.sets.partial())


def _versions(workspace: Workspace, view: FeatureSource) -> tuple[VersionRecord, ...]:
    remembered = workspace.state.definitions.of(view.name)
    return tuple(VersionRecord(one.version, one.digest, one.first_seen_ms) for one in remembered)


def _summary(look: _Look, view: FeatureSource) -> ViewSummary:
    newest_ms = look.last_event_ms[view.stream.name] or None
    return ViewSummary(
        kind=view.kind,
        name=view.name,
        version=view.version,
        digest=view.digest,
        stream=view.stream.name,
        entity=view.entity_fields,
        owner=view.owner,
        description=view.description,
        n_features=len(view.feature_columns),
        models=tuple(model.name for model in look.readers(view)),
        whole=view.name not in look.partial,
        last_event_ms=newest_ms,
        freshness_ms=None if newest_ms is None else max(0, look.now_ms - newest_ms),
        wall_age_ms=None if newest_ms is None else max(0, look.now_wall_ms - newest_ms),
    )


def _detail(look: _Look, view: FeatureSource, vectors: Mapping[str, Vectors], versions: tuple[VersionRecord, ...]) -> ViewDetail:
    served = _served(view, [(model, vectors[model.name]) for model in look.readers(view) if model.name in vectors])
    texts = _feature_texts(view) if isinstance(view, View) else [(name, f"newest {name}", "", "") for name in view.columns]
    return ViewDetail(
        **vars(_summary(look, view)),
        features=tuple(_record(text, column) for text, column in zip(texts, served, strict=True)),
        n_served=len(served[0]),
        versions=versions,
    )


def _feature_texts(view: View) -> list[tuple[str, str, str, str]]:
    """Of each feature name, definition, window and bucket."""
    return [
        (name, aggregate_text(feature.definition), duration_text(feature.window_ms), duration_text(feature.bucket_ms))
        for name, feature in view.features.items()
    ]


def _record(texts: tuple[str, str, str, str], served: Column) -> FeatureRecord:
    values = [None if isinstance(value, float) and math.isnan(value) else value for value in served.tolist()]
    return FeatureRecord(*texts, missing_rate=values.count(None) / len(values) if values else None, last_values=tuple(values[:N_LAST]))


def _newest(workspace: Workspace, model: Model) -> Vectors:
    return workspace.vectors.read(model.name, model.source_digest, len(model.number_columns))


def _served(view: FeatureSource, read: Sequence[tuple[Model, Vectors]]) -> list[Column]:
    """Of each of its columns the (n,) values in the vectors of several models, newest first."""
    newest_first = np.argsort(-np.concatenate([vectors.at_ms for _, vectors in read] or [np.empty(0, dtype=np.int64)]), kind="stable")
    values = [np.concatenate([_column(model, vectors, name) for model, vectors in read] or [np.empty(0)]) for name in view.feature_columns]
    return [column[newest_first] for column in values]


def _column(model: Model, vectors: Vectors, name: str) -> Column:
    if model.columns[name] == "number":
        return vectors.numbers[:, model.number_columns.index(name)]
    return np.array([orjson.loads(texts or b"{}").get(name) for texts in vectors.texts], dtype=object)
