"""What a learner of river says of each row, having learnt every label that was known by then.

Argument: `{"stream": file, "learner": "ARF" or "HAT", "said": file}`. The stream holds (n_rows, n_columns) `table`, `texts` (n_columns,)
whether a column is of categories, (n_rows,) `outcome`, `at_ms` rising and `known_at_ms`, and `first`, the first row that is asked.
Writes (n_rows - first,) probabilities of 1. Both learners are as they come; ARF leans on ADWIN for its drift, as HAT does.
"""

import json
import sys

import numpy as np
from river.forest import ARFClassifier
from river.tree import HoeffdingAdaptiveTreeClassifier

LEARNERS = {"ARF": lambda: ARFClassifier(seed=0), "HAT": lambda: HoeffdingAdaptiveTreeClassifier(seed=0)}


def said_of(learner: object, stream: dict[str, np.ndarray]) -> np.ndarray:
    """Ask and teach in the order of time."""
    texts = stream["texts"].tolist()
    rows = [
        {place: str(value) if text else value for place, (value, text) in enumerate(zip(row, texts, strict=True)) if value == value}
        for row in stream["table"].tolist()
    ]
    outcome, at_ms, known_at_ms = (stream[name].tolist() for name in ("outcome", "at_ms", "known_at_ms"))
    order = np.argsort(stream["known_at_ms"], kind="stable").tolist()
    first, taught, said = int(stream["first"]), 0, []
    for asked in range(first, len(rows)):
        while taught < len(order) and known_at_ms[order[taught]] <= at_ms[asked]:
            learner.learn_one(rows[order[taught]], int(outcome[order[taught]]))
            taught += 1
        said.append(learner.predict_proba_one(rows[asked]).get(1, 0.0))
    return np.array(said)


def main() -> None:
    """Read the argument, write the answer."""
    arguments = json.loads(sys.argv[1])
    with np.load(arguments["stream"]) as stored:
        stream = {name: stored[name] for name in stored}
    said = said_of(LEARNERS[arguments["learner"]](), stream)
    np.save(arguments["said"], said)
    print(json.dumps({"rows": len(said)}))


if __name__ == "__main__":
    main()
