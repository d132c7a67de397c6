"""The feature registry says what is defined, who reads it, how fresh it is, and what was served lately."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tidemill.clock import DAY_MS, HOUR_MS
from tidemill.features import View, count
from tidemill.learning import Model
from tidemill.project import Project, Workspace, describe_view, describe_views, list_views
from tidemill.project.catalogue import N_LAST, VersionRecord
from tidemill.stores import Answered
from tidemill.streams import Entry

UNREAD = View("unread", tiny.ORDERS, entity="shop", features={"n_1h": count(over="1h")}, owner="ann", description="Orders of a shop.")
OTHER = replace(tiny.LATE_ORDER, name="other_order", features=[tiny.BY_SHOP, "shop"])
PROJECT = Project("tiny", streams=[tiny.ORDERS, tiny.DELIVERIES], views=[tiny.BY_SHOP, UNREAD], models=[tiny.LATE_ORDER, OTHER])


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(PROJECT, tmp_path)
    yield opened
    opened.close()


def serve(workspace: Workspace, model: Model, at_ms: int, numbers: list[list[float]], digest: str | None = None) -> None:
    """Vectors as a server logs them."""
    n_rows = len(numbers)
    answered = Answered(
        model=model.name,
        at_ms=at_ms,
        made_wall_ms=0,
        position="{}",
        digest=model.source_digest if digest is None else digest,
        keys=["k"] * n_rows,
        requests=["{}"] * n_rows,
        numbers=np.array(numbers),
        scores={"champion": (1, np.full(n_rows, 0.5))},
    )
    workspace.predictions.write(answered)


def test_a_summary_says_what_is_defined_and_who_reads_it(workspace: Workspace) -> None:
    by_shop, unread = list_views(workspace, tiny.START_MS)
    assert (by_shop.name, by_shop.version, by_shop.digest) == ("by_shop", 1, tiny.BY_SHOP.digest)
    assert (by_shop.stream, by_shop.entity, by_shop.n_features) == ("deliveries", ("shop",), 2)
    assert (by_shop.models, unread.models) == (("late_order", "other_order"), ())
    assert (by_shop.owner, unread.owner, unread.description) == ("", "ann", "Orders of a shop.")
    assert by_shop.whole


def test_freshness_is_by_stream_time_and_by_the_wall_clock(workspace: Workspace) -> None:
    assert [(one.last_event_ms, one.freshness_ms, one.wall_age_ms) for one in list_views(workspace, tiny.START_MS)] == [(None,) * 3] * 2
    delivered_ms, ordered_ms = tiny.START_MS, tiny.START_MS + 2 * HOUR_MS
    for stream, payload, at_ms in (
        ("deliveries", tiny.delivery("a", delivered_ms), delivered_ms),
        ("orders", tiny.order("b", ordered_ms), ordered_ms),
    ):
        workspace.log.append([Entry(stream, payload, at_ms)], at_ms)
    workspace.engine().drain(10)
    by_shop, unread = list_views(workspace, tiny.START_MS + DAY_MS)
    assert (by_shop.last_event_ms, by_shop.freshness_ms, by_shop.wall_age_ms) == (delivered_ms, 2 * HOUR_MS, DAY_MS)
    assert (unread.last_event_ms, unread.freshness_ms, unread.wall_age_ms) == (ordered_ms, 0, 22 * HOUR_MS)


def test_features_are_told_in_words(workspace: Workspace) -> None:
    detail = describe_view(workspace, tiny.BY_SHOP, tiny.START_MS)
    told = [(one.name, one.definition, one.window, one.bucket) for one in detail.features]
    assert told == [("mean_delay_3h", 'mean("delay_min")', "3h", "5min"), ("n_3h", "count()", "3h", "5min")]
    assert detail.versions == (VersionRecord(1, tiny.BY_SHOP.digest, 0),)


def test_nothing_served_is_not_nothing_missing(workspace: Workspace) -> None:
    detail = describe_view(workspace, tiny.BY_SHOP, tiny.START_MS)
    assert detail.n_served == 0
    assert [(one.missing_rate, one.last_values) for one in detail.features] == [(None, ()), (None, ())]


def test_the_missing_rate_and_the_last_values_are_those_of_all_models_that_read_it(workspace: Workspace) -> None:
    late, other = tiny.LATE_ORDER, OTHER
    assert (late.number_columns, other.number_columns) == (
        ["amount", "by_shop__mean_delay_3h", "by_shop__n_3h"],
        ["by_shop__mean_delay_3h", "by_shop__n_3h"],
    )
    serve(workspace, late, 10, [[99.0, 5.0, 1.0], [np.nan, np.nan, 0.0]])
    serve(workspace, other, 20, [[7.0, 2.0]])
    serve(workspace, late, 30, [[99.0, np.nan, 0.0]])
    detail = describe_view(workspace, tiny.BY_SHOP, tiny.START_MS)
    assert detail.n_served == 4
    mean_delay, n = detail.features
    assert (mean_delay.missing_rate, mean_delay.last_values) == (0.5, (None, 7.0, None))
    assert (n.missing_rate, n.last_values) == (0.0, (0.0, 2.0, 0.0))
    assert len(n.last_values) == N_LAST
    unread = describe_view(workspace, UNREAD, tiny.START_MS)
    assert (unread.n_served, unread.features[0].missing_rate) == (0, None)


def test_what_was_served_with_other_definitions_says_nothing_of_these(workspace: Workspace) -> None:
    serve(workspace, tiny.LATE_ORDER, 10, [[99.0, 5.0, 1.0]])
    serve(workspace, tiny.LATE_ORDER, 20, [[99.0, 6.0, 1.0]], digest="of before")
    assert describe_view(workspace, tiny.BY_SHOP, tiny.START_MS).features[0].last_values == (5.0,)


def test_all_at_once_say_what_each_says(workspace: Workspace) -> None:
    tiny.live(workspace, 0, 1)
    serve(workspace, tiny.LATE_ORDER, 10, [[99.0, 5.0, 1.0]])
    now_wall_ms = tiny.START_MS + DAY_MS
    details = describe_views(workspace, now_wall_ms)
    assert details == [describe_view(workspace, view, now_wall_ms) for view in PROJECT.views]
    fields = vars(list_views(workspace, now_wall_ms)[0])
    assert {name: getattr(details[0], name) for name in fields} == fields


def test_a_view_that_came_later_is_to_be_filled_and_an_older_version_is_told(workspace: Workspace, tmp_path: Path) -> None:
    tiny.live(workspace, 0, 1)
    second = replace(UNREAD, version=2)
    later = Workspace.open(Project("tiny", streams=PROJECT.streams, views=[tiny.BY_SHOP, second], models=PROJECT.models), tmp_path)
    by_shop, unread = describe_views(later, tiny.START_MS)
    assert (by_shop.whole, unread.whole, unread.version) == (True, False, 2)
    assert unread.versions == (VersionRecord(1, UNREAD.digest, 0), VersionRecord(2, second.digest, later.now_ms()))
    assert later.now_ms() > 0
    later.close()
