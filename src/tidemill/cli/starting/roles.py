"""What each column of a file is for: guessed from names and values, or said by an option; what cannot be guessed is asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tidemill.cli.starting.columns import KEY_NAME, Column, Sample
from tidemill.clock import moment_ms
from tidemill.errors import InputError
from tidemill.learning.task import Task

_MOST_CATEGORIES = 50
_MOST_CLASSES = 20
_LEAST_REPEATS = 1.5
_LABEL_NAME = re.compile(
    r"^(is|has|was)_|(^|_)(label|target|outcome|y|class_?|fraud|fraudulent|churn|churned|refunded|returned|default|defaulted|failed|failure"
    r"|broken|clicked|bought|converted|late|cancelled|canceled|accepted|rejected|fate|result)(_|$)"
)


@dataclass(frozen=True)
class Asked:
    """What options say of columns; empty where they leave it to a guess."""

    keys: tuple[str, ...] = ()
    time: str = ""
    label: str = ""
    label_time: str = ""
    event_id: str = ""
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Roles:
    """What each column is for.

    Args:
        time: when an event happened.
        event_id: what names it; None where the file has no such column.
        keys: what features are about, one view each.
        numbers: fields that are numbers or flags.
        categories: texts of few different values.
        others: texts that are kept with the event, but no model reads.
        label: the outcome; None for features alone.
        label_time: when the outcome was known.
        positive: of an outcome of two texts, the one that is predicted: the rarer.
        notes: what a person should know of the guesses.
    """

    time: Column
    event_id: Column | None
    keys: tuple[Column, ...]
    numbers: tuple[Column, ...]
    categories: tuple[Column, ...]
    others: tuple[Column, ...]
    label: Column | None
    label_time: Column | None
    positive: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def task(self) -> Task:
        """What kind of outcome it is."""
        if self.label is None or self.label.kind == "flag" or self.positive:
            return "binary"
        return "multiclass" if self.label.kind == "text" else "regression"

    @property
    def first_ms(self) -> int:
        """When the sample begins."""
        return min(_moments(self.time))

    @property
    def last_ms(self) -> int:
        """When it ends."""
        return max(_moments(self.time))


def find_roles(sample: Sample, asked: Asked, *, wants_label: bool) -> Roles:
    """What each column is for.

    Raises:
        InputError: names what could not be guessed, what the choices are, and the option that says it.
    """
    ignored = {sample.column(name).name for name in asked.ignored}
    columns = [column for column in sample.columns if column.kind != "empty" and column.name not in ignored]
    named = {name: sample.column(name) for name in (*asked.keys, asked.time, asked.label, asked.label_time, asked.event_id) if name}
    taken = {column.name for column in named.values()}

    def free() -> list[Column]:
        return [column for column in columns if column.name not in taken]

    time = named[asked.time] if asked.time else _guess_time(free(), sample)
    _check_time(time, "--time", sample)
    taken.add(time.name)
    event_id = named[asked.event_id] if asked.event_id else _guess_id(free())
    taken |= {event_id.name} if event_id else set()
    label = (named[asked.label] if asked.label else _guess_label(free(), sample)) if wants_label else None
    taken |= {label.name} if label else set()
    label_time = named[asked.label_time] if asked.label_time else None
    if label_time is not None:
        _check_time(label_time, "--label-time", sample)
    keys = tuple(replace(named[name], is_name=True) for name in asked.keys) or (_guess_key(free(), sample),)
    taken |= {key.name for key in keys}
    rest = free()
    texts = [column for column in rest if column.kind == "text"]
    categories = tuple(column for column in texts if len(column.counts) <= _MOST_CATEGORIES)
    return Roles(
        time=time,
        event_id=event_id,
        keys=keys,
        numbers=tuple(column for column in rest if column.kind in ("number", "whole", "flag")),
        categories=categories,
        others=tuple(column for column in rest if column.kind == "time" or (column in texts and column not in categories)),
        label=label,
        label_time=label_time,
        positive=_positive(label),
        notes=tuple(_notes(sample, event_id, label)),
    )


def _guess_time(columns: Sequence[Column], sample: Sample) -> Column:
    """Of several times the earliest: others tell what came of it later."""
    times = [column for column in columns if column.kind == "time" and not column.has_gaps]
    if not times:
        shown = ", ".join(f"{column.header} ({_no_time_of(column)})" for column in columns[:8])
        what = f"no column tells when an event happened: {shown}; times are ISO 8601 (2026-03-01 10:00), or s or ms since 1970"
        raise InputError(f"{what}. Write them so, or name the column by --time", where=str(sample.file))
    return min(times, key=lambda column: sorted(_moments(column))[len(column.values) // 2])


def _no_time_of(column: Column) -> str:
    """What keeps a column from being one of times: its first value that is none, or that a row has none."""
    values = (value for value in column.counts if moment_ms(value) is None)
    return next(values, "a row has none" if column.has_gaps else next(iter(column.counts)))


def _check_time(column: Column, option: str, sample: Sample) -> None:
    for value in column.counts:
        if moment_ms(value) is None:
            what = f"{option} {column.header}: {value!r} is no time; write ISO 8601 (2026-03-01 10:00), or s or ms since 1970"
            raise InputError(what, where=str(sample.file))


def _guess_id(columns: Sequence[Column]) -> Column | None:
    unique = [column for column in columns if column.is_unique and column.kind in ("text", "whole")]
    by_name = [column for column in unique if re.search(r"(^|_)(id|uuid|key|no|number)$", column.name)]
    return next(iter(by_name or [column for column in unique if column.kind == "text"]), None)


def _guess_key(columns: Sequence[Column], sample: Sample) -> Column:
    texts = [column for column in columns if column.kind == "text" and 2 <= len(column.counts) <= sample.n_rows / _LEAST_REPEATS]
    if not texts:
        there = ", ".join(column.header for column in columns) or "none is left"
        what = f"no column says what an event is about (a customer, a card, a machine): it would be text that repeats; of {there}"
        raise InputError(f"{what}, name one by --key", where=str(sample.file))
    return max(texts, key=lambda column: (KEY_NAME.search(column.name) is not None, len(column.counts)))


def _guess_label(columns: Sequence[Column], sample: Sample) -> Column:
    two = [column for column in columns if column.kind != "time" and len(column.counts) == 2]
    few = [column for column in columns if column.kind == "text" and 2 < len(column.counts) <= _MOST_CLASSES]
    called = [column for column in (*two, *few) if _LABEL_NAME.search(column.name)]
    found = called or [column for column in two if column.kind == "flag"]
    if len(found) == 1:
        return found[0]
    why = f"several may be the outcome: {', '.join(column.header for column in found)}" if found else "no column looks like an outcome"
    there = ", ".join(column.header for column in columns)
    what = f"{why}; name the column to predict by --label, of {there}, or make features alone with --template features"
    raise InputError(what, where=str(sample.file))


def _positive(label: Column | None) -> str:
    if label is None or label.kind != "text" or len(label.counts) != 2:
        return ""
    return label.counts.most_common()[-1][0]


def _notes(sample: Sample, event_id: Column | None, label: Column | None) -> list[str]:
    notes = []
    if event_id is None:
        notes.append("no column is unique, so ids are made of row numbers; live events need an id of their own")
    elif repeated := len(event_id.values) - len(event_id.counts):
        notes.append(f"{event_id.header} repeats, or has no value, in {repeated} of {sample.n_rows} rows: events of one id count once")
    if label is not None and len(label.counts) < 2:
        notes.append(f"{label.header} has one value only in what was looked at: a model needs two to tell apart")
    if sample.n_longer:
        notes.append(f"{sample.n_longer} rows have more values than the first line has names: they are no events, and become dead letters")
    renamed = [f"{column.header} is {column.name}" for column in sample.columns if column.header != column.name]
    if renamed:
        notes.append(f"fields are named in small letters, digits and underscores: {', '.join(renamed)}")
    return notes


def _moments(column: Column) -> list[int]:
    return [found for value in column.values if (found := moment_ms(value)) is not None]
