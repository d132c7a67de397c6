"""Reading tiles: the edges of windows, several windows over one bucket size, generations, and keys that hold nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.events.taps import T0, TAPS, entry, open_log
from tidemill.clock import DAY_MS, MINUTE_MS
from tidemill.features import View, count, mean
from tidemill.stores import Lookup, MappedState, SqlState
from tidemill.streams import Engine

QUARTER = View(
    "quarter",
    TAPS,
    entity="line",
    features={"n": count(over="15min", bucket="5min"), "fare": mean("fare", over="15min", bucket="5min")},
)
NESTED = View("nested", TAPS, entity="line", features={f"n_{size}": count(over=f"{size}min", bucket="5min") for size in (5, 15, 60)})
TAPPED = (-20, -15, -10, -5, 0, 5)  # minutes around T0; so many taps in each that a sum tells which were counted


def state_of(home: Path, *views: View) -> SqlState:
    log, retention_ms = open_log(home), {"taps": DAY_MS}
    state = MappedState(home / "state.db", views, {}, retention_ms)
    taps = [(place, number) for place, _ in enumerate(TAPPED) for number in range(2**place)]
    log.append([entry(f"t{place}-{number}", T0 + TAPPED[place] * MINUTE_MS, T0, line="a", fare=1.0) for place, number in taps], now_ms=0)
    Engine(log, state, [TAPS], retention_ms).drain(7)
    return state


@pytest.mark.parametrize(
    ("at_ms", "minutes"),
    [
        (T0, (-15, -10, -5, 0)),
        (T0 + 5 * MINUTE_MS - 1, (-15, -10, -5, 0)),
        (T0 + 5 * MINUTE_MS, (-10, -5, 0, 5)),
        (T0 + 20 * MINUTE_MS, (5,)),
        (T0 + 25 * MINUTE_MS, ()),
        (T0 + DAY_MS, ()),
    ],
)
def test_a_value_reads_from_the_first_to_the_last_bucket_of_its_window(tmp_path: Path, at_ms: int, minutes: tuple[int, ...]) -> None:
    state = state_of(tmp_path, QUARTER)
    values = state.tiles.read([Lookup("quarter", ["a"])], at_ms).values
    assert values["quarter__n"].tolist() == [sum(2 ** TAPPED.index(minute) for minute in minutes)]
    np.testing.assert_array_equal(values["quarter__fare"], [1.0 if minutes else np.nan])
    state.close()


def test_a_reading_may_be_of_when_the_newest_event_became_known(tmp_path: Path) -> None:
    state = state_of(tmp_path, QUARTER)
    lookups = [Lookup("quarter", ["a"])]
    newest = state.tiles.read(lookups, T0)
    assert newest.known_at_ms == T0 and newest.values["quarter__n"].tolist() != [0.0]
    for at_ms, want in ((0, T0), (T0 + 5 * MINUTE_MS, T0 + 5 * MINUTE_MS)):
        got = state.tiles.read(lookups, at_ms, or_later=True)
        assert got.values["quarter__n"].tolist() == state.tiles.read(lookups, want).values["quarter__n"].tolist()
    assert state.tiles.read(lookups, 0).values["quarter__n"].tolist() != newest.values["quarter__n"].tolist(), "the times differ"
    state.close()


def test_windows_over_one_bucket_size_are_read_apart(tmp_path: Path) -> None:
    state = state_of(tmp_path, NESTED)
    values = state.tiles.read([Lookup("nested", ["b", "a"])], T0 + 5 * MINUTE_MS).values
    assert {name: column.tolist() for name, column in values.items()} == {
        "nested__n_5": [0, 0b110000],
        "nested__n_15": [0, 0b111100],
        "nested__n_60": [0, 0b111111],
    }
    state.close()


def test_keys_without_tiles_are_missing_not_zero(tmp_path: Path) -> None:
    state = state_of(tmp_path, QUARTER)
    values = state.tiles.read([Lookup("quarter", [None, "a", "b"])], T0).values
    assert values["quarter__n"].tolist() == [0, 0b11110, 0]
    np.testing.assert_array_equal(values["quarter__fare"], [np.nan, 1.0, np.nan])
    state.close()


def test_views_asked_for_different_keys_are_read_together(tmp_path: Path) -> None:
    state, at_ms = state_of(tmp_path, QUARTER, NESTED), T0 + 5 * MINUTE_MS
    state.tiles.read([Lookup("nested", ["a"])], at_ms)  # and now remembered
    asked = [Lookup("quarter", ["b", "a", "b", None, "a"]), Lookup("nested", ["a"])]
    for _ in range(2):
        values = state.tiles.read(asked, at_ms).values
        assert {name: column.tolist() for name, column in values.items() if name != "quarter__fare"} == {
            "quarter__n": [0, 0b111100, 0, 0, 0b111100],
            "nested__n_5": [0b110000],
            "nested__n_15": [0b111100],
            "nested__n_60": [0b111111],
        }
        np.testing.assert_array_equal(values["quarter__fare"], [np.nan, 1.0, np.nan, np.nan, 1.0])
    assert {
        name: column.shape for name, column in state.tiles.read([Lookup("quarter", []), Lookup("nested", ["a"])], at_ms).values.items()
    } == {
        "quarter__n": (0,),
        "quarter__fare": (0,),
        "nested__n_5": (1,),
        "nested__n_15": (1,),
        "nested__n_60": (1,),
    }
    state.close()


def test_keys_of_any_letters_and_lengths_are_found(tmp_path: Path) -> None:
    log, retention_ms = open_log(tmp_path), {"taps": DAY_MS}
    state = MappedState(tmp_path / "state.db", [QUARTER], {}, retention_ms)
    keys = ["", "a", "sieben.", "acht Zei", "neun Zeic", "é", "日本語", "🚂" * 9]
    log.append([entry(f"{number}-{tap}", T0, T0, line=key) for number, key in enumerate(keys) for tap in range(number + 1)], now_ms=0)
    Engine(log, state, [TAPS], retention_ms).drain(7)
    values = state.tiles.read([Lookup("quarter", keys)], T0).values
    assert values["quarter__n"].tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    state.close()
