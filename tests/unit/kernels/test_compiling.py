"""The compiled loops: each for one kind of arrays, and anew when any of their sources changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tidemill import kernels
from tidemill.kernels import compiling
from tidemill.kernels.ahead import compile_kernels


def test_all_are_compiled_at_installation() -> None:
    """That none is compiled again for arrays of another kind is seen at the end of the session, by `conftest.py`."""
    compile_kernels()
    kinds = {name: kernel.signatures for name, kernel in vars(kernels).items() if hasattr(kernel, "signatures")}
    assert len(kinds) > 10
    assert all(kinds.values()), kinds


def test_code_older_than_a_source_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "__pycache__").mkdir()
    old, new, source = tmp_path / "__pycache__/old.nbi", tmp_path / "__pycache__/new.nbi", tmp_path / "source.py"
    for path, changed_s in ((old, 1_000), (source, 2_000), (new, 3_000)):
        path.touch()
        os.utime(path, (changed_s, changed_s))
    monkeypatch.setattr(compiling, "__file__", str(tmp_path / "compiling.py"))
    compiling.forget_older_than_source()
    assert not old.exists()
    assert new.exists()


def test_the_loops_do_the_same_as_plain_python() -> None:
    """There an index beyond an array is an error, and not somebody else's memory."""
    some = [str(Path(__file__).parents[2] / name) for name in ("property/test_hash_table.py", "unit/stores/test_tile_read.py")]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "CI": "true"}
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "--no-cov", "-q", "-W", "ignore:overflow:RuntimeWarning", *some],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert told.returncode == 0, told.stdout[-2_000:]


def test_a_state_that_holds_several_columns_together() -> None:
    merges = np.array([kernels.ADD, kernels.SPREAD, kernels.FOLLOWS, kernels.FOLLOWS, kernels.LATEST, kernels.FOLLOWS])
    states = np.array([[1.0, 1, 4, 0, 5, 70], [1.0, 1, 8, 0, 9, 80], [1.0, 0, 0, 0, 9, 75]])
    assert kernels.merge_runs(merges, states, np.array([0, 2])).tolist() == [[2, 2, 6, 8, 9, 80], [1, 0, 0, 0, 9, 75]]
    assert kernels.merge_runs(merges, states, np.array([0])).tolist() == [[3, 2, 6, 8, 9, 80]]
