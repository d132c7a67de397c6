"""Asking the versions that serve a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tidemill.errors import UnavailableError
from tidemill.kernels import Floats
from tidemill.learning import Vectors
from tidemill.serving.champions import Loaded
from tidemill.stores import Role


def ask_all(by: Mapping[Role, Loaded], lots: Sequence[Vectors]) -> dict[Role, Floats]:
    """What each role says of lots of vectors, one lot after the other, and a version that has several roles once.

    A version in a process of its own may be down. Then its roles are left out, but for the champion: the answer must not depend on
    what is only tried.

    Raises:
        UnavailableError: the champion does not answer.
    """
    said: dict[int, Floats] = {}
    for version, held in {held.version: held for held in by.values()}.items():
        try:
            parts = [held.scorer.run(lot) for lot in lots]
            said[version] = parts[0] if len(parts) == 1 else np.concatenate(parts)
        except UnavailableError:  # its process has logged it
            if version == by["champion"].version:
                raise
    return {role: said[held.version] for role, held in by.items() if held.version in said}
