"""Feature warnings share a row; what is graver keeps its own, however many of them there are."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.unit.ui.ferry import START_MS, WALL_MS, Ferry
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.settings import Settings
from tidemill.stores import Alert
from tidemill.stores.alerts import Severity
from tidemill.ui import page_router, read_overview
from tidemill.ui.alert_groups import N_ROWS, AlertGroup
from tidemill.ui.lights import read_lights


def raise_alert(
    ferry: Ferry, kind: str, at_ms: int, severity: Severity = "warning", column: str = "wind", model: str = "late_ferry"
) -> str:
    key = f"{kind}:{model}:1:{column}:{at_ms}"
    assert ferry.workspace.alerts.raise_alert(Alert(key, model, severity, f"{column} has moved", "1.7 against 1.3", "", at_ms))
    return key


def groups_of(ferry: Ferry) -> tuple[AlertGroup, ...]:
    return read_overview(ferry.workspace, Settings(), WALL_MS).alert_groups


def sizes(ferry: Ferry) -> list[tuple[str, int]]:
    return [(group.newest.alert.key.split(":")[0], len(group.rows)) for group in groups_of(ferry)]


def test_one_row_a_model_and_day(ferry: Ferry) -> None:
    for hour in range(3):
        raise_alert(ferry, "windows", START_MS + hour * HOUR_MS)
    raise_alert(ferry, "windows", START_MS + 3 * HOUR_MS, model="early_ferry")
    raise_alert(ferry, "windows", START_MS + DAY_MS - 1)
    raise_alert(ferry, "windows", START_MS + DAY_MS)
    found = [(group.newest.alert.model, [row.alert.at_ms - START_MS for row in group.rows]) for group in groups_of(ferry)]
    assert found == [
        ("late_ferry", [DAY_MS]),
        ("late_ferry", [DAY_MS - 1, 2 * HOUR_MS, HOUR_MS, 0]),
        ("early_ferry", [3 * HOUR_MS]),
    ]


def test_a_critical_one_is_seen_behind_any_number_of_warnings(ferry: Ferry) -> None:
    raise_alert(ferry, "outcomes", START_MS, "critical")
    for number in range(5 * N_ROWS):
        raise_alert(ferry, "windows", START_MS + HOUR_MS + number, column=f"column_{number}")
    raise_alert(ferry, "check", START_MS + 2 * HOUR_MS)
    assert sizes(ferry) == [("check", 1), ("windows", 5 * N_ROWS), ("outcomes", 1)]


def test_only_feature_warnings_are_gathered(ferry: Ferry) -> None:
    for number in range(2):
        raise_alert(ferry, "outcomes", START_MS + number, "critical")
        raise_alert(ferry, "windows", START_MS + number, "critical", column="sea")
        raise_alert(ferry, "check", START_MS + number)
    assert [size for _, size in sizes(ferry)] == [1] * 6


def test_what_no_channel_wanted_is_not_said_to_be_delivered(ferry: Ferry) -> None:
    ferry.tell(raise_alert(ferry, "windows", START_MS), channel="")
    assert [group.worst.state for group in groups_of(ferry)] == ["unsent"]
    light = read_lights(read_overview(ferry.workspace, Settings(), WALL_MS))[4]
    assert (light.level, light.text) == ("ok", "Shown here alone")


@pytest.mark.parametrize(
    ("delivered", "failed", "state", "light"), [(3, 0, "delivered", "ok"), (2, 0, "waiting", "busy"), (1, 1, "failing", "bad")]
)
def test_a_group_stands_as_its_worst_alert(ferry: Ferry, delivered: int, failed: int, state: str, light: str) -> None:
    keys = [raise_alert(ferry, "windows", START_MS + number) for number in range(3)]
    ferry.tell(*keys[:delivered])
    ferry.tell(*keys[delivered : delivered + failed], error="json#1f2a: HTTP 503")
    (group,) = groups_of(ferry)
    assert group.worst.state == state
    assert group.worst.last_error == ("json#1f2a: HTTP 503" if failed else "")
    assert read_lights(read_overview(ferry.workspace, Settings(), WALL_MS))[4].level == light


def test_the_page_counts_a_group_and_holds_every_one_of_it(ferry: Ferry) -> None:
    for number in range(3):
        raise_alert(ferry, "windows", START_MS + number, column=f"column_{number}")
    raise_alert(ferry, "outcomes", START_MS, "critical", column="errors")
    app = FastAPI()
    app.include_router(page_router(lambda: read_overview(ferry.workspace, Settings(), WALL_MS)))
    text = TestClient(app).get("/ui/overview").text
    assert len(re.findall(r'<tr role="row" id="alert-', text)) == 2
    details = re.search(r'<details id="alerts-late_ferry-2026-01-01">(.*?)</details>', text, re.DOTALL)
    assert details is not None
    assert "<strong>3 feature warnings</strong>" in details[1]
    assert re.findall(r"column_\d has moved", re.sub(r'<span class="unseen">.*?</span>', "", details[1])) == [
        f"column_{number} has moved" for number in (2, 1, 0)
    ]
    assert "errors has moved" not in details[1]
