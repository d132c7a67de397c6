"""The pages of a check beside drift, by Evidently's presets: a summary of the rows, and how well a version has answered."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, MulticlassClassification, Regression, Report
from evidently.core.report import Snapshot
from evidently.presets import ClassificationPreset, DataSummaryPreset, RegressionPreset

from monitoring.checks import Sides, datasets_of
from tidemill.drift.calibration import SAMPLE_ROWS
from tidemill.learning import Model
from tidemill.stores import Judged

logger = logging.getLogger(__name__)

LEAST_ROWS = 100
_OUTCOME, _SAID = "outcome", "prediction"


@dataclass(frozen=True)
class Page:
    """One of Evidently's pages: its name, the page, whole in itself, and the snapshot that a workspace keeps."""

    name: str
    html: str
    snapshot: Snapshot


def page_of(name: str, snapshot: Snapshot) -> Page:
    """A page of a snapshot."""
    return Page(name, snapshot.get_html_str(as_iframe=False), snapshot)


def summary_page(sides: Sides) -> Page | None:
    """What the rows are like beside the reference's, column by column; None where there is no column, or Evidently cannot tell."""
    if not sides.judged:
        return None
    reference, current = datasets_of(sides.judged, sides.frames)
    return _made("summary", lambda: Report([DataSummaryPreset()]).run(current, reference))


def quality_page(model: Model, rows: Judged, *, seed: int = 0) -> Page | None:
    """How well a version has answered the rows whose outcome is known, at most 5,000 of them.

    The reference's rows are not beside them: the version has learnt from those, and looks better on them than it is.

    Args:
        model: whose.
        rows: what one version said, and what came.
        seed: of the sample.

    Returns:
        None of fewer than 100 rows, or where Evidently cannot tell, as of outcomes that are all one.
    """
    if len(rows.outcome) < LEAST_ROWS:
        return None
    chosen = np.sort(np.random.default_rng(seed).permutation(len(rows.outcome))[:SAMPLE_ROWS])
    outcome, said = rows.outcome[chosen], rows.said[chosen]
    if model.objective.kind == "value":
        frame = pd.DataFrame({_OUTCOME: outcome, _SAID: said})
        definition = DataDefinition(regression=[Regression(target=_OUTCOME, prediction=_SAID)])
        return _quality(frame, definition, RegressionPreset())
    if model.objective.kind == "probability":
        frame = pd.DataFrame({_OUTCOME: outcome.astype(np.int64), _SAID: said})
        definition = DataDefinition(classification=[BinaryClassification(target=_OUTCOME, prediction_probas=_SAID)])
        return _quality(frame, definition, ClassificationPreset(probas_threshold=0.5))
    names = np.array([str(one) for one in rows.classes], dtype=object)
    frame = pd.DataFrame({_OUTCOME: names[outcome.astype(np.int64)], _SAID: names[said.argmax(axis=1)]})
    definition = DataDefinition(classification=[MulticlassClassification(target=_OUTCOME, prediction_labels=_SAID)])
    return _quality(frame, definition, ClassificationPreset())


def _quality(frame: pd.DataFrame, definition: DataDefinition, preset: ClassificationPreset | RegressionPreset) -> Page | None:
    return _made("quality", lambda: Report([preset]).run(Dataset.from_pandas(frame, data_definition=definition), None))


def _made(name: str, run: Callable[[], Snapshot]) -> Page | None:
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of constant columns and of classes that nobody predicts, one for each
            return page_of(name, run())
    except Exception as error:  # bare exceptions of every kind; a check is worth more than this page
        logger.warning("no %s page, as Evidently failed: %r", name, error)
        return None
