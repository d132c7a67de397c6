"""The weekly look at the feature columns by Evidently: current rows against the reference, each column by a named, calibrated method."""

from __future__ import annotations

import html as markup
import json
import logging
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tidemill.drift.calibration import SAMPLE_ROWS
from tidemill.drift.reference import ColumnProfile, ReferenceProfile, as_numbers, as_texts

if TYPE_CHECKING:  # it takes seconds to import, and who serves the flows does not report
    from evidently import Dataset
    from evidently.core.report import Snapshot

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Args:
        failed_columns: columns at or above their threshold, sorted.
        values: Evidently's distance of each judged column.
        thresholds: what each had to stay below.
        share: failed columns / judged columns; 0 when none could be judged.
        unjudged: the other columns, and why.
        html: Evidently's page, whole in itself.
        snapshot: Evidently's snapshot, for its workspace; None when none could be judged.
        sides: the rows that were compared.
    """

    failed_columns: tuple[str, ...]
    values: dict[str, float]
    thresholds: dict[str, float]
    share: float
    unjudged: dict[str, str]
    html: str
    snapshot: Snapshot | None
    sides: Sides


@dataclass(frozen=True)
class Sides:
    """The sampled rows of the reference and of now, as Evidently takes them, and the columns that are in both."""

    judged: tuple[ColumnProfile, ...]
    frames: tuple[pd.DataFrame, pd.DataFrame]


def run_check(
    reference: pd.DataFrame, current: pd.DataFrame, profile: ReferenceProfile, columns: Sequence[str] | None = None, *, seed: int = 0
) -> CheckResult:
    """Compare current rows with the reference's.

    Method and threshold are named for every column: Evidently's defaults switch on the reference's size and know nothing of how far
    apart two ordinary weeks are. At most 5,000 sampled rows a side. A column that cannot be judged is named in `unjudged`;
    Evidently itself would end the whole report on it.

    Args:
        reference: sampled training rows, the model's inputs before encoding.
        current: rows of the newest week, the same columns.
        profile: the profile of the training rows; its calibration gives the thresholds.
        columns: those to look at; all of the profile when left out. Time grows with them, about 0.1 s a column.
        seed: of the samples.

    Raises:
        KeyError: a named column is not in the profile.
    """
    wanted = profile.columns if columns is None else tuple(profile.column(name) for name in columns)
    rng = np.random.default_rng(seed)
    sides = [frame.iloc[np.sort(rng.permutation(len(frame))[:SAMPLE_ROWS])] for frame in (reference, current)]
    unjudged: dict[str, str] = {}
    judged: list[ColumnProfile] = []
    clean: list[dict[str, pd.Series]] = [{}, {}]
    for column in wanted:
        try:
            for side, frame, where in zip(clean, sides, ("reference", "current"), strict=True):
                side[column.name] = _clean(column, frame, where)
        except ValueError as error:
            unjudged[column.name] = str(error)
        else:
            judged.append(column)
    old, new = (pd.DataFrame({column.name: side[column.name] for column in judged}) for side in clean)
    judged, snapshot = _report_without_culprits(judged, (old, new), unjudged)
    return _result(Sides(tuple(judged), (old, new)), snapshot, unjudged)


def _clean(column: ColumnProfile, frame: pd.DataFrame, where: str) -> pd.Series:
    """A column as Evidently takes it: float64 or text, missing as NaN, neither object nor nullable, with at least one value."""
    if column.check is None:
        raise ValueError("the reference covers too few whole weeks with values to say how far apart two weeks are")
    if column.name not in frame:
        raise ValueError(f"the {where} rows have no such column")
    raw = frame[column.name]
    values = raw.astype(object).where(raw.notna(), None).to_numpy()
    if column.kind == "numeric":
        numbers = as_numbers(values, column.name)
        cleaned = pd.Series(np.where(np.isfinite(numbers), numbers, np.nan))
    else:
        cleaned = pd.Series(as_texts(values), dtype=object).astype("category")
    if cleaned.notna().sum() == 0:
        raise ValueError(f"every one of the {len(frame)} {where} rows is missing")
    return cleaned


def _report_without_culprits(
    judged: list[ColumnProfile], frames: Sequence[pd.DataFrame], unjudged: dict[str, str]
) -> tuple[list[ColumnProfile], Snapshot | None]:
    """One report of all columns; when Evidently fails, the columns it fails on alone are moved to `unjudged` and the rest reported."""
    if not judged:
        return [], None
    try:
        return judged, _report(judged, frames)
    except Exception as error:  # Evidently raises bare exceptions of every kind, and names no column in them
        logger.warning("evidently failed, looking for the column: %r", error)
    for column in judged:
        try:
            _report([column], frames)
        except Exception as error:
            unjudged[column.name] = f"Evidently cannot judge it: {error!r}"
    rest = [column for column in judged if column.name not in unjudged]
    return rest, _report(rest, frames) if rest else None


def datasets_of(columns: Iterable[ColumnProfile], frames: Sequence[pd.DataFrame]) -> tuple[Dataset, Dataset]:
    """These columns of reference and current rows, each named as what it is."""
    from evidently import DataDefinition, Dataset

    kinds: dict[str, list[str]] = {"numeric": [], "categorical": []}
    for column in columns:
        kinds[column.kind].append(column.name)
    definition = DataDefinition(numerical_columns=kinds["numeric"], categorical_columns=kinds["categorical"])
    names = [*kinds["numeric"], *kinds["categorical"]]
    reference, current = (Dataset.from_pandas(frame[names], data_definition=definition) for frame in frames)
    return reference, current


def _report(columns: Sequence[ColumnProfile], frames: Sequence[pd.DataFrame]) -> Snapshot:
    from evidently import Report
    from evidently.metrics import ValueDrift

    checks = [(column.name, column.check) for column in columns if column.check is not None]
    metrics = [ValueDrift(column=name, method=check.method, threshold=check.threshold) for name, check in checks]
    reference, current = datasets_of(columns, frames)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # it correlates constant columns with themselves, and says so for each
        return Report(metrics, include_tests=True).run(current, reference)


def _result(sides: Sides, snapshot: Snapshot | None, unjudged: dict[str, str]) -> CheckResult:
    if snapshot is None:
        return CheckResult((), {}, {}, 0.0, unjudged, _empty_page(unjudged), None, sides)
    values, failed = {}, set()
    answer = snapshot.dict()
    names = {metric["id"]: metric["config"]["column"] for metric in answer["metrics"]}
    for metric in answer["metrics"]:
        values[names[metric["id"]]] = float(metric["value"])
    for test in answer["tests"]:
        if test["status"].value != "SUCCESS":
            failed.add(names[test["metric_config"]["metric_id"]])
    return CheckResult(
        failed_columns=tuple(sorted(failed)),
        values=values,
        thresholds={column.name: column.check.threshold for column in sides.judged if column.check is not None},
        share=len(failed) / len(values),
        unjudged=unjudged,
        html=snapshot.get_html_str(as_iframe=False),
        snapshot=snapshot,
        sides=sides,
    )


def _empty_page(unjudged: dict[str, str]) -> str:
    reasons = "".join(f"<li>{markup.escape(name)}: {markup.escape(why)}</li>" for name, why in unjudged.items())
    return f"<!doctype html><meta charset='utf-8'><title>Drift check</title><p>No column could be judged.</p><ul>{reasons}</ul>"


def summary_json(result: CheckResult) -> str:
    """A check without its page, as JSON text: what a store or an API keeps."""
    kept = {name: getattr(result, name) for name in ("failed_columns", "values", "thresholds", "share", "unjudged")}
    return json.dumps(kept, allow_nan=False)
