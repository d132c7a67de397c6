"""How many different values there are: HyperLogLog.

A value's hash chooses a register and a rank; a register keeps the greatest rank it met. Registers of a union are the greater of both,
so any order and any merging gives the same registers, and the estimate is a function of the registers alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidemill.events import Column
from tidemill.features.sketch import NULL_CODE, Sketch
from tidemill.kernels import Ints

_HASH_KEY = "tidemill: sketch"  # 16 bytes; they may never change, as every stored state depends on them
_RANK_BITS = 6
_SPARSE = np.dtype("<u4")
_PRECISIONS = range(11, 19)  # below 11 the rest of a hash is no whole number that float64 holds; 2**18 registers are 256 KiB


@dataclass(frozen=True)
class Distinct(Sketch):
    """How many different values, about; 0 for none.

    State: empty; below a quarter as many registers met as there are, their codes rising, each 4 bytes; else every register, a byte each.

    Args:
        accuracy: the standard error that is good enough; a better one takes more room (0.02: 4 KiB at most).

    Source: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm", 2007,
    for registers and ranks; Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6, for the estimate,
    which is linear counting where few registers are met, and needs no table of corrections in between.

    >>> distinct = Distinct(0.02)
    >>> distinct.value(distinct.of(distinct.codes(np.array(["a", "b", "a", None], dtype=object))))
    2.0
    """

    accuracy: float

    takes_text = True

    def __post_init__(self) -> None:
        """Refuse an accuracy that no precision has."""
        if not 1.04 / math.sqrt(2 ** _PRECISIONS[-1]) <= self.accuracy < 1:
            raise ValueError(f"accuracy={self.accuracy}: distinct counts within a standard error of 0.0021 to 1, e.g. accuracy=0.02")

    @property
    def precision(self) -> int:
        """How many bits of a hash choose the register."""
        return next(bits for bits in _PRECISIONS if 1.04 / math.sqrt(2**bits) <= self.accuracy)

    @property
    def kind(self) -> str:
        """See `Sketch`."""
        return f"distinct[{self.precision}]"

    def codes(self, values: Column) -> Ints:
        """See `Sketch`; the code is the register times 64 plus the rank."""
        present = np.array([value is not None for value in values], dtype=bool) if values.dtype == object else ~np.isnan(values)
        codes = np.full(len(values), NULL_CODE, dtype=np.int64)
        hashes = hash_values(values[present])
        rest_bits = 64 - self.precision
        registers = (hashes >> np.uint64(rest_bits)).astype(np.int64)
        rest = (hashes & np.uint64(2**rest_bits - 1)).astype(np.float64)  # below 2**53: exact
        codes[present] = registers << _RANK_BITS | (rest_bits + 1 - np.frexp(rest)[1])
        return codes

    def of(self, codes: Ints) -> bytes:
        """See `Sketch`."""
        return self._state(np.unique(codes[codes != NULL_CODE]))

    def merge(self, states: Sequence[bytes]) -> bytes:
        """See `Sketch`."""
        return self._state(np.unique(np.concatenate([self._read(state) for state in (b"", *states)])))

    def value(self, state: bytes) -> float:
        """See `Sketch`."""
        return self._estimate(self._read(state))

    def value_of_counts(self, codes: Ints, counts: Ints) -> float:
        """See `Sketch`; how often a code was met says nothing."""
        return self._estimate(_greatest_ranks(np.unique(codes[codes != NULL_CODE])))

    def _state(self, codes: Ints) -> bytes:
        """The bytes of rising codes."""
        kept = _greatest_ranks(codes)
        if _SPARSE.itemsize * len(kept) < 2**self.precision:
            return kept.astype(_SPARSE).tobytes()
        registers = np.zeros(2**self.precision, dtype=np.uint8)
        registers[kept >> _RANK_BITS] = kept & (2**_RANK_BITS - 1)
        return registers.tobytes()

    def _read(self, state: bytes) -> Ints:
        """The codes of a state, rising, one a register."""
        if len(state) < 2**self.precision:
            return np.frombuffer(state, dtype=_SPARSE).astype(np.int64)
        registers = np.frombuffer(state, dtype=np.uint8).astype(np.int64)
        met = np.flatnonzero(registers)
        return met << _RANK_BITS | registers[met]

    def _estimate(self, codes: Ints) -> float:
        """Ertl's algorithm 6, to the nearest whole number: of m registers with C[k] at rank k, q being the greatest rank but one."""
        m, q = 2**self.precision, 64 - self.precision
        counts = np.bincount(codes & (2**_RANK_BITS - 1), minlength=q + 2).astype(np.float64)
        counts[0] = m - len(codes)
        if counts[0] == m:
            return 0.0
        z = m * _tau(1 - counts[q + 1] / m)
        for k in range(q, 0, -1):
            z = 0.5 * (z + counts[k])
        z += m * _sigma(counts[0] / m)
        return float(np.rint(m * m / (2 * math.log(2) * z)))


def hash_values(values: Column) -> npt.NDArray[np.uint64]:
    """(n,) hashes of text (SipHash with a fixed key) or of float64 (by their bits, -0.0 as 0.0); none may be null.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014, for numbers: the
    generator SplitMix64 with the bits as its state.
    """
    if values.dtype == object:
        from pandas.util import hash_array  # here, as its import takes longer than all others together and most views need none

        hashes: npt.NDArray[np.uint64] = hash_array(values, hash_key=_HASH_KEY)
        return hashes
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ bits >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ bits >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return bits ^ bits >> np.uint64(31)


def _greatest_ranks(codes: Ints) -> Ints:
    """Of rising codes the last of each register."""
    registers = codes >> _RANK_BITS
    return codes[np.append(registers[1:] != registers[:-1], True)] if len(codes) else codes


def _sigma(x: float) -> float:
    """Ertl's x + sum of 2**(k-1) x**(2**k) over k >= 1, for x < 1."""
    total, weight, before = x, 1.0, -1.0
    while total != before:
        before = total
        x *= x
        total += x * weight
        weight += weight
    return total


def _tau(x: float) -> float:
    """Ertl's (1 - x - sum of 2**-k (1 - x**(2**-k))**2 over k >= 1) / 3."""
    if x in (0, 1):
        return 0.0
    total, weight, before = 1 - x, 1.0, -1.0
    while total != before:
        before = total
        x = math.sqrt(x)
        weight *= 0.5
        total -= (1 - x) ** 2 * weight
    return total / 3
