"""Which rows of a stream Evidently and river call drifted.

Argument: `{"stream": file, "first": row, "most": alarms}`; the file is what `benchmarks.drift_peers` wrote: the reference's sample and
the live rows. A method is done when it has alarmed so often from the first row that counts on. Answers `{"alarms": {method: [rows]}}`.
"""

import json
import sys
import warnings

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import DriftedColumnsCount
from river.drift import ADWIN, KSWIN, PageHinkley

WINDOW = 1_000
KSWIN_REMEMBERS = 1_000  # rows before `first` that it is shown: it holds 100, and a test of each row takes it half a millisecond


def evidently(reference: pd.DataFrame, live: pd.DataFrame, first: int, most: int) -> dict[str, list[int]]:
    """The first metric of its drift preset on disjoint windows: any column drifted, and its own verdict, half of them.

    The preset's other metrics are each column's picture, nine tenths of its time. A report it cannot make is an alarm.
    """
    kinds = [name for name in live if name.startswith("k")]
    definition = DataDefinition(numerical_columns=[name for name in live if name not in kinds], categorical_columns=kinds)
    dataset = Dataset.from_pandas(reference, data_definition=definition)
    alarms: dict[str, list[int]] = {"Evidently any column W=1000": [], "Evidently half W=1000": []}
    for end in range(first + WINDOW, len(live) + 1, WINDOW):
        try:
            current = Dataset.from_pandas(live.iloc[end - WINDOW : end].reset_index(drop=True), data_definition=definition)
            value = Report([DriftedColumnsCount()]).run(current, dataset).dict()["metrics"][0]["value"]
            found = [value["count"] >= 1, value["share"] >= 0.5]
        except Exception:  # it raises bare exceptions, for instance on a column that is missing altogether
            found = [True, True]
        for rows, alarm in zip(alarms.values(), found, strict=True):
            if alarm:
                rows.append(end - 1)
        if min(map(len, alarms.values())) >= most:
            break
    return alarms


def river(live: pd.DataFrame, wrong: np.ndarray, first: int, most: int) -> dict[str, list[int]]:
    """Its detectors as they come, one a column and one on the errors."""
    columns = [*(column.tolist() for _, column in live.items()), wrong.astype(float).tolist()]
    of_kswin = max(first - KSWIN_REMEMBERS, 0)
    return {
        "river ADWIN": _watched([ADWIN() for _ in columns], columns, 0, (first, most)),
        "river PageHinkley": _watched([PageHinkley() for _ in columns], columns, 0, (first, most)),
        "river KSWIN": _watched([KSWIN(seed=0) for _ in columns], columns, of_kswin, (first, most)),
    }


def _watched(detectors: list, columns: list[list[float]], begin: int, wanted: tuple[int, int]) -> list[int]:
    """The rows at which any of the detectors alarmed, from the first that counts on and at most so many."""
    rows, (first, most) = [], wanted
    for row in range(begin, len(columns[0])):
        alarmed = False
        for detector, values in zip(detectors, columns, strict=True):
            if values[row] == values[row]:  # a missing value tells them nothing
                detector.update(values[row])
                alarmed |= detector.drift_detected
        if alarmed and row >= first:
            rows.append(row)
            if len(rows) >= most:
                break
    return rows


def main() -> None:
    """Read the argument, print the answer."""
    arguments = json.loads(sys.argv[1])
    with np.load(arguments["stream"]) as stream:
        names = [str(name) for name in stream["names"]]
        reference = pd.DataFrame(stream["reference"], columns=names)
        live = pd.DataFrame(stream["live"], columns=names)
        wrong = stream["wrong"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wanted = arguments["first"], arguments["most"]
        alarms = {**evidently(reference, live, *wanted), **river(live, wrong, *wanted)}
    print(json.dumps({"alarms": alarms}))


if __name__ == "__main__":
    main()
