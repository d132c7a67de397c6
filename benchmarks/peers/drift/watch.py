"""Which rows of some streams Evidently and river call drifted.

Argument: `{"streams": [files], "first": row}`; a file is what `benchmarks.drift_peers` wrote: the reference's sample and the live rows.
With `first`, a method is done at its first alarm from that row on. Answers `{"alarms": [{method: [rows]} for each stream]}`.
"""

import json
import sys
import warnings

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from river.drift import ADWIN, KSWIN, PageHinkley

WINDOW = 1_000


def evidently(reference: pd.DataFrame, live: pd.DataFrame, first: int | None) -> dict[str, list[int]]:
    """Its default preset on disjoint windows: any column drifted, and its own verdict, half of them.

    A report it cannot make is an alarm.
    """
    kinds = [name for name in live if name.startswith("k")]
    definition = DataDefinition(numerical_columns=[name for name in live if name not in kinds], categorical_columns=kinds)
    dataset = Dataset.from_pandas(reference, data_definition=definition)
    alarms: dict[str, list[int]] = {"Evidently any column W=1000": [], "Evidently half W=1000": []}
    for end in range(WINDOW, len(live) + 1, WINDOW):
        if first is not None and end <= first:
            continue
        try:
            current = Dataset.from_pandas(live.iloc[end - WINDOW : end].reset_index(drop=True), data_definition=definition)
            value = Report([DataDriftPreset()]).run(current, dataset).dict()["metrics"][0]["value"]
            found = [value["count"] >= 1, value["share"] >= 0.5]
        except Exception:  # it raises bare exceptions, for instance on a column that is missing altogether
            found = [True, True]
        for rows, alarm in zip(alarms.values(), found, strict=True):
            if alarm:
                rows.append(end - 1)
        if first is not None and all(alarms.values()):
            break
    return alarms


def river(live: pd.DataFrame, wrong: np.ndarray, first: int | None) -> dict[str, list[int]]:
    """Its detectors as they come, one a column and one on the errors."""
    columns = [column.to_numpy(dtype=float) for _, column in live.items()] + [wrong.astype(float)]
    alarms: dict[str, list[int]] = {}
    for name, make in {"ADWIN": ADWIN, "PageHinkley": PageHinkley, "KSWIN": lambda: KSWIN(seed=0)}.items():
        rows: set[int] = set()
        for values in columns:
            detector = make()
            for row, value in enumerate(values.tolist()):
                if value == value:  # a missing value tells them nothing
                    detector.update(value)
                    if detector.drift_detected:
                        rows.add(row)
                        if first is not None and row >= first:
                            break
        alarms[f"river {name}"] = sorted(rows)
    return alarms


def main() -> None:
    """Read the argument, print the answer."""
    arguments = json.loads(sys.argv[1])
    answers = []
    for path in arguments["streams"]:
        with np.load(path) as stream:
            names = [str(name) for name in stream["names"]]
            reference = pd.DataFrame(stream["reference"], columns=names)
            live = pd.DataFrame(stream["live"], columns=names)
            wrong = stream["wrong"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answers.append({**evidently(reference, live, arguments["first"]), **river(live, wrong, arguments["first"])})
    print(json.dumps({"alarms": answers}))


if __name__ == "__main__":
    main()
