"""How every benchmark reports: a table for people, and as the last line of stdout one JSON object for programs."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

_WIDTH = 240  # of what is printed into a file: a table is not cut there


@dataclass(frozen=True)
class Report:
    """What a benchmark found.

    Args:
        bench: its name.
        packages: the distributions whose versions matter.
        figures: what was measured, with units in the names.
        ratios: what was compared, free of the machine.
        peer_versions: of what ran beside it.
    """

    bench: str
    packages: Sequence[str]
    figures: Mapping[str, Any]
    ratios: Mapping[str, Any] = field(default_factory=dict)
    peer_versions: Mapping[str, str] = field(default_factory=dict)

    def versions(self) -> dict[str, str]:
        """Ours and the peers'."""
        return versions(self.packages) | dict(self.peer_versions)

    def to_json(self) -> str:
        """The last line."""
        return json.dumps(
            {
                "bench": self.bench,
                "machine": machine(),
                "versions": self.versions(),
                "figures": dict(self.figures),
                "ratios": dict(self.ratios),
            },
            allow_nan=False,
        )


def machine() -> dict[str, Any]:
    """What it ran on."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 2**30, 1),
    }


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Python and the given distributions.

    >>> sorted(versions(["numpy"]))
    ['numpy', 'python']
    """
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def show(report: Report, header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str] = ()) -> None:
    """Print the table, what it ran on, the notes and the JSON line."""
    table = Table(*header, box=None, title=f"bench {report.bench}", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(table)
    for note in (_ran_on(report), *notes):
        console.print(note, highlight=False)
    print(report.to_json())


def _ran_on(report: Report) -> str:
    found = machine()
    where = f"{found['system']}, {found['cpu']}, {found['cores']} cores, {found['memory_gb']} GB"
    return f"{where}; {', '.join(f'{name} {number}' for name, number in report.versions().items())}"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or "unknown")
