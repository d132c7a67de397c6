"""What runs on a small file system: a lake that has no room. Ends with 0 when it said so in a word and went on afterwards.

Run it with a folder for the home; the file system is mounted at `lake` in it, and nowhere else.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.unit.events.taps import T0, TAPS, entry, lake_writer, make_engine, open_log, open_state
from tests.unit.stores.full_tables import fill
from tidemill.errors import UnavailableError
from tidemill.stores import Lake

N = 300
FULL = r"lake\S* cannot be written just now: No space left on device; make room, and try again"
_PAGE = 4_096


def main(home: Path) -> None:
    log, state, lake = open_log(home), open_state(home), Lake(home / "lake", [TAPS])
    writer = lake_writer(log, state, lake)
    log.append([entry(f"t{place}", T0, line="a", gate=f"g{place}") for place in range(N)], now_ms=0)
    make_engine(log, state).drain(N)
    filler = home / "lake" / "filler"
    refused = 0
    for spare in range(0, 40 * _PAGE, _PAGE):  # none for a table, none for its data, and none for its history
        fill(filler)
        os.truncate(filler, filler.stat().st_size - spare)
        try:
            assert writer.flush() == N
            break
        except UnavailableError as error:
            assert re.search(FULL, str(error)), error
            refused += 1
        filler.unlink()
    assert refused > 2
    assert lake.held("taps") == N
    state.close()
    log.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
