"""Watches what one model's champions were asked and what they said: it warns, and names columns that nothing should be learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tidemill.drift import ColumnChange, ColumnWarning, FeatureDrift, Heat, ReferenceProfile
from tidemill.drift.reference import WINDOW_ROWS
from tidemill.learning import Model, vectors_of
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving.conditions import NO_HARM_KNOWN, column_condition, columns_standing
from tidemill.stores import Alert, Served

_BATCH = 5_000


class FeatureWatch:
    """Feeds the feature detectors of the champion's reference; their state, the warnings and the cursor are saved in one transaction.

    What is saved as `windows:MODEL` also holds what people and the guard read: `columns`, `active`, `provisional`, and `faults`, a list
    of `{"column", "what", "since_ms"}` for each column that stands still or is missing altogether; `heat`, which goes on over versions,
    and `shapes`, see `tidemill.drift.heat` and `shape`.
    """

    def __init__(self, workspace: Workspace, registry: Registry, model: Model) -> None:
        self._workspace = workspace
        self._registry = registry
        self._model = model
        self._name = f"windows:{model.name}"
        self._held: tuple[int, int, FeatureDrift] | None = None  # up to which prediction, of which version: making them anew costs more

    def step(self) -> list[ColumnWarning]:
        """Take the predictions made since the last step; answers the warnings they raised."""
        raised: list[ColumnWarning] = []
        while True:
            cursor, state = self._workspace.monitors.load(self._name)
            served = self._workspace.predictions.served(self._model.name, after_id=cursor, limit=_BATCH)
            if not len(served.ids):
                return raised
            version = int(served.versions[0])
            others = np.flatnonzero(served.versions != version)
            served = served.rows(np.arange(others[0] if len(others) else len(served.ids)))
            drift = self._drift(cursor, version, state)
            self._held = None  # until they are saved as they are then
            heat = Heat.from_state((state or {}).get("heat"))
            warnings = self._take(drift, served, heat)
            before = (state or {}).get("shapes") if state and state["version"] == version else None
            self._workspace.monitors.save(
                self._name,
                cursor,
                int(served.ids[-1]),
                {"version": version, "detector": drift.state(), **shown(drift, before), "heat": heat.state()},
                alerts=[self._alert(warning, version) for warning in warnings],
                conditions=[columns_standing(self._model.name, version, (one.column for one in drift.active), int(served.at_ms[-1]))],
            )
            self._held = int(served.ids[-1]), version, drift
            raised.extend(warnings)

    def _take(self, drift: FeatureDrift, served: Served, heat: Heat) -> list[ColumnWarning]:
        """Window by window, so that each is seen in the heat map; how rows are split changes nothing else."""
        columns = vectors_of(self._model, served)
        warnings: list[ColumnWarning] = []
        for first in range(0, len(served.ids), WINDOW_ROWS):
            rows = slice(first, first + WINDOW_ROWS)
            here = {name: values[rows] for name, values in columns.items()}
            warnings += drift.update(here, served.at_ms[rows], served.scores[rows])
            heat.take(int(served.at_ms[rows][-1]), levels(drift))
        heat.warn(ColumnChange(warning.column, warning.since_ms, warning.at_ms) for warning in warnings)
        return warnings

    def _profile(self, version: int) -> ReferenceProfile:
        name = self._workspace.project.registered_name(self._model.name)
        return ReferenceProfile.from_json(self._registry.load(name, version).reference)

    def _drift(self, cursor: int, version: int, state: dict[str, Any] | None) -> FeatureDrift:
        """As it was saved; a new one for another version, and where an older release saved another kind of state."""
        if self._held is not None and self._held[:2] == (cursor, version):
            return self._held[2]
        profile, budget = self._profile(version), self._model.monitor.budget
        if state is not None and state["version"] == version and "bets" in state["detector"]:
            return FeatureDrift.from_state(profile, state["detector"], budget)
        return FeatureDrift(profile, budget)

    def _alert(self, warning: ColumnWarning, version: int) -> Alert:
        return Alert(
            key=f"{self._name}:{version}:{warning.column}:{warning.at_ms}",
            model=self._model.name,
            severity="warning",
            title=f"{self._model.name}: {warning.column} has moved",
            body=f"{warning.detail}; it warns only",
            link="",
            at_ms=warning.at_ms,
            since_ms=warning.since_ms,
            harm=NO_HARM_KNOWN,
            condition=column_condition(self._model.name, version, warning.column),
        )


def levels(drift: FeatureDrift) -> dict[str, float]:
    """How near each column is to a warning, 1 is there: by its last window or its bet, whichever is nearer."""
    pairs = [(name, drift.windows.statistics.get(name), limit) for name, limit in drift.windows.thresholds.items()]
    pairs += [(name, bet, limit) for name, (bet, limit) in drift.bets.statistics.items()]
    found = {warning.column: 1.0 for warning in drift.active}
    for name, value, limit in pairs:
        if value is not None and limit:
            found[name] = max(found.get(name, 0.0), value / limit)
    return found


def shown(drift: FeatureDrift, shapes_before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the page, the command line and the guard read of the detectors, as plain JSON values.

    Args:
        drift: the detectors.
        shapes_before: the distributions as they were shown last; they stay until there is another complete window.
    """
    significance, bets = drift.windows.significance, drift.bets.statistics
    thresholds = drift.windows.thresholds
    columns: list[dict[str, Any]] = []
    for column in dict.fromkeys([*thresholds, *bets]):
        bet, bet_level = bets.get(column, (None, None))
        seen = significance.get(column)
        columns.append(
            {
                "column": column,
                "statistic": drift.windows.statistics.get(column),
                "threshold": thresholds.get(column),
                "bet": bet,
                "bet_threshold": bet_level,
                "psi": None if seen is None else seen.psi,
                "q": None if seen is None else seen.q,
            }
        )
    faults = drift.checks.faults
    active = [vars(warning).copy() for warning in drift.active]
    shapes = drift.windows.shapes or dict(shapes_before or {})
    return {"provisional": drift.provisional, "columns": columns, "active": active, "faults": faults, "shapes": shapes}
