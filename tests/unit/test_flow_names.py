"""Prefect puts `flows/` first on `sys.path`, so a flow file would hide any module of its name, in every import of its process."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from pathlib import Path

FLOWS = Path(__file__).parents[2] / "flows"
ROOT = FLOWS.parent


def taken(names: Iterable[str]) -> dict[str, str]:
    """The names that something else can be imported by, with where that is."""
    search = [str(ROOT), *(entry for entry in sys.path if Path(entry).resolve() != FLOWS)]
    found: dict[str, str] = {}
    for name in names:
        if name in sys.stdlib_module_names:
            found[name] = "the standard library"
        elif (spec := PathFinder.find_spec(name, search)) is not None:
            found[name] = spec.origin or str(list(spec.submodule_search_locations or []))
    return found


def test_no_flow_hides_another_module() -> None:
    assert taken(path.stem for path in FLOWS.glob("*.py") if path.stem != "__init__") == {}


def test_names_of_libraries_folders_and_tidemill_itself_are_taken() -> None:
    assert set(taken(["json", "prefect", "tidemill", "tasks", "monitoring", "no_such_module"])) == {
        "json",
        "prefect",
        "tidemill",
        "tasks",
        "monitoring",
    }
