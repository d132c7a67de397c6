"""Reading features for people and programs: from the tiles and rows, or from the lake for an earlier time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from tidemill.errors import InputError
from tidemill.features import FeatureSource, Table
from tidemill.learning import Moments, values_at
from tidemill.project import Workspace
from tidemill.stores import Lookup, Reading, wait_for_lake

LATEST_MS = 253_402_300_799_999  # the end of the year 9999, which is far enough

Place = Literal["tiles", "rows", "lake"]


@dataclass(frozen=True)
class FeatureAnswer:
    """The features of one key, where they were read and what that had taken; null means missing."""

    view: str
    key: str
    at_ms: int
    source: Place
    position: str
    values: dict[str, float | str | None]


class KeysAsked(BaseModel):
    """A request for the features of many keys; `at` in ms since the epoch, now when left out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    keys: Annotated[list[str], FailFast()] = Field(min_length=1)  # to tell of each wrong one would take gigabytes
    at: int | None = Field(None, ge=0, le=LATEST_MS)

    @classmethod
    def of(cls, body: bytes, most: int) -> KeysAsked:
        """The request of a JSON body with at most `most` keys.

        Raises:
            InputError: not JSON, no keys, too many, or something else beside them; names the place.
        """
        try:
            asked = cls.model_validate_json(body)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "body"
            raise InputError(f'{first["msg"]}; send e.g. {{"keys": ["c7", "c8"]}}', where=where) from error
        if len(asked.keys) > most:
            raise InputError(f"{len(asked.keys)} keys; send at most {most} a request", where="keys")
        return asked


def read_features(workspace: Workspace, view: FeatureSource, key: str, at_ms: int | None) -> FeatureAnswer:
    """The features of `key`, now or at a time; see `read_features_of`."""
    return read_features_of(workspace, view, [key], at_ms)[0]


def read_features_of(workspace: Workspace, view: FeatureSource, keys: Sequence[str], at_ms: int | None) -> list[FeatureAnswer]:
    """The features of each key of a view or table, all at one position: now, or at a time.

    Raises:
        InputError: a key has not as many parts as the entity.
        NotReadyError: the lake does not come up with the tiles in time.
    """
    parts = [split_key(key) for key in keys]
    for key, own in zip(keys, parts, strict=True):
        if len(own) != len(view.entity_fields):
            raise InputError(f"{key!r} has {len(own)} parts; {view.kind} {view.name!r} needs {','.join(view.entity_fields)}", where="key")
    reading = _read_online(workspace, view, keys, at_ms)
    if reading is not None:
        found, source, position = reading.values, place_of(view), reading.position.token
        asked_ms = reading.known_at_ms if at_ms is None else at_ms
    else:
        assert at_ms is not None  # now is always answered online
        wait_for_lake(workspace.state, timeout_s=15)
        in_lake = workspace.state.lake_position()
        columns = {name: np.array([own[place] for own in parts], dtype=object) for place, name in enumerate(view.entity_fields)}
        moments = np.full(len(keys), at_ms, dtype=np.int64)
        found = values_at(view, workspace.lake.dataset(view.stream.name), Moments(moments, moments, columns), "known_at")
        source, position, asked_ms = "lake", in_lake.token, at_ms
    plain = {column.removeprefix(f"{view.name}__"): values.tolist() for column, values in found.items()}
    return [
        FeatureAnswer(view.name, key, asked_ms, source, position, {name: _plain(values[row]) for name, values in plain.items()})
        for row, key in enumerate(keys)
    ]


def place_of(view: FeatureSource) -> Place:
    """Where the values of now are read."""
    return "rows" if isinstance(view, Table) else "tiles"


def _read_online(workspace: Workspace, view: FeatureSource, keys: Sequence[str], at_ms: int | None) -> Reading | None:
    """What tiles and rows say, now or at a time; None for a time before what they have taken."""
    lookups = [Lookup(view.name, keys)]
    if at_ms is None:
        return workspace.state.tiles.read(lookups, 0, or_later=True)
    if at_ms < workspace.state.position_and_time()[1]:
        return None
    reading = workspace.state.tiles.read(lookups, at_ms)
    # an engine may have gone on meanwhile, and dropped what stood at that time
    return reading if at_ms >= reading.known_at_ms else None


def _plain(value: float | str | None) -> float | str | None:
    return None if isinstance(value, float) and math.isnan(value) else value


def split_key(key: str) -> list[str]:
    r"""The parts of a key; a comma or backslash of a part's own stands behind a backslash.

    >>> split_key("EWR,UA")
    ['EWR', 'UA']
    """
    parts, escaped = [""], False
    for letter in key:
        if escaped or letter not in "\\,":
            parts[-1] += letter
            escaped = False
        elif letter == "\\":
            escaped = True
        else:
            parts.append("")
    return parts
