"""What runs on a small file system: an engine whose tables have to grow where there is no room. Ends with 0 when it went on afterwards.

Run it with a folder for the home; the file system is mounted at `state.tables` in it, and nowhere else.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.unit.events.taps import T0, entry, make_engine, open_log, open_state
from tidemill.errors import UnavailableError
from tidemill.stores import Lookup

N_FIRST, N_REST = 300, 5_000
FULL = r"state\.tables/[^/]+ cannot be written just now: No space left on device; make room, and try again"


def main(home: Path) -> None:
    log, state = open_log(home), open_state(home)
    log.append([entry(f"t{place}", T0, line="a", gate=f"g{place}") for place in range(N_FIRST)], now_ms=0)
    engine = make_engine(log, state)
    assert engine.drain(N_FIRST) == N_FIRST
    log.append([entry(f"u{place}", T0, line="a", gate=f"h{place}") for place in range(N_REST)], now_ms=0)
    tables = home / "state.tables"
    before = named(tables)
    filler = tables / "filler"
    fill(filler)
    for _ in range(3):
        with pytest.raises(UnavailableError, match=FULL):
            make_engine(log, state).drain(N_REST)
        assert named(tables) == before, "nothing half is left"
        assert state.books(log)["taps"].applied == N_FIRST
        assert n_all(state) == N_FIRST
    filler.unlink()
    assert make_engine(log, state).drain(N_REST) == N_REST
    assert n_all(state) == N_FIRST + N_REST
    assert state.known_until("taps", ["t0", "u7", "nobody"]).min() == -1
    state.close()
    log.close()


def fill(filler: Path) -> None:
    """Write until there is no room."""
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4_096))
        except OSError:
            return


def named(tables: Path) -> tuple[bytes, dict[str, int]]:
    """The catalog, and the sizes of the files that it is about."""
    sizes = {path.name: path.stat().st_size for path in tables.iterdir() if path.suffix in (".index", ".rows", ".new")}
    return (tables / "catalog.json").read_bytes(), sizes


def n_all(state: object) -> float:
    values = state.tiles.read([Lookup("by_line", ["a"])], T0).values  # type: ignore[attr-defined]
    return float(values["by_line__n_all"][0])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
