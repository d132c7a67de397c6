"""How the inner loops are compiled: by numba, when they are first called, once a machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Tags = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """A function of arrays as machine code, which is kept beside its source and releases the interpreter's lock."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: F) -> F:
    """The same for what runs once a row and is called by compiled functions only: handing arrays over would cost more than the row."""
    return cast(F, numba.njit(inline="always", error_model="numpy")(function))


def forget_older_than_source() -> None:
    """Remove machine code that is older than any file of this package.

    numba compiles a function anew when its own file has changed, but not when that of a function it calls has.
    """
    folder = Path(__file__).parent
    newest_s = max(path.stat().st_mtime for path in folder.glob("*.py"))
    for path in (folder / "__pycache__").glob("*.nbi"):
        if path.stat().st_mtime < newest_s:
            path.unlink(missing_ok=True)


forget_older_than_source()
