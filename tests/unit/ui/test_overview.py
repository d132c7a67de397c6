"""The overview says what the stores hold."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from tests.unit.ui.ferry import PROMOTED, RUN_ID, START_MS, WALL_MS, Ferry, departure
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.drift import OutcomeMonitor
from tidemill.registry import Named
from tidemill.registry.named import hold_aliases
from tidemill.settings import MlflowSettings, PrefectSettings, ServerSettings, Settings
from tidemill.stores import Alert
from tidemill.stores.decision_records import Ending
from tidemill.streams import Books
from tidemill.ui import Overview, OverviewReader, read_drift, read_overview
from tidemill.ui.lights import Level, headline, read_lights
from tidemill.ui.overview import SERVER_SILENT_MS


def look(ferry: Ferry, wall_ms: int = WALL_MS) -> Overview:
    return read_overview(ferry.workspace, Settings(), wall_ms)


def levels(overview: Overview) -> list[Level]:
    return [light.level for light in read_lights(overview)]


def test_how_to_ask_names_the_address_that_people_use(ferry: Ferry) -> None:
    seen = read_overview(ferry.workspace, Settings(server=ServerSettings(url="https://api.example.com/")), WALL_MS).models[0]
    assert seen.curl.startswith("curl -s https://api.example.com/v1/models/"), "and not the one behind its proxy"
    assert 'Client("https://api.example.com")' in seen.python


def test_an_empty_workspace_is_no_alarm(ferry: Ferry) -> None:
    seen = look(ferry)
    assert (seen.now_ms, seen.decisions, seen.alerts, seen.models[0].champion) == (0, (), (), None)
    assert levels(seen) == ["none"] * 5
    assert headline(read_lights(seen)) == ("none", "Nothing has happened yet")


def test_a_stream_tells_all_six_numbers(ferry: Ferry) -> None:
    at_ms = START_MS + 3 * DAY_MS
    ferry.send("departures", [departure("a", at_ms), departure("a", at_ms), departure("old", START_MS), "{"], at_ms)
    ferry.apply()
    ferry.send("departures", [departure("b", at_ms)], at_ms + 1)
    stream, idle = look(ferry).streams
    assert stream.books == Books(received=5, applied=1, duplicate=1, late=1, rejected=1, pending=1)
    assert stream.balanced
    assert (stream.last_event_ms, stream.freshness_ms) == (at_ms, 0)
    assert (idle.last_event_ms, idle.freshness_ms) == (None, None)


def test_books_that_do_not_match_the_log_are_seen(ferry: Ferry) -> None:
    ferry.leave("a", START_MS)
    broken = create_engine(f"sqlite:///{ferry.workspace.home / 'state.db'}")
    with broken.begin() as connection:
        connection.execute(text("update book set applied = applied + 1 where stream = 'departures'"))
    broken.dispose()
    seen = look(ferry)
    assert [stream.balanced for stream in seen.streams] == [False, True]
    assert read_lights(seen)[0].level == "bad"
    assert headline(read_lights(seen)) == ("bad", "Needs attention: books")


def test_freshness_is_stream_time(ferry: Ferry) -> None:
    ferry.leave("a", START_MS)
    ferry.arrive(["a"], START_MS + 90 * MINUTE_MS, [2.0])
    assert [stream.freshness_ms for stream in look(ferry).streams] == [90 * MINUTE_MS, 0]


def test_rates_are_between_two_looks_and_shared_within_a_second(ferry: Ferry) -> None:
    wall_ms = [WALL_MS]
    reader = OverviewReader(ferry.workspace, Settings(), lambda: wall_ms[0])
    ferry.leave("a", START_MS)
    first = reader.read()
    assert first.streams[0].rate.per_wall_s is None
    for number in range(6):
        ferry.leave(f"b{number}", START_MS + 2 * HOUR_MS)
    wall_ms[0] += 900
    assert reader.read() is first
    wall_ms[0] += 1_100
    rate = reader.read().streams[0].rate
    assert (rate.per_wall_s, rate.per_stream_hour) == (3.0, 3.0)


def test_the_champion_is_what_the_servers_say(ferry: Ferry) -> None:
    ferry.sail(2)
    ferry.sail(1, first_day=2, version=2)
    assert look(ferry).models[0].champion is not None
    assert read_lights(look(ferry))[1].level == "warn"  # version 2 answered, but no server is heard now
    ferry.serve(2)
    ferry.serve(0, server="just up")
    champion = look(ferry).models[0].champion
    assert champion is not None
    assert (champion.version, champion.since_ms, champion.servers) == ("2", START_MS + 2 * DAY_MS + 8 * HOUR_MS, {"2": 1})
    assert read_lights(look(ferry))[1].level == "ok"
    hold_aliases(ferry.workspace.home, "ferries.late_ferry", Named({"champion": 3}))
    light = read_lights(look(ferry))[1]
    assert (light.level, light.text) == ("warn", "v2, not v3"), "the champion is not what serves"
    ferry.serve(3, server="s2")
    changing = read_lights(look(ferry))[1]
    assert (changing.level, changing.text) == ("busy", "v2 and v3")
    silent = look(ferry, WALL_MS + SERVER_SILENT_MS + 1).models[0].champion
    assert silent is not None
    assert (silent.version, silent.servers) == ("2", {})


def test_a_promotion_dates_a_champion_that_has_no_outcome_yet(ferry: Ferry) -> None:
    ferry.sail(1)
    ferry.decide("d1", PROMOTED)
    ferry.serve(2)
    champion = look(ferry).models[0].champion
    assert champion is not None
    assert (champion.version, champion.since_ms) == ("2", PROMOTED.at_ms)
    ferry.serve(1)  # rolled back: the promotion says nothing of version 1, its outcomes do
    champion = look(ferry).models[0].champion
    assert champion is not None
    assert (champion.version, champion.since_ms) == ("1", START_MS + 8 * HOUR_MS)


def test_a_model_counts_what_it_said(ferry: Ferry) -> None:
    ferry.sail(2)
    ferry.predict(["open"], START_MS + 3 * DAY_MS, 1, ([0.4], [0.4]))
    model = look(ferry).models[0]
    assert (model.n_predictions, model.quality.n_labelled, model.frozen_version) == (49, 48, "1")


def test_a_decision_tells_how_long_it_took_and_where_its_run_is(ferry: Ferry) -> None:
    ferry.decide("d1", PROMOTED)
    ferry.decide("d2", Ending("rejected", "not better", at_ms=START_MS, wall_ms=WALL_MS + 20 * MINUTE_MS), day=18)
    rejected, promoted = look(ferry).decisions
    assert (promoted.alarm_to_serving_s, rejected.alarm_to_serving_s) == (42.3, None)
    assert promoted.flow_run_url == f"/prefect/runs/flow-run/{RUN_ID}"
    assert read_lights(look(ferry))[3].text == "Rejected"
    ferry.decide("d3", None, day=19)
    running = read_lights(look(ferry))[3]
    assert (running.level, running.text) == ("busy", "Retraining")
    ferry.workspace.decisions.finish("d3", Ending("failed", "no disk", at_ms=START_MS, wall_ms=WALL_MS), RUN_ID)
    assert read_lights(look(ferry))[3].level == "bad"


def test_alerts_stand_as_delivered_waiting_or_failing(ferry: Ferry) -> None:
    store = ferry.workspace.alerts
    for name in ("a", "b", "c"):
        store.raise_alert(Alert(name, "late_ferry", "warning", f"title {name}", "body", "javascript:alert(1)", START_MS + ord(name)))
    ferry.tell("a")
    ferry.tell("b", error="json#1f2a: HTTP 503")
    rows = {row.alert.key: row for row in look(ferry).alerts}
    assert {key: row.state for key, row in rows.items()} == {"a": "delivered", "b": "failing", "c": "waiting"}
    assert rows["b"].last_error == "json#1f2a: HTTP 503"
    assert all(row.link is None for row in rows.values())
    assert read_lights(look(ferry))[4].level == "bad"


def test_an_old_alert_that_reached_nobody_is_not_lost_behind_newer_ones(ferry: Ferry) -> None:
    for number in range(30):
        ferry.workspace.alerts.raise_alert(Alert(f"a{number:02}", "late_ferry", "info", "t", "b", "", START_MS + number))
        if number:
            ferry.tell(f"a{number:02}")
    rows = look(ferry).alerts
    assert [row.alert.key for row in rows] == [*(f"a{number:02}" for number in range(29, 9, -1)), "a00"]


def test_the_monitors_speak(ferry: Ferry) -> None:
    ferry.watch()
    drift = look(ferry).models[0].drift
    wind, waves = (column for column in drift.columns if column.column in ("wind", "waves"))
    assert (wind.column, wind.warning) == ("wind", True)
    assert wind.since_ms is not None
    assert START_MS <= wind.since_ms < START_MS + DAY_MS
    assert wind.urgency >= 1.0 > waves.urgency
    assert wind.psi is not None
    assert wind.psi > 0.2
    assert (waves.column, waves.warning) == ("waves", False)
    assert drift.check is not None
    assert (drift.check.failed_twice, drift.check.values["port"], drift.check.unjudged) == (("wind",), 0.22, {"tide": "too few rows"})
    judged, gathering = drift.errors
    assert (judged.version, judged.n_labels) == ("1", 900)
    assert judged.error is not None
    assert (gathering.version, gathering.n_labels, gathering.error, gathering.residual) == ("2", 1, None, None)
    assert read_lights(look(ferry))[2].level == "warn"


def test_a_champion_whose_outcomes_have_become_worse_is_not_said_to_be_well(ferry: Ferry) -> None:
    ferry.sail(1)
    ferry.serve(1)
    state = OutcomeMonitor().state() | {"alarmed": {"1": ["sudden", 700]}}
    ferry.workspace.monitors.save("outcomes:late_ferry", 0, 1, state)
    lights = read_lights(look(ferry))
    assert (lights[2].level, lights[2].text) == ("bad", "Outcomes are worse")
    assert headline(lights) == ("bad", "Needs attention: drift")
    ferry.serve(2)  # another version serves by now, and the monitor has seen no outcome since
    assert read_lights(look(ferry))[2].level == "none"


def test_a_column_that_stands_still_is_a_fault_that_the_page_names(ferry: Ferry) -> None:
    warning = {"column": "wind", "statistic": 60.0, "threshold": 60.0, "since_ms": START_MS, "at_ms": START_MS, "detail": "has been 3.0"}
    faults = [{"column": "wind", "what": "stuck", "since_ms": START_MS}]
    state = {"version": 1, "provisional": True, "columns": [], "active": [warning], "faults": faults}
    ferry.workspace.monitors.save("windows:late_ferry", 0, 1, state)
    watch = read_drift(ferry.workspace, "late_ferry").watch
    assert (watch.provisional, len(watch.faults), watch.columns[0].detail) == (True, 1, "has been 3.0")
    assert "column wind is stuck since" in watch.faults[0]


def test_a_state_of_another_shape_hides_no_other(ferry: Ferry) -> None:
    ferry.workspace.monitors.save("outcomes:late_ferry", 0, 1, {"versions": {"1": {"labels": 3}}})
    ferry.workspace.monitors.save("windows:late_ferry", 0, 1, {"something": "else"})
    ferry.workspace.monitors.save("check:late_ferry", 0, 1, {"at_ms": START_MS})
    drift = read_drift(ferry.workspace, "late_ferry")
    assert drift.unreadable == ("windows:late_ferry", "outcomes:late_ferry")
    assert drift.check is not None
    assert read_lights(look(ferry))[2].text == "Not readable"


def test_links_follow_the_settings(ferry: Ferry) -> None:
    seen = look(ferry)
    assert seen.models[0].registry_url == "/mlflow/#/models/ferries.late_ferry"
    assert (seen.links.experiments, seen.links.prefect) == ("/mlflow/#/experiments", "/prefect/")
    elsewhere = MlflowSettings(page="https://ml.example.com/x/"), PrefectSettings(page="https://runs.example.com")
    seen = read_overview(ferry.workspace, Settings(mlflow=elsewhere[0], prefect=elsewhere[1]), WALL_MS)
    assert seen.models[0].registry_url == "https://ml.example.com/x/#/models/ferries.late_ferry"
    assert (seen.links.experiments, seen.links.prefect) == ("https://ml.example.com/x/#/experiments", "https://runs.example.com/")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//elsewhere.test/",
        "/\\elsewhere.test",
        "http:relative",
        "http://[",
        "/\t\\elsewhere.test",
    ],
)
def test_a_report_elsewhere_than_on_the_web_is_not_linked(ferry: Ferry, url: str) -> None:
    ferry.workspace.monitors.save("check:late_ferry", 0, 1, {"at_ms": START_MS, "url": url})
    assert look(ferry).models[0].report_url is None


def test_a_freeze_is_said(ferry: Ferry) -> None:
    ferry.workspace.decisions.freeze("late_ferry", "ann", "strike", WALL_MS)
    assert look(ferry).models[0].freeze == "by ann: strike"
