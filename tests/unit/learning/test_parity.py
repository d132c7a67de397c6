"""Served vectors against history: a planted mismatch is found and named."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from tests import tiny
from tidemill import count
from tidemill.clock import HOUR_MS, MINUTE_MS
from tidemill.learning import Model, Parity, check_parity
from tidemill.project import Workspace
from tidemill.registry import audit_parity
from tidemill.stores import Answered, Lookup
from tidemill.streams import Entry, Position

MODEL = tiny.LATE_ORDER
N = 30


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    """Six hours of the tiny project, with a prediction after each of some events, from the tiles as they stood."""
    opened = Workspace.open(tiny.project, tmp_path)
    entries = tiny.history(0, 1)[:480]
    engine = opened.engine()
    for begin in range(0, len(entries), len(entries) // N):
        some = entries[begin : begin + len(entries) // N]
        opened.log.append(some, 0)
        engine.drain(1_000)
        ask(opened, f"q{begin}", (some[-1].known_at_ms or 0) + 1)
    opened.lake_writer().flush()
    yield opened
    opened.close()


def ask(workspace: Workspace, key: str, at_ms: int) -> None:
    """Log what a server would, with no model behind it."""
    request = tiny.Question(order_id=key, shop="a", amount=12.5)
    columns = MODEL.request_columns([request.__dict__])
    reading = workspace.state.tiles.read([Lookup("by_shop", ["a"])], at_ms)
    vector = MODEL.assemble(columns, reading.values)
    numbers = np.column_stack([vector[name] for name in MODEL.number_columns])
    said = {"champion": (1, np.array([0.5]))}
    digest, token = MODEL.source_digest, reading.position.token
    workspace.predictions.write(Answered(MODEL.name, at_ms, at_ms, token, digest, [key], [request.model_dump_json()], numbers, said))  # type: ignore[arg-type]  # a literal key


def check(workspace: Workspace, model: Model = MODEL, from_ms: int = 0) -> Parity:
    return check_parity(model, workspace.lake, workspace.predictions.sample(model.name, 1_000, 0, from_ms))


def test_what_the_tiles_served_is_what_the_lake_says(workspace: Workspace) -> None:
    found = check(workspace)
    assert (found.checked, found.mismatches, found.lag_skew) == (N, (), 0.0)
    served = workspace.predictions.served(MODEL.name)
    assert served.numbers[:, MODEL.number_columns.index("by_shop__n_3h")].max() > 5, "nothing but zeros would prove nothing"


@pytest.mark.parametrize(("column", "wrong"), [("by_shop__n_3h", 1.0), ("by_shop__mean_delay_3h", float("nan"))])
def test_a_planted_mismatch_is_named(workspace: Workspace, column: str, wrong: float) -> None:
    place = MODEL.number_columns.index(column)
    served = workspace.predictions.served(MODEL.name)
    numbers = served.numbers[-1].copy()
    numbers[place] += wrong
    with sqlite3.connect(workspace.home / "serving.db") as connection:
        connection.execute("update prediction set vector = ? where id = ?", (numbers.tobytes(), int(served.ids[-1])))
    connection.close()
    (found,) = check(workspace).mismatches
    assert (found.column, found.key) == (column, served.keys[-1])
    assert found.recomputed == pytest.approx(served.numbers[-1, place])
    assert found.served == (None if np.isnan(wrong) else pytest.approx(served.numbers[-1, place] + wrong))
    audit_parity(workspace, MODEL, 1_000)
    (record,) = workspace.alerts.recent(MODEL.name)
    assert column in record.alert.body


def test_a_check_can_begin_at_a_time(workspace: Workspace) -> None:
    served = workspace.predictions.served(MODEL.name)
    middle_ms = int(served.at_ms[len(served.at_ms) // 2])
    found = check(workspace, from_ms=middle_ms)
    assert found.checked == int((served.at_ms >= middle_ms).sum()) < N


def test_events_that_were_waiting_are_lag_skew_and_no_mismatch(workspace: Workspace) -> None:
    last_ms = workspace.now_ms() + HOUR_MS // 2
    workspace.log.append([Entry("deliveries", tiny.delivery("waiting", last_ms, delay_min=99.0), last_ms)], 0)
    ask(workspace, "hasty", last_ms + MINUTE_MS)  # the engine has not taken it yet
    workspace.engine().drain(10)
    workspace.lake_writer().flush()
    found = check(workspace)
    assert (found.checked, found.mismatches) == (N + 1, ())
    assert found.lag_skew == pytest.approx(1 / (N + 1))


def test_what_is_served_while_an_audit_waits_for_the_lake_is_not_held_against_it(workspace: Workspace) -> None:
    def tell(name: str) -> int:
        at_ms = workspace.now_ms() + MINUTE_MS
        workspace.log.append([Entry("deliveries", tiny.delivery(name, at_ms, delay_min=99.0), at_ms)], 0)
        workspace.engine().drain(10)
        return at_ms

    ask(workspace, "before", tell("waits for the lake") + 1)

    def go_on() -> None:
        workspace.lake_writer().flush()
        ask(workspace, "meanwhile", tell("not in the lake yet") + 1)

    looked, lake_position = list[bool](), workspace.state.lake_position

    def behind_at_first() -> Position:
        position = lake_position()
        if not looked:
            looked.append(True)
            go_on()
        return position

    with patch.object(workspace.state, "lake_position", behind_at_first):
        found = audit_parity(workspace, MODEL, 1_000)
    assert looked
    assert (found.checked, found.mismatches) == (N + 1, ())
    assert workspace.predictions.count(MODEL.name) == N + 2
    assert not workspace.alerts.recent(MODEL.name)


def test_vectors_under_another_definition_are_left_out(workspace: Workspace) -> None:
    other = replace(tiny.BY_SHOP, features={**tiny.BY_SHOP.features, "n_1h": count(over="1h")})
    changed = replace(MODEL, features=["shop", "amount", other], estimator=LogisticRegression)
    assert check(workspace, changed).checked == 0
