"""Asking the versions that serve a model."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence

import numpy as np

from tidemill.errors import NoAnswerError, UnavailableError
from tidemill.kernels import Floats
from tidemill.learning import Vectors
from tidemill.serving.loading import Loaded
from tidemill.stores import Role

logger = logging.getLogger(__name__)

_SELDOM_S = 60.0
_LOGGED_S: dict[tuple[str, int], float] = {}  # by model and version


def ask_all(model: str, by: Mapping[Role, Loaded], lots: Sequence[Vectors]) -> dict[Role, Floats]:
    """What each role says of lots of vectors, one lot after the other, and a version that has several roles once.

    A version in a process of its own may be down, and any may fail for some vectors. Then its roles are left out, but for the champion:
    the answer must not depend on what is only tried.

    What the champion says is answered here as it is, NaN too: it is logged, so that its probation sees it.

    Raises:
        UnavailableError: the champion does not answer.
    """
    said: dict[int, Floats] = {}
    for version, held in {held.version: held for held in by.values()}.items():
        try:
            parts = [held.scorer.run(lot) for lot in lots]
            answers = parts[0] if len(parts) == 1 else np.concatenate(parts)
            if version != by["champion"].version and not np.isfinite(answers).all():
                raise NoAnswerError(f"version {version} answers NaN or infinity")
            said[version] = answers
        except Exception as error:
            if version == by["champion"].version:
                raise
            if not isinstance(error, UnavailableError):  # else its process has logged it
                _log_seldom((model, version), error)
    return {role: said[held.version] for role, held in by.items() if held.version in said}


def _log_seldom(which: tuple[str, int], error: Exception) -> None:
    """Log what is wrong with a version that is only tried; it may be so with every question."""
    now_s = time.monotonic()
    if now_s - _LOGGED_S.get(which, -_SELDOM_S) >= _SELDOM_S:
        _LOGGED_S[which] = now_s
        logger.warning("not answered beside the champion model=%s version=%s error=%s: %s", *which, type(error).__name__, error)
