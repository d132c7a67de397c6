"""Where NannyML's package keeps its data files; the package itself is not imported.

Answers `{"folder": path}`.
"""

import json
from importlib.metadata import files

if __name__ == "__main__":
    data = next(file for file in files("nannyml") or () if file.name == "employment_MA_reference.pq")
    print(json.dumps({"folder": str(data.locate().parent)}))
