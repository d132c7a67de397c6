"""Hashes of texts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tidemill.kernels.compiling import Tags, compiled, inlined

Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int32]

_ZERO = np.uint64(0)
_V0, _V1 = np.uint64(0x736F6D6570736575), np.uint64(0x646F72616E646F6D)
_V2, _V3 = np.uint64(0x6C7967656E657261), np.uint64(0x7465646279746573)


@inlined
def _rotated(number: np.uint64, left: np.uint64) -> np.uint64:
    return (number << left) | (number >> (np.uint64(64) - left))


@inlined
def _round(v0: np.uint64, v1: np.uint64, v2: np.uint64, v3: np.uint64) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    v0 += v1
    v2 += v3
    v1, v3 = _rotated(v1, np.uint64(13)) ^ v0, _rotated(v3, np.uint64(16)) ^ v2
    v0 = _rotated(v0, np.uint64(32)) + v3
    v2 += v1
    return v0, _rotated(v1, np.uint64(17)) ^ v2, _rotated(v2, np.uint64(32)), _rotated(v3, np.uint64(21)) ^ v0


@inlined
def _word(text: Bytes, at: int) -> np.uint64:
    word = _ZERO
    for byte in range(8):
        word |= np.uint64(text[at + byte]) << np.uint64(8 * byte)
    return word


@inlined
def _last_word(text: Bytes, at: int, end: int) -> np.uint64:
    word = _ZERO
    for byte in range(end - at):
        word |= np.uint64(text[at + byte]) << np.uint64(8 * byte)
    return word


@inlined
def hash_text(text: Bytes, begin: int, end: int, keys: Tags) -> tuple[np.uint64, np.uint64]:
    """SipHash-2-4 of `text[begin:end]` under each of two keys, of two numbers each.

    Both at once, as a hash alone leaves the processor waiting for its own last step.

    Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF", 2012.
    """
    v0, v1, v2, v3 = keys[0] ^ _V0, keys[1] ^ _V1, keys[0] ^ _V2, keys[1] ^ _V3
    w0, w1, w2, w3 = keys[2] ^ _V0, keys[3] ^ _V1, keys[2] ^ _V2, keys[3] ^ _V3
    whole = begin + (end - begin) // 8 * 8
    for at in range(begin, whole + 1, 8):
        word = _word(text, at) if at < whole else _last_word(text, at, end) | np.uint64(end - begin) << np.uint64(56)
        v3, w3 = v3 ^ word, w3 ^ word
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        w0, w1, w2, w3 = _round(w0, w1, w2, w3)
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        w0, w1, w2, w3 = _round(w0, w1, w2, w3)
        v0, w0 = v0 ^ word, w0 ^ word
    v2, w2 = v2 ^ np.uint64(0xFF), w2 ^ np.uint64(0xFF)
    for _ in range(4):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        w0, w1, w2, w3 = _round(w0, w1, w2, w3)
    return v0 ^ v1 ^ v2 ^ v3, w0 ^ w1 ^ w2 ^ w3


@compiled
def hash_texts(text: Bytes, offsets: Offsets, keys: Tags) -> tuple[Tags, Tags]:
    """(n,) `hash_text` of the texts `text[offsets[i]:offsets[i + 1]]`."""
    first, second = np.empty(len(offsets) - 1, np.uint64), np.empty(len(offsets) - 1, np.uint64)
    for place in range(len(first)):
        first[place], second[place] = hash_text(text, int(offsets[place]), int(offsets[place + 1]), keys)
    return first, second
