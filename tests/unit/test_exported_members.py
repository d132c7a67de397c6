"""Each package's `__init__.py` is its table of contents: imports and a sorted `__all__` that names them, nothing else.

That of tidemill itself is `__init__.pyi`, as its names are loaded when they are asked for.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "tidemill"
PACKAGES = sorted({path.parent for path in SOURCE.rglob("*.py")})


def faults(source: str) -> list[str]:
    """What keeps the text of an `__init__.py` from being a table of contents."""
    found: list[str] = []
    imported: set[str] = set()
    exported: list[str] | None = None
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= {alias.asname or alias.name for alias in node.names if _module(node) != "__future__"}
        elif (names := _all_of(node)) is not None:
            exported = names
        elif not _is_docstring(node):
            found.append(f"line {node.lineno}: only imports and __all__ belong here")
    if exported is None:
        return [*found, "no __all__"]
    if exported != sorted(set(exported), key=_order):
        found.append(f"__all__ is not sorted, it should be {sorted(set(exported), key=_order)}")
    if imported != set(exported):
        found.append(f"imported and exported names differ: {sorted(imported ^ set(exported))}")
    return found


def _module(node: ast.Import | ast.ImportFrom) -> str | None:
    return node.module if isinstance(node, ast.ImportFrom) else None


def _all_of(node: ast.stmt) -> list[str] | None:
    """The names of `__all__ = [...]`, with or without an annotation; None for any other statement."""
    if isinstance(node, ast.Assign):
        target: ast.expr = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return None
    if not (isinstance(target, ast.Name) and target.id == "__all__" and node.value is not None):
        return None
    return list(ast.literal_eval(node.value))


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _order(name: str) -> tuple[int, str]:
    """The order the linter gives: constants, classes, functions."""
    return (0 if name.isupper() else 1 if name[:1].isupper() else 2, name)


def test_the_packages_are_found() -> None:
    assert SOURCE in PACKAGES
    assert SOURCE / "stores" in PACKAGES


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(SOURCE.parent)))
def test_a_package_is_a_table_of_contents(package: Path) -> None:
    init = package / ("__init__.pyi" if package == SOURCE else "__init__.py")
    assert init.exists(), f"{package.name} has modules but no __init__.py"
    assert faults(init.read_text()) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("from a import b", "no __all__"),
        ("from a import b, c\n__all__ = ['c', 'b']", "not sorted"),
        ("from a import b, C\n__all__ = ['b', 'C']", "not sorted"),
        ("from a import b\n__all__ = ['b', 'b']", "not sorted"),
        ("from a import b\n__all__ = []", "differ: ['b']"),
        ("__all__ = ['b']", "differ: ['b']"),
        ("__all__ = []\nprint('hello')", "line 2"),
        ("__all__ = []\nlimit = 3", "line 2"),
    ],
)
def test_a_fault_is_found(source: str, fault: str) -> None:
    found = faults(source)
    assert len(found) == 1
    assert fault in found[0]
