"""Which code a kept result follows from: a digest of modules and of all of this repository that they import, directly or not."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

_ROOTS = (Path(__file__).parents[1], Path(__file__).parents[1] / "src")


def code_digest(*modules: str, without: Sequence[str] = ()) -> str:
    """Twelve hexadecimal digits of the source of modules and of what they import; other packages are not looked at.

    What a package's `__init__` only hands on is looked for where it comes from, so that a module does not depend on its neighbours.

    Args:
        modules: their names.
        without: modules that the result does not follow from, though they are imported.

    >>> code_digest("benchmarks.drift_streams") == code_digest("benchmarks.drift_streams", "benchmarks.drift_streams")
    True
    """
    found = {path for module in without for path in _paths(module, None)}
    left_out = set(found)
    waiting = [path for module in modules for path in _paths(module, None)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path)
    digest = hashlib.sha256()
    for path in sorted(found - left_out):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _imported(path: Path) -> list[Path]:
    found: list[Path] = []
    for module, name in _imports(path):
        found += _paths(module, name)
    return found


def _imports(path: Path) -> Iterator[tuple[str, str | None]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)


def _paths(module: str, name: str | None) -> list[Path]:
    """The file that a module is, or the one that a name of a package comes from; none of other packages."""
    for root in _ROOTS:
        place = root.joinpath(*module.split("."))
        if place.with_suffix(".py").is_file():
            return [place.with_suffix(".py")]
        if name is not None and (place / f"{name}.py").is_file():
            return [place / f"{name}.py"]
        init = place / "__init__.py"
        if init.is_file():
            handed_on = [source for source, its_name in _imports(init) if its_name == name]
            return _paths(handed_on[0], name) if handed_on else [init]
    return []
