"""The order of events of one time: by event id, as numpy and DuckDB both know it.

An id's key is 54 bytes, compared as unsigned bytes:
```
 |first 42 bytes of its UTF-8, filled up with zeros|their number, 43 for more|11 bytes of its SHA-256, zeros up to 42|
```
So ids sort as their UTF-8 bytes do, which is how DuckDB compares text; only those that agree in 42 bytes, and have more, go by a digest.

A tile is a row of float64, so it holds a key as nine whole numbers of 6 bytes each, which float64 holds exactly. Eight bytes a number
would be shorter, but some of them are NaN as float64, which no store and no library promises to keep bit by bit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

TEXT_BYTES = 42
DIGEST_BYTES = 11
WORD_BYTES = 6
WORDS = (TEXT_BYTES + 1 + DIGEST_BYTES) // WORD_BYTES
_PLACES = 256.0 ** np.arange(WORD_BYTES - 1, -1, -1)


def order_words(event_ids: Sequence[str]) -> npt.NDArray[np.float64]:
    """(n, WORDS) whole numbers below 2**48 that, compared one after the other, sort as the ids do.

    >>> a, b, e = order_words(["ev-1", "ev-2", "ev-10"])
    >>> bool(a[0] < e[0] < b[0])
    True
    """
    keys = np.array([_key(event_id) for event_id in event_ids], dtype=f"S{WORDS * WORD_BYTES}")
    as_bytes = keys.view(np.uint8).reshape(len(event_ids), WORDS, WORD_BYTES)
    words: npt.NDArray[np.float64] = as_bytes.astype(np.float64) @ _PLACES
    return words


def id_sql(column: str) -> str:
    """DuckDB SQL of the same 54 bytes, a blob: what `first` and `last` expect as the column `id_`.

    Args:
        column: SQL of the id, a text.
    """
    text = f"(encode({column}) || unhex('{'00' * TEXT_BYTES}'))[1:{TEXT_BYTES}]"
    length = f"unhex(printf('%02X', least(strlen({column}), {TEXT_BYTES + 1})))"
    digest = f"unhex(sha256({column})[1:{2 * DIGEST_BYTES}])"
    return f"({text} || {length} || case when strlen({column}) > {TEXT_BYTES} then {digest} else unhex('{'00' * DIGEST_BYTES}') end)"


def _key(event_id: str) -> bytes:
    text = event_id.encode()
    if len(text) > TEXT_BYTES:
        return text[:TEXT_BYTES] + bytes((TEXT_BYTES + 1,)) + hashlib.sha256(text).digest()[:DIGEST_BYTES]
    return text.ljust(TEXT_BYTES, b"\0") + bytes((len(text),))  # numpy fills up with zeros
