"""What a bench has kept is known by the code it follows from, and by no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import code_digest as digests
from benchmarks.code_digest import code_digest


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`made.top` takes `Thing` from a package, which has it from `made.parts.thing` and has a neighbour too."""
    parts = tmp_path / "made" / "parts"
    parts.mkdir(parents=True)
    (tmp_path / "made" / "top.py").write_text("import math\nfrom made.parts import Thing\n")
    (parts / "__init__.py").write_text("from made.parts.neighbour import Other\nfrom made.parts.thing import Thing\n")
    (parts / "thing.py").write_text("class Thing: ...\n")
    (parts / "neighbour.py").write_text("class Other: ...\n")
    monkeypatch.setattr(digests, "_ROOTS", (tmp_path,))
    return parts


@pytest.mark.parametrize(("file", "matters"), [("thing.py", True), ("neighbour.py", False)])
def test_only_what_is_imported_matters(package: Path, file: str, matters: bool) -> None:
    before = code_digest("made.top")
    with (package / file).open("a") as source:
        source.write("# another version\n")
    digests._imported.cache_clear()
    assert (code_digest("made.top") != before) is matters


def test_what_is_left_out_does_not_matter(package: Path) -> None:
    before = code_digest("made.top", without=["made.parts.thing"])
    (package / "thing.py").write_text("class Thing:\n    changed = True\n")
    assert code_digest("made.top", without=["made.parts.thing"]) == before
    assert code_digest("made.top") != before
