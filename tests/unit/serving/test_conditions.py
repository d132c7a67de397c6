"""When a monitor takes what it has alerted of to be over."""

from __future__ import annotations

from tidemill.drift import OutcomeMonitor
from tidemill.drift.baseline import OutcomeSettings
from tidemill.serving.conditions import columns_standing, outcomes_standing, still_worse

SETTINGS = OutcomeSettings(baseline_ms=1_000, block_ms=100, sudden_threshold=1_000.0)  # the sums are what is looked at


def watched() -> OutcomeMonitor:
    """Version 3 with a quarter of its outcomes wrong, a baseline of a thousand labels; then all are wrong until it alarms."""
    monitor = OutcomeMonitor(SETTINGS)
    for number in range(1_001):
        monitor.update("3", number % 4 == 0, 0.25, number)
    number = 1_001
    while (alarm := monitor.update("3", 1, 0.25, number)) is None:
        number += 1
    assert alarm.detector == "error"
    return monitor


def test_an_alarm_is_over_once_the_sum_is_at_zero_a_baseline_later() -> None:
    monitor = watched()
    alarmed = {"3": ("error", monitor.n_labels("3"))}
    assert monitor.statistics("3")["error"] == 0.0, "the alarm itself began it anew"
    assert still_worse(alarmed, monitor, "3") == alarmed
    for number in range(SETTINGS.baseline_labels - 1):
        monitor.update("3", 0, 0.25, 10_000 + number)
        assert still_worse(alarmed, monitor, "3") == alarmed
    monitor.update("3", 0, 0.25, 20_000)
    after = still_worse(alarmed, monitor, "3")
    assert after == {}
    standing = outcomes_standing("late", alarmed, after, "3", at_ms=20_000)
    assert (standing.standing, standing.why) == (frozenset(), "its outcomes are as in its baseline again")


def test_errors_that_go_on_keep_it_open() -> None:
    monitor = watched()
    alarmed = {"3": ("error", monitor.n_labels("3"))}
    for number in range(2 * SETTINGS.baseline_labels):
        monitor.update("3", number % 10 < 6, 0.25, 10_000 + number)
        if monitor.statistics("3")["error"] == 0.0 and number > 20:  # it has alarmed again
            alarmed = {"3": ("error", monitor.n_labels("3"))}
    assert still_worse(alarmed, monitor, "3") == alarmed


def test_an_alarm_is_over_once_another_version_serves() -> None:
    monitor = watched()
    alarmed = {"3": ("error", monitor.n_labels("3"))}
    after = still_worse(alarmed, monitor, "4")
    standing = outcomes_standing("late", alarmed, after, "4", at_ms=9)
    assert (after, standing.standing, standing.why) == ({}, frozenset(), "version 4 serves")
    assert outcomes_standing("late", alarmed, alarmed, "3", at_ms=9).standing == {"outcomes:late:3"}


def test_columns_stand_while_they_are_high_for_the_version_that_serves() -> None:
    found = columns_standing("late", 4, ["wind", "sea"], at_ms=9)
    assert found.standing == {"windows:late:4:wind", "windows:late:4:sea"}
    assert (found.model, found.kind, found.at_ms) == ("late", "windows", 9)
