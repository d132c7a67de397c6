"""The vectors that predictions were made of, as columns again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from tidemill.events import Column
from tidemill.learning import Model
from tidemill.stores import Followed

_BYTES = 8


def has_vector(model: Model, rows: Followed) -> npt.NDArray[np.bool_]:
    """(n,) whether each row's vector was made by today's definitions, and has as many numbers as one has today."""
    length = len(model.number_columns) * _BYTES
    pairs = zip(rows.digests, rows.vectors, strict=True)
    return np.array([digest == model.source_digest and len(vector) == length for digest, vector in pairs], dtype=np.bool_)


def columns_of(model: Model, rows: Followed, which: npt.NDArray[np.bool_], names: Sequence[str]) -> dict[str, Column]:
    """Some columns of the rows that `which` (n,) picks, all of which `has_vector`: numbers as float64, texts as objects."""
    picked = np.flatnonzero(which).tolist()
    numbers = np.frombuffer(b"".join(rows.vectors[place] for place in picked)).reshape(len(picked), -1)
    columns: dict[str, Column] = {name: numbers[:, model.number_columns.index(name)] for name in names if model.columns[name] == "number"}
    texts = [name for name in names if model.columns[name] == "text"]
    if texts:
        read = read_texts(texts, [rows.requests[place] for place in picked], [rows.texts[place] for place in picked])
        columns |= {name: np.array(column, dtype=object) for name, column in read.items()}
    return columns


def read_texts(names: Sequence[str], requests: Sequence[str], texts: Sequence[bytes | None]) -> dict[str, list[str | None]]:
    """The text of each row by column, from its request, or from what was logged beside it.

    >>> read_texts(["port", "maker"], ['{"port": "north"}'], [b'{"maker": "ann"}'])
    {'port': ['north'], 'maker': ['ann']}
    """
    read: list[Mapping[str, Any]] = [
        {**orjson.loads(beside or b"{}"), **orjson.loads(request)} for request, beside in zip(requests, texts, strict=True)
    ]
    return {column: [None if (text := row.get(column)) is None else str(text) for row in read] for column in names}
