"""The estimators of versions that learn by parts, one skops file each in the home of whoever trains; nothing that serves reads them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from tidemill.errors import NotReadyError
from tidemill.learning.by_parts import from_bytes, to_bytes

KEPT = 10


def keep_estimator(home: Path, name: str, version: int, estimator: Any) -> None:
    """Keep the estimator of a version, whole or not at all; of each model the newest ten."""
    folder = home / "estimators" / name
    folder.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=folder, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(to_bytes(estimator))
    Path(scratch).replace(folder / f"{version}.skops")
    for old in sorted(folder.glob("*.skops"), key=lambda path: int(path.stem))[:-KEPT]:
        old.unlink(missing_ok=True)


def read_estimator(home: Path, name: str, version: int) -> Any:
    """The estimator of a version.

    Raises:
        NotReadyError: it is not here, or not to be trusted.
    """
    path = home / "estimators" / name / f"{version}.skops"
    if not path.is_file():
        raise NotReadyError(f"the estimator of version {version} of {name!r} is not in {path.parent}; retrain the model, which keeps it")
    return from_bytes(path.read_bytes(), str(path))
