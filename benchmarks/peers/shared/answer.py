"""A peer's arguments, and what it prints last: one JSON object with its figures over the runs. `benchmarks/peer.py` makes it importable."""

from __future__ import annotations

import json
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any


def arguments(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments handed over as JSON, over the defaults.

    Raises:
        SystemExit: an argument is unknown, or one that has no default (None) is missing.
    """
    given = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    unknown = sorted(set(given) - set(defaults))
    if unknown:
        raise SystemExit(f"unknown arguments {unknown}; known are {sorted(defaults)}")
    found = {**defaults, **given}
    missing = sorted(name for name, value in found.items() if value is None)
    if missing:
        raise SystemExit(f"arguments {missing} are missing; hand them over as JSON")
    return found


def versions(*packages: str) -> dict[str, str]:
    """Python and the given distributions.

    >>> list(versions("pip"))
    ['python', 'pip']
    """
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def spread(values: Sequence[float]) -> dict[str, float]:
    """The median of the runs and their ends.

    >>> spread([3.0, 1.0, 2.0])
    {'median': 2.0, 'min': 1.0, 'max': 3.0}
    """
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def answer(versions: Mapping[str, str], arguments: Mapping[str, Any], runs: Sequence[Mapping[str, float]], **facts: Any) -> None:
    """Print the line: versions, arguments, each run, the spread of every figure of the runs, and other facts."""
    figures = {name: spread([run[name] for run in runs]) for name in runs[0]} if runs else {}
    line = {"versions": dict(versions), "arguments": dict(arguments), "figures": figures, "runs": list(runs), **facts}
    print(json.dumps(line, allow_nan=False), flush=True)
