"""128-bit digests of keys and ids: what tables find rows by. Stable from run to run, so they may be stored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidemill.kernels import Flags, Tags, hash_texts

Texts = Sequence[str | None] | npt.NDArray[np.object_]

# Two hashes that know nothing of each other.
HASH_KEYS = np.frombuffer(b"tidemill/first/2tidemill/second/", dtype=np.uint64).copy()
_ODD_ONLY = np.uint64(1)


def digest_texts(texts: Texts) -> tuple[Tags, Tags, Flags]:
    """The two halves of the digests of n texts, and which of them are not None; (n,) each. SipHash-2-4 under two keys.

    The second half is odd, never 0, which marks a row that was not put; of None both are 0. That two of a million million different
    texts share a digest has a probability of about 3e-15.

    >>> first, second, present = digest_texts(["EWR", "JFK", None])
    >>> present.tolist(), bool((first == second)[present].any()), int(first[2])
    ([True, True, False], False, 0)
    """
    if not len(texts):
        return np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.bool_)
    column = pa.array(texts, type=pa.string())
    _, ends, letters = column.buffers()
    offsets = np.frombuffer(ends, dtype=np.int32, count=len(column) + 1)
    text = np.frombuffer(letters if letters is not None and letters.size else b"\0", dtype=np.uint8)
    for part in (offsets, text):
        part.setflags(write=False)  # some are already; a kernel would be compiled for either
    first, second = hash_texts(text, offsets, HASH_KEYS)
    second |= _ODD_ONLY
    if not column.null_count:
        return first, second, np.ones(len(column), dtype=np.bool_)
    present = column.is_valid().to_numpy(zero_copy_only=False)
    return np.where(present, first, np.uint64(0)), np.where(present, second, np.uint64(0)), present
