"""What the tests of the made-up examples share: a recording played through the engine, and its features counted again by hand."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import log_loss, roc_auc_score

from tidemill.events import parse_event
from tidemill.features import View, floor_ms
from tidemill.kernels import Floats
from tidemill.learning import Model, TrainingSet, build_training_set
from tidemill.learning.fitting import fit_all, predict
from tidemill.project import Project, Workspace
from tidemill.streams import Entry, Recording

_LEARNT_SHARE = 0.7


@dataclass(frozen=True)
class Played:
    """What the only model of a project may learn from after its recording was played."""

    model: Model
    recording: Recording
    rows: TrainingSet

    def by_hand(self, view: View, feature: str, key: Sequence[str], at_ms: int) -> float:
        """A count, or the mean of a field, of the events known by then: a loop over all of them."""
        one = view.features[feature]
        begin_ms = floor_ms(at_ms, one.bucket_ms) - one.window_ms
        found = [
            fields
            for known_ms, fields in self._events[view.stream.name]
            if begin_ms <= known_ms <= at_ms and [fields[name] for name in view.entity_fields] == list(key)
        ]
        if one.expression is None:
            return len(found)
        values = [fields[str(one.expression.left)] for fields in found]
        return sum(values) / len(values) if values else float("nan")

    def check_by_hand(self, view: View, feature: str, keys: Mapping[str, Mapping[str, Any]], every: int) -> None:
        """Compare a feature of every so many rows with what a loop finds; `keys` has the fields of each question by its label's key."""
        column = self.rows.columns[f"{view.name}__{feature}"]
        for place in range(0, len(self.rows), every):
            fields = keys[self.rows.keys[place]]
            told = self.by_hand(view, feature, [fields[name] for name in view.entity_fields], int(self.rows.at_ms[place]))
            np.testing.assert_allclose(column[place], told, rtol=1e-6, err_msg=f"{view.name}__{feature} of {self.rows.keys[place]}")

    def questions(self) -> dict[str, Mapping[str, Any]]:
        """The fields of each question, by the label's key."""
        return {str(asked.request[self.model.label.key]): asked.request for asked in self.recording.requests()}

    def fitted(self) -> tuple[TrainingSet, Floats]:
        """The newest rows, and what an estimator that has learnt the older ones says of them."""
        cut_ms = int(self.rows.at_ms[int(len(self.rows) * _LEARNT_SHARE)])
        old, new = self.rows.rows(self.rows.at_ms < cut_ms), self.rows.rows(self.rows.at_ms >= cut_ms)
        return new, predict(self.model, fit_all(self.model, old), new.frame())

    @cached_property
    def _events(self) -> dict[str, list[tuple[int, Mapping[str, Any]]]]:
        found = defaultdict(list)
        for event in self.recording.events():
            found[event.stream].append((event.known_at_ms, json.loads(event.payload)))
        return found


def play(project: Project, recording: Recording, home: Path) -> Played:
    """Every event through the log and the engine to the lake; the books must say that each was applied."""
    (model,) = project.models
    with closing(Workspace.open(project, home, durable_log=False)) as workspace:
        entries = [Entry(event.stream, event.payload, event.known_at_ms) for event in recording.events()]
        workspace.log.append(entries, 0)
        workspace.engine().drain(10_000)
        workspace.lake_writer().flush()
        assert {name: books.applied for name, books in workspace.books().items()} == {
            name: counts.applied for name, counts in recording.expected().items()
        }
        rows = build_training_set(model, workspace.lake, workspace.predictions, workspace.now_ms())
    return Played(model, recording, rows)


def check_recording(project: Project, recording: Recording) -> None:
    """Events and questions are what the project's schemas ask for, in the order of time, and the same when told again."""
    told, asked = list(recording.events()), list(recording.requests())
    assert told == list(recording.events())
    assert [event.known_at_ms for event in told] == sorted(event.known_at_ms for event in told)
    assert [question.at_ms for question in asked] == sorted(question.at_ms for question in asked)
    for event in told[:500]:
        parse_event(event.payload, project.stream(event.stream), event.known_at_ms)
    for question in asked[:500]:
        project.model(question.model).request.model_validate_json(json.dumps(question.request), strict=True)


def gain(outcome: Floats, said: Floats) -> float:
    """By how much of it the log loss is less than that of saying the base rate."""
    base = float(log_loss(outcome, np.full(len(outcome), outcome.mean())))
    return 1 - float(log_loss(outcome, said)) / base


def area(outcome: Floats, said: Floats) -> float:
    """The area under the ROC curve."""
    return float(roc_auc_score(outcome, said))
