"""When river's ADWIN says that the errors of a model have changed.

Argument: `{"errors": file}`, (n,) 0 or 1 in the order in which the labels became known. Answers `{"found": [label, width] or null}`: the
label at which it first said so, and how many labels back its window then reached.
"""

import json
import sys

import numpy as np
from river.drift import ADWIN


def main() -> None:
    """Read the argument, print the answer."""
    errors = np.load(json.loads(sys.argv[1])["errors"])
    detector, found = ADWIN(), None
    for label, error in enumerate(errors.tolist()):
        detector.update(error)
        if detector.drift_detected:
            found = [label, int(detector.width)]
            break
    print(json.dumps({"found": found}))


if __name__ == "__main__":
    main()
