"""A registered version: its number, and its files where this machine holds them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tidemill.learning import OnnxModel, Task
from tidemill.pyfunc import About
from tidemill.stores import Class

if TYPE_CHECKING:
    import pandas as pd

ONNX_FILE, PYFUNC_FOLDER, ABOUT_FILE = "model.onnx", "model", "pyfunc.json"  # it is a file, or a folder of MLflow and what is known of it


@dataclass(frozen=True)
class Version:
    """A registered version with its files on this disk."""

    name: str
    number: int
    run_id: str
    folder: Path
    tags: Mapping[str, str]

    @property
    def onnx(self) -> bytes:
        """The model file, of a version that is ONNX."""
        return (self.folder / ONNX_FILE).read_bytes()

    @property
    def about(self) -> About | None:
        """What is known of a version that has code of its own; None of one that is ONNX."""
        file = self.folder / ABOUT_FILE
        return About.from_json(file.read_text()) if file.is_file() else None

    @property
    def answers(self) -> tuple[Task, tuple[Class, ...]]:
        """What it answers, and what its probabilities stand for where it tells several classes apart."""
        known = self.about or OnnxModel(self.onnx, {})
        return known.task, known.classes

    @property
    def reference(self) -> str:
        """JSON of the reference profile."""
        return (self.folder / "reference.json").read_text()

    @property
    def sample(self) -> pd.DataFrame:
        """Rows of the reference."""
        import pandas as pd

        return pd.read_parquet(self.folder / "sample.parquet")
