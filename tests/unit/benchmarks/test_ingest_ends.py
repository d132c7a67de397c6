"""What is put into an end of the ingest benchmark is what its source brings, and what its client reads alone."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import pytest

from benchmarks.cards import draw_payments, payments
from benchmarks.ingest_ends import CopiedEnd, Folder
from benchmarks.ingest_lakes import DeltaRows, Parquet
from benchmarks.ingest_tables import in_sqlite
from tidemill.events import Copied

TEXTS = [json.dumps(json.loads(text), sort_keys=True) for text in draw_payments(30, 5).payloads()]
ENDS: dict[str, Callable[[Path], AbstractContextManager[CopiedEnd]]] = {
    "files": lambda folder: nullcontext(Folder(folder / "in")),
    "parquet": lambda folder: nullcontext(Parquet(folder / "in")),
    "delta": lambda folder: nullcontext(DeltaRows(folder / "in")),
    "table": lambda folder: in_sqlite(folder, "payments"),
    "outbox": lambda folder: in_sqlite(folder, "outbox"),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_is_put_comes_out(tmp_path: Path, name: str) -> None:
    with ENDS[name](tmp_path) as end:
        end.put(TEXTS[:20])
        end.close()
        other: CopiedEnd = pickle.loads(pickle.dumps(end))  # as the process of the load gets it
        other.put(TEXTS[20:])
        other.close()
        assert end.read_alone() == len(TEXTS)
        with closing(end.source.open(payments, Copied("", lambda name: False))) as reader:
            found: list[str] = []
            while len(found) < len(TEXTS):
                arrived = reader.read(1_000)
                found += arrived.payloads if arrived is not None else ()
        fields = [{field: json.loads(text)[field] for field in json.loads(TEXTS[0])} for text in found]
        assert sorted(json.dumps(some, sort_keys=True) for some in fields) == sorted(TEXTS)
        end.close()
