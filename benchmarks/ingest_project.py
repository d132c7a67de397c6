"""The payments, copied from the end that `INGEST_END` holds (pickled, in base64); `tidemill work` can load it."""

from __future__ import annotations

import base64
import os
import pickle

from benchmarks.cards import project_of

_END = "INGEST_END"


def environ_of(end: object) -> dict[str, str]:
    """What tells this module of an end; we made it, so it may be unpickled."""
    return {_END: base64.b64encode(pickle.dumps(end)).decode()}


project = project_of(getattr(pickle.loads(base64.b64decode(os.environ[_END])), "source", None)) if _END in os.environ else project_of()
