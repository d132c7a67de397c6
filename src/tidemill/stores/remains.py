"""Files that still hold a text: what a deletion has not reached, or was not meant to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tidemill.stores.forget_match import Entity

SHORTEST = 4  # letters; a shorter text is found by chance everywhere
_CHUNK = 1 << 20
_MLFLOW = "a training sample, profile or report of MLflow: it goes with its model version or run (delete that, then `mlflow gc`)"
_WHY = {
    "artifacts": _MLFLOW,
    "models": "a copy of what MLflow holds of a model version; remove the folder once that is deleted, it is fetched again when needed",
    "estimators": "what a model that learns by parts goes on from; remove the folder and retrain",
    "evidently": "a report of Evidently's; it goes with the twentieth check after it, or remove the folder",
    "mlflow.db": "parameters or tags of a run in MLflow; delete that run, then `mlflow gc`",
    "prefect": "a flow run's parameters or logs; delete that run in Prefect",
    "logs": "what services printed; remove the file when they are ended",
    "loop.db": "the text of an alert or the evidence of a decision, kept for the audit",
}
_ELSEWHERE = "another field or event holds the same text"


@dataclass(frozen=True)
class Remain:
    """Where the text still is: the file or folder of a home, how many files, and why or until when."""

    where: str
    files: int
    why: str


def remains(home: Path, entity: Entity, *, changed: bool) -> list[Remain]:
    """Look through every file of a home.

    Args:
        home: whose.
        entity: whose value is looked for; too short a one is not.
        changed: look also where the value is deleted, to see that it is gone; else only at what a deletion does not reach.
    """
    if len(entity.value) < SHORTEST:
        return []
    found: dict[str, int] = {}
    for path in _files(home):
        top = path.relative_to(home).parts[0].removesuffix("-wal")
        if (changed or top in _WHY) and _holds(path, entity):
            found[top] = found.get(top, 0) + 1
    return [Remain(top, count, _WHY.get(top, _ELSEWHERE)) for top, count in sorted(found.items())]


def _files(home: Path) -> Iterator[Path]:
    return (path for path in sorted(home.rglob("*")) if path.is_file() and not path.name.endswith(("-shm", ".lock")))


def _holds(path: Path, entity: Entity) -> bool:
    try:
        if path.suffix == ".parquet" and _column_holds(path, entity):
            return True
        return _bytes_hold(path, [form.encode() for form in entity.written])
    except FileNotFoundError:
        return False


def _bytes_hold(path: Path, forms: list[bytes]) -> bool:
    kept = max(map(len, forms)) - 1
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            text = tail + chunk
            if any(form in text for form in forms):
                return True
            tail = text[-kept:]
    return False


def _column_holds(path: Path, entity: Entity) -> bool:
    """Parquet packs its texts, so they are read."""
    file = pq.ParquetFile(path)
    names = [field.name for field in file.schema_arrow if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)]
    batches = file.iter_batches(columns=names) if names else iter(())
    return any(pc.any(pc.equal(column, entity.value)).as_py() for batch in batches for column in batch.columns)
