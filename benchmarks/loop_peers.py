"""river beside ours in `make bench NAME=loop`: its learners on a stream, its ADWIN on a model's errors; and where NannyML's data is."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.loop_policies import Played, judged
from benchmarks.peer import Limits, run_peer
from tidemill.cli.reference import Year

_SECONDS = 6 * 3_600.0
LEARNERS = {"river ARF": "ARF", "river HAT": "HAT"}


@cache
def employment_folder() -> Path:
    """The folder of NannyML's data files in the peer's environment."""
    return Path(run_peer("loop", "where.py", {})["folder"])


def river_adwin(errors: npt.NDArray[np.float64]) -> tuple[int, int] | None:
    """The label at which ADWIN first says that the errors have changed, and how far back its window then reaches; None if it never does."""
    with tempfile.TemporaryDirectory(prefix="loop-") as folder:
        file = Path(folder) / "errors.npy"
        np.save(file, errors)
        found = run_peer("loop", "adwin.py", {"errors": str(file)}, Limits(seconds=_SECONDS))["found"]
    return None if found is None else (int(found[0]), int(found[1]))


def river_learner(year: Year, learner: str) -> Played:
    """A learner of river's that has learnt every label known before each question; it counts no fits, as it never stops."""
    rows, live = year.rows, year.live
    kinds = year.model.columns
    columns = [_numbers(rows.columns[name], kinds[name] == "text") for name in kinds]
    with tempfile.TemporaryDirectory(prefix="loop-") as folder:
        stream, said = Path(folder) / "stream.npz", Path(folder) / "said.npy"
        np.savez(
            stream,
            table=np.column_stack(columns),
            texts=[kind == "text" for kind in kinds.values()],
            outcome=rows.outcome,
            at_ms=rows.at_ms,
            known_at_ms=year.known_at_ms,
            first=int(np.flatnonzero(live)[0]),
        )
        arguments = {"stream": str(stream), "learner": LEARNERS[learner], "said": str(said)}
        run_peer("loop", "learn.py", arguments, Limits(seconds=_SECONDS))
        return judged(rows.outcome[live], np.load(said), 0)


def _numbers(column: npt.NDArray[np.generic], text: bool) -> npt.NDArray[np.float64]:
    """As they are, or the place of each text among all, which is a category to the learner; a missing one is NaN."""
    if not text:
        return np.asarray(column, dtype=np.float64)
    known = {value: float(place) for place, value in enumerate(dict.fromkeys(column.tolist())) if value is not None}
    return np.array([known.get(value, np.nan) for value in column.tolist()])
