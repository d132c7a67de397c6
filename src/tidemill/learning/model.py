"""A model as its owner declares it: what it is asked, what it reads, what the outcome is, how it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
from pydantic import BaseModel

from tidemill.errors import ProjectError
from tidemill.events import Column, FieldKind, Stream, to_columns
from tidemill.features import Derived, Expression, FeatureSource, Label, Table, View, in_order
from tidemill.features.fields import check_fields
from tidemill.learning.objective import Objective, objective_of
from tidemill.learning.policy import Monitor
from tidemill.learning.retrain_policy import RetrainPolicy
from tidemill.learning.sampling import Sample
from tidemill.learning.slices import check_slices
from tidemill.learning.task import Metric, Task
from tidemill.learning.vectors import Vectors

Part = str | View | Table | Derived


@dataclass(frozen=True)
class Requests:
    """The history of questions: each event of `stream` is one, asked at `at`. Training reads it for rows that were never served.

    Args:
        stream: whose fields hold those of the model's request.
        at: when the question is asked, in ms since the epoch, e.g. `col("scheduled_departure") - HOUR_MS`.

    Raises:
        ProjectError: `at` reads what is no time or number of the stream.
    """

    stream: Stream
    at: Expression

    def __post_init__(self) -> None:
        """Check the declaration."""
        check_fields(self.at, self.stream, f"requests on stream {self.stream.name!r}, at")


@dataclass(frozen=True)
class Model:
    """One prediction task.

    Args:
        name: unique in the project.
        request: a pydantic model of what is asked.
        requests: where past questions are found.
        features: what the model reads, in order: a field of the request by name, a view (all its features), a table (all its columns), or
            `derive(...)`.
        label: the outcome.
        estimator: makes a fresh scikit-learn estimator that takes a pandas frame of the features: a classifier, or for a number a
            regressor. One of several classes it is given as a whole number.
        task: `"binary"`, `"multiclass"` or `"regression"`; left out where the label tells it: a condition is binary, a text multiclass.
        metric: what the gate compares, smaller is better: `"log_loss"`, or for a number `"squared_error"` or `"absolute_error"`.
        monitor: how drift is watched.
        policy: what the loop may do.
        slices: text columns of the vector, e.g. `("origin",)`. Quality is told apart by their values, and on none that has rows enough may
            a challenger be worse.
        sample: the share of questions learnt from, by their label's key.
        canary_by: the field of the request by whose values a canary's share is drawn, e.g. a customer, who is then always answered by one
            version; left out it is the label's key.

    Raises:
        ProjectError: a feature that the request cannot feed, a label key or a `canary_by` that it lacks, an estimator that is no
            function, or a task that does not fit the label.
    """

    name: str
    request: type[BaseModel] = field(kw_only=True)
    requests: Requests = field(kw_only=True)
    features: Sequence[Part] = field(kw_only=True)
    label: Label = field(kw_only=True)
    estimator: Callable[[], Any] = field(kw_only=True)
    task: Task | None = field(default=None, kw_only=True)
    metric: Metric | None = field(default=None, kw_only=True)
    monitor: Monitor = field(default_factory=Monitor, kw_only=True)
    policy: RetrainPolicy = field(default_factory=RetrainPolicy, kw_only=True)
    slices: tuple[str, ...] = field(default=(), kw_only=True)
    sample: float = field(default=1.0, kw_only=True)
    canary_by: str | None = field(default=None, kw_only=True)
    objective: Objective = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the declaration."""
        where = f"model {self.name!r}"
        fields = self.request_kinds
        if self.label.key not in fields:
            raise ProjectError(
                f"the label's key {self.label.key!r} is not in the request", where=where, fix="add it, or choose another key"
            )
        for missing in set(fields) - set(self.requests.stream.kinds):
            fix = f"add {missing!r} to stream {self.requests.stream.name!r}, or make it a feature"
            raise ProjectError(f"request field {missing!r} has no history", where=where, fix=fix)
        if self.canary_key not in fields:
            raise ProjectError(f"canary_by={self.canary_by!r} is not in the request", where=where, fix=f"choose of {', '.join(fields)}")
        self._check_features(where)
        if not callable(cast("object", self.estimator)):
            fix = "write estimator=lambda: ..., each fit takes a fresh one"
            raise ProjectError("the estimator is one, and nothing that makes one", where=where, fix=fix)
        object.__setattr__(self, "objective", objective_of(self.label, self.task, self.metric, where))
        try:
            Sample(self.sample)
        except ValueError as error:
            raise ProjectError(str(error), where=where, fix="leave sample out to learn from all") from error

    def _check_features(self, where: str) -> None:
        fields = self.request_kinds
        for part in self.features:
            if isinstance(part, str) and part not in fields:
                raise ProjectError(f"{part!r} is not a field of the request", where=where, fix=f"choose of {', '.join(fields)}")
        self._check_keys(where)
        check_slices(self.slices, self.columns, where)
        readable = set(fields) | {column for source in self.sources for column in source.feature_columns}
        for derived in self.derived:
            for name in derived.parameters:
                if name not in readable:
                    fix = "name a request field, view__feature, table__column or another derived feature"
                    raise ProjectError(f"derive({derived.name}) reads {name!r}", where=where, fix=fix)
            readable.add(derived.name)

    def _check_keys(self, where: str) -> None:
        for source in self.sources:
            for name in source.entity_fields:
                if self.request_kinds.get(name) != "text":
                    what = f"{source.kind} {source.name!r} is read by {name!r}, which is not a text field of the request"
                    raise ProjectError(what, where=where, fix=f"add {name!r} to {self.request.__name__}, or leave the {source.kind} out")

    @cached_property
    def request_kinds(self) -> dict[str, FieldKind]:
        """The kind of each request field."""
        return dict(Stream(f"{self.name} requests", schema=self.request, event_time=self.label.key, event_id=self.label.key).kinds)

    @cached_property
    def sources(self) -> list[FeatureSource]:
        """The views and tables it reads, in order."""
        return [part for part in self.features if isinstance(part, View | Table)]

    @cached_property
    def views(self) -> list[View]:
        """The views it reads."""
        return [part for part in self.features if isinstance(part, View)]

    @cached_property
    def derived(self) -> list[Derived]:
        """Its derived features, each after those it reads."""
        return in_order(part for part in self.features if isinstance(part, Derived))

    @cached_property
    def columns(self) -> dict[str, FieldKind]:
        """The vector: each column's name and kind, in order; times count as numbers."""
        columns: dict[str, FieldKind] = {}
        for part in self.features:
            if isinstance(part, str):
                columns[part] = "text" if self.request_kinds[part] == "text" else "number"
            elif isinstance(part, View | Table):
                columns |= part.column_kinds
            else:
                columns[part.name] = "number"
        return columns

    @cached_property
    def number_columns(self) -> list[str]:
        """The vector's columns that hold numbers."""
        return [name for name, kind in self.columns.items() if kind == "number"]

    @property
    def canary_key(self) -> str:
        """The field of the request by whose values a canary's share is drawn."""
        return self.canary_by or self.label.key

    @cached_property
    def source_digest(self) -> str:
        """The digests of its views and tables, joined: what a prediction's vector was defined by."""
        return "-".join(source.digest for source in self.sources)

    def request_columns(self, requests: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
        """The fields of valid requests as columns; see `to_column`."""
        return to_columns(requests, self.request_kinds)

    @cached_property
    def logged_texts(self) -> list[str]:
        """The vector's text columns that are not in the request, so that they are logged beside its numbers."""
        return [name for name, kind in self.columns.items() if kind == "text" and name not in self.request_kinds]

    @cached_property
    def text_columns(self) -> list[str]:
        """The vector's columns that hold texts."""
        return [name for name, kind in self.columns.items() if kind == "text"]

    def assemble(self, request: Mapping[str, Column], values: Mapping[str, Column]) -> dict[str, Column]:
        """The vectors of n requests, by column in order; see `vectors`.

        Returns:
            float64 with NaN for missing, text as objects with None.
        """
        columns = self.vectors(request, values).by_column()
        return {name: columns[name] for name in self.columns}

    def vectors(self, request: Mapping[str, Column], values: Mapping[str, Column]) -> Vectors:
        """The vectors of n requests.

        Args:
            request: (n,) columns of the request's fields.
            values: (n,) columns of the views' features, by `view__feature`, and of the tables, by `table__column`.

        Returns:
            Numbers are rounded to float32, as the served model reads float32 and training must see the same numbers.
        """
        columns: dict[str, Column] = {**request, **values}
        for derived in self.derived:
            columns[derived.name] = derived.compute(columns)
        singles = np.array([columns[name] for name in self.number_columns], dtype=np.float32)
        return Vectors(self.number_columns, singles, {name: columns[name] for name in self.text_columns})
