"""Where the files of model versions are held in a home, once a process has loaded them from MLflow; a version never changes."""

from __future__ import annotations

from pathlib import Path


def held_folder(home: Path, name: str, number: int) -> Path:
    """The folder of one version of a registered model; it need not be there."""
    return home / "models" / name / str(number)


def held_reference(home: Path, name: str, number: int) -> str | None:
    """JSON of the version's reference, without asking MLflow; None if the version is not held here."""
    try:
        return (held_folder(home, name, number) / "reference.json").read_text()
    except FileNotFoundError:
        return None
