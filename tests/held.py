"""Versions that a home holds as if a server had loaded them from MLflow before: what a server starts from while MLflow is down."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from tests import tiny
from tidemill.drift import profile_reference
from tidemill.learning import OnnxModel, TrainingSet, to_input
from tidemill.learning.export import export
from tidemill.project import Workspace
from tidemill.registry import Named, snapshot
from tidemill.registry.named import hold_aliases
from tidemill.stores.held_versions import held_folder


def hold_version(workspace: Workspace, number: int, rows: TrainingSet) -> OnnxModel:
    """Fit the project's first model on rows, and keep it as a version; answers its scorer."""
    model = workspace.project.models[0]
    frame = rows.frame()
    fitted = model.estimator().fit(to_input(model, frame), model.objective.target(rows.outcome))
    content = export(model, fitted, frame.head(50)).content
    scorer = OnnxModel(content, model.columns)
    folder = held_folder(workspace.home, workspace.project.registered_name(model.name), number)
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(content)
    profile = profile_reference(rows.columns, np.asarray(scorer.score(rows.columns)), rows.at_ms)
    (folder / "reference.json").write_text(profile.to_json())
    (folder / "version.json").write_text(json.dumps({"run_id": f"r{number}", "tags": {}}))
    return scorer


def name_versions(workspace: Workspace, versions: Mapping[str, int], canary_percent: float = 5.0) -> None:
    """What the aliases named when MLflow was up."""
    name = workspace.project.registered_name(workspace.project.models[0].name)
    hold_aliases(workspace.home, name, Named(versions, canary_percent))


def hold_champion(workspace: Workspace) -> None:
    """A day of the tiny project, and a champion that has learnt from it."""
    tiny.live(workspace, 0, 1)
    hold_version(workspace, 1, snapshot(workspace, tiny.LATE_ORDER))
    name_versions(workspace, {"champion": 1}, 0.0)
