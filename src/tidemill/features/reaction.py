"""Reactions: what is done once a condition on an event, or on the features of its entities, holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from operator import and_
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from tidemill.clock import duration_ms
from tidemill.errors import ProjectError
from tidemill.events import Column, Columns, EventBatch, FieldKind, Stream
from tidemill.features.expressions import Expression
from tidemill.features.fields import Readable, check_fields
from tidemill.features.table import FeatureSource, Table
from tidemill.features.view import View
from tidemill.features.windows import check_duration

FOR_GOOD_MS = 2**62  # later than any stream time


@dataclass(frozen=True)
class Reaction:
    """Starts a Prefect deployment, or calls a webhook, when a condition on an applied event holds; written `on(stream, ...)`.

    Args:
        stream: whose events are looked at, each once.
        name: unique in the project.
        when: the condition, on fields of the event and on columns of `features`, e.g. `col("by_card__n_10m") >= 5`; null is not true.
        features: views and tables, read by the event's own fields: the entity of each is a text field of the stream.
        run: the Prefect deployment to start, `"FLOW/DEPLOYMENT"`.
        webhook: or the URL to POST to.
        webhook_env: or the environment variable that holds it; for a URL that nobody should read.
        once_per: the field, or the fields together, that one reaction is for; left out, each event has its own.
        within: for how long, in stream time (`known_at`), a reaction is the only one of its `once_per`; left out, for good.
        parameters: what the run or the webhook is given: by parameter, the field of the event or the column of `features`.

    Raises:
        ProjectError: what it names is not there or of the wrong kind, or it does not say what to do.
    """

    stream: Stream
    name: str = field(kw_only=True)
    when: Expression = field(kw_only=True)
    features: Sequence[FeatureSource] = field(default=(), kw_only=True)
    run: str = field(default="", kw_only=True)
    webhook: str = field(default="", kw_only=True)
    webhook_env: str = field(default="", kw_only=True)
    once_per: str | Sequence[str] = field(default=(), kw_only=True)
    within: str | int | None = field(default=None, kw_only=True)
    parameters: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        """Check the declaration."""
        where = f"reaction {self.name!r}"
        self._check_features(where)
        self._check_when(where)
        self._check_target(where)
        self._check_once(where)
        known = {**self.stream.kinds, **self.feature_kinds}
        for parameter, name in self.parameters.items():
            if name not in known:
                what = f"parameter {parameter!r} reads {name!r}, which is neither a field of stream {self.stream.name!r} nor a feature"
                raise ProjectError(what, where=where, fix=f"choose of {', '.join(known)}")

    def _check_features(self, where: str) -> None:
        if isinstance(self.features, View | Table):
            raise ProjectError(f"features is one {self.features.kind}", where=where, fix=f"write features=[{self.features.name}]")
        for source in self.features:
            for name in source.entity_fields:
                if self.stream.kinds.get(name) != "text":
                    what = f"{source.kind} {source.name!r} is read by {name!r}, which is not a text field of stream {self.stream.name!r}"
                    raise ProjectError(what, where=where, fix=f"add {name!r} to {self.stream.schema.__name__}, or leave it out of features")
        for name in self.feature_kinds:
            if name in self.stream.kinds:
                raise ProjectError(f"{name!r} is a field of the event and a feature", where=where, fix="rename one of them")

    def _check_when(self, where: str) -> None:
        when: object = self.when  # whatever a project file may say
        if not isinstance(when, Expression) or not (when.is_condition or when.operator == "col"):
            what = when.text if isinstance(when, Expression) else repr(when)
            raise ProjectError(f"when={what} is not a condition", where=where, fix="write e.g. when=col('amount') > 100")
        types = {name: str if kind == "text" else float for name, kind in self.feature_kinds.items()}
        kinds, python_types = {**self.stream.kinds, **self.feature_kinds}, {**self.stream.python_types, **types}
        check_fields(self.when, Readable(self.stream.name, kinds, python_types), f"{where}, when", "flag")

    def _check_target(self, where: str) -> None:
        given = [name for name in ("run", "webhook", "webhook_env") if getattr(self, name)]
        if len(given) != 1:
            what = f"{' and '.join(given)} are given" if given else "it does not say what to do"
            raise ProjectError(what, where=where, fix="give one of run='FLOW/DEPLOYMENT', webhook='https://...', webhook_env='NAME'")
        if self.run and not (self.run.count("/") == 1 and all(self.run.split("/"))):
            raise ProjectError(f"run={self.run!r} is no deployment", where=where, fix="write run='FLOW/DEPLOYMENT', as Prefect names it")
        if self.webhook:
            parts = urlsplit(self.webhook)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise ProjectError(f"webhook={self.webhook!r} is no URL", where=where, fix="write e.g. webhook='https://example.org/hook'")
            if parts.password or parts.username:
                raise ProjectError("the webhook holds a password", where=where, fix="put the URL into the environment: webhook_env='NAME'")

    def _check_once(self, where: str) -> None:
        for name in self.once_fields:
            if name not in self.stream.kinds:
                what = f"once_per {name!r} is not a field of stream {self.stream.name!r}"
                raise ProjectError(what, where=where, fix=f"choose of {', '.join(self.stream.kinds)}")
        if self.within is not None:
            check_duration(self.within, "within", where)
            if not self.once_per:
                raise ProjectError("within says nothing without once_per", where=where, fix="add e.g. once_per='card', or leave it out")

    @cached_property
    def once_fields(self) -> tuple[str, ...]:
        """The fields that one reaction is for; the event's id where none are given."""
        named = (self.once_per,) if isinstance(self.once_per, str) else tuple(self.once_per)
        return named or (self.stream.event_id,)

    @property
    def target(self) -> str:
        """What it does, for a person; a webhook without its path, which may be a secret."""
        if self.run:
            return f"run {self.run}"
        return f"webhook ${self.webhook_env}" if self.webhook_env else f"webhook {urlsplit(self.webhook).netloc}"

    @cached_property
    def feature_kinds(self) -> dict[str, FieldKind]:
        """The columns of its features, in order, and what they hold."""
        return {name: kind for source in self.features for name, kind in source.column_kinds.items()}

    def until_ms(self, at_ms: int) -> int:
        """The stream time up to which a reaction to an event known at `at_ms` is the only one of its `once_per`."""
        if not self.once_per:
            return at_ms  # the engine applies an id once
        return FOR_GOOD_MS if self.within is None else at_ms + duration_ms(self.within)

    def may_hold(self, batch: EventBatch) -> npt.NDArray[np.bool_]:
        """(n,) whether the condition may hold as far as the events alone say; features need be read for no others."""
        if self._event_part is None:
            return np.ones(len(batch), dtype=np.bool_)
        return np.equal(self._event_part.evaluate(batch.columns(self._event_part.names)), 1)

    def holds(self, batch: EventBatch, features: Columns) -> npt.NDArray[np.bool_]:
        """(n,) whether the condition holds, given (n,) columns of its features."""
        columns: dict[str, Column] = batch.columns(self.when.names & set(self.stream.kinds))
        return np.equal(self.when.evaluate({**features, **columns}), 1)

    @cached_property
    def _event_part(self) -> Expression | None:
        """Those of the conditions joined by `&` that read the event alone; None where there are none."""
        mine = [part for part in _conjuncts(self.when) if part.names <= set(self.stream.kinds)]
        return reduce(and_, mine) if mine else None


on = Reaction  # as it reads in a project file: on(payments, when=..., run=...)


def take_first(keys: Sequence[str], at_ms: Sequence[int], reaction: Reaction, held_until_ms: MutableMapping[str, int]) -> list[int]:
    """The places of those matches that a reaction follows: none while an earlier one is the only one of its `once_per`.

    Args:
        keys: (n,) the `once_per` values of each match, in the order of the log.
        at_ms: (n,) when each became known.
        reaction: whose matches.
        held_until_ms: by key, up to when an earlier reaction is the only one; brought up to date.
    """
    taken = []
    for place, key in enumerate(keys):
        if at_ms[place] >= held_until_ms.get(key, at_ms[place]):
            held_until_ms[key] = reaction.until_ms(at_ms[place])
            taken.append(place)
    return taken


def _conjuncts(condition: Expression) -> Iterator[Expression]:
    if condition.operator != "and":
        yield condition
        return
    for side in (condition.left, condition.right):
        if isinstance(side, Expression):
            yield from _conjuncts(side)
