"""Finding what a home holds of one entity: its events in log and lake, and what was made of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from tidemill.errors import InputError, NotFoundError
from tidemill.events import FORGOTTEN, Stream
from tidemill.project.project import Project
from tidemill.project.workspace import Workspace
from tidemill.stores import OFFSET
from tidemill.stores.forget_match import Entity
from tidemill.stores.forget_rows import count_dead_letters, count_outcomes, dead_letters_of, predictions_of, reactions_of
from tidemill.streams import Position

_AT_ONCE = 10_000


@dataclass
class Found:
    """What there is.

    Args:
        offsets: by stream, the log offsets of its events, whatever became of them.
        newest_ms: by stream, when the last of those that were found in the log became known.
        in_lake: by stream, how many of them the lake holds.
        keys: by view or table whose key holds the field, how many of its keys hold the value.
        dead_letters: by stream, how many of them are dead letters.
        outcomes: by model, how many of them told one.
        predictions: by id, the models of predictions about it.
        reactions: by id, the reactions of matches that tell of it.
        cached: files of values cached for training, of whichever entities.
    """

    offsets: dict[str, set[int]] = field(default_factory=dict)
    newest_ms: dict[str, int] = field(default_factory=dict)
    in_lake: dict[str, int] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)
    dead_letters: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    predictions: dict[int, str] = field(default_factory=dict)
    reactions: dict[str, str] = field(default_factory=dict)
    cached: list[Path] = field(default_factory=list)

    @property
    def all_offsets(self) -> list[int]:
        """Of every stream, rising; streams of one log share its offsets."""
        return sorted(set[int]().union(*self.offsets.values()))

    @property
    def by_model(self) -> dict[str, int]:
        """How many predictions of each model."""
        return dict(Counter(self.predictions.values()))

    @property
    def beside_log(self) -> bool:
        """Whether there is anything of it elsewhere."""
        return bool(self.in_lake or self.dead_letters or self.outcomes or self.predictions or self.reactions)


def check_field(project: Project, entity: Entity) -> None:
    """Refuse a field that names no entity of a project.

    Raises:
        NotFoundError: no stream has it.
        InputError: it is of a type that names nobody.
    """
    kinds = {stream.python_types.get(entity.field) for stream in project.streams} - {None}
    if not kinds:
        known = sorted({name for stream in project.streams for name, kind in stream.python_types.items() if kind is str})
        raise NotFoundError("field of a stream", entity.field, known)
    for kind in kinds - {str, int}:
        said = f"it is a {getattr(kind, '__name__', kind)}, which names no entity; name a text or a whole number"
        raise InputError(said, where=f"field {entity.field!r}")


def find(workspace: Workspace, entity: Entity) -> Found:
    """Look through log, lake, state and predictions; changes nothing."""
    found, databases = Found(), workspace.databases
    names = {stream.name: entity.names_in(stream) for stream in workspace.project.streams}
    for name, offsets in dead_letters_of(databases, entity, names).items():
        found.offsets.setdefault(name, set()).update(offsets)
    _find_in_log(workspace, entity, names, found)
    label_keys: set[str] = set()
    for stream in workspace.project.streams:
        if stream.name in found.offsets or names[stream.name]:
            label_keys |= _find_in_lake(workspace, stream, entity, found)
    letters = {name: count_dead_letters(databases, name, mine) for name, mine in found.offsets.items()}
    found.dead_letters = {name: n for name, n in letters.items() if n}
    outcomes = {
        model: count_outcomes(databases, model, found.offsets.get(label.stream.name, ()))
        for model, label in workspace.project.labels.items()
    }
    found.outcomes = {model: n for model, n in outcomes.items() if n}
    found.predictions = predictions_of(databases, entity, sorted(label_keys))
    found.reactions = reactions_of(databases, entity)
    found.cached = list((workspace.home / "cache").glob("*.arrow"))
    return found


def _find_in_log(workspace: Workspace, entity: Entity, names: Mapping[str, list[str]], found: Found) -> None:
    position = Position({})
    while True:
        records, position = workspace.log.read(position, _AT_ONCE)
        rows = zip(records.streams, records.log_offsets.tolist(), records.known_at_ms, records.payloads, strict=True)
        for stream, offset, known_at_ms, payload in rows:
            if payload != FORGOTTEN and entity.is_in(payload, names.get(stream, [])):
                found.offsets.setdefault(stream, set()).add(offset)
                found.newest_ms[stream] = max(found.newest_ms.get(stream, 0), known_at_ms)
        if not len(records):
            return


def _find_in_lake(workspace: Workspace, stream: Stream, entity: Entity, found: Found) -> set[str]:
    """Events of a stream's table, also such as the log tells otherwise; answers the label keys among them."""
    sources = [one for one in workspace.project.sources if one.stream.name == stream.name and entity.field in one.entity_fields]
    labels = [label.key for label in workspace.project.labels.values() if label.stream.name == stream.name]
    wanted = {name for source in sources for name in source.entity_fields}.union(labels)
    table = _held(workspace, stream, entity, found.offsets.get(stream.name, set()), wanted)
    if len(table):
        found.offsets.setdefault(stream.name, set()).update(table.column(OFFSET).to_pylist())
        found.in_lake[stream.name] = len(table)
    columns = {name: np.array([*table.column(name).to_pylist(), None], dtype=object)[:-1] for name in wanted}
    for source in sources:
        found.keys[source.name] = len(set(source.keys(columns)) - {None})
    return {key for name in labels for key in columns[name] if key is not None}


def _held(workspace: Workspace, stream: Stream, entity: Entity, offsets: Iterable[int], columns: Iterable[str]) -> pa.Table:
    wanted = ds.field(OFFSET).isin(pa.array(sorted(offsets), pa.int64()))
    kind = stream.python_types.get(entity.field)
    if kind is str:
        wanted |= ds.field(entity.field) == entity.value
    if kind is int and entity.value.lstrip("-").isdigit():
        wanted |= ds.field(entity.field) == int(entity.value)
    return workspace.lake.dataset(stream.name).to_table(columns=sorted({OFFSET, *columns}), filter=wanted)


def counted(by_name: Mapping[str, set[int]]) -> dict[str, int]:
    """How many of each."""
    return {name: len(some) for name, some in sorted(by_name.items()) if some}
