"""A model of a number, window by window: estimated from what each prediction was told, then held against the labels.

```
 day 0 ........ day 5          day 6 = now
 all five shops, labelled     | only shop e, whose deliveries nobody can tell; no label yet
```
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import tiny
from tidemill import Project, col
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.drift import QualityMemory, QualityReport, profile_errors, profile_reference, report_quality
from tidemill.drift.quality_json import quality_json
from tidemill.events import Column
from tidemill.kernels import Floats
from tidemill.project import Workspace
from tidemill.stores import Answered
from tidemill.stores.held_versions import held_folder
from tidemill.streams import Entry

DAYS, A_DAY = 6, 120
DELAY = replace(
    tiny.LATE_ORDER, name="delay", label=replace(tiny.LATE_ORDER.label, value=col("delay_min")), task="regression", metric="absolute_error"
)
SPREAD_MIN = {"a": 1.0, "b": 1.0, "c": 2.0, "d": 2.0, "e": 12.0}


def orders_of(day: int, shops: Sequence[str] = tiny.SHOPS) -> tuple[list[str], Floats, dict[str, Column], Floats]:
    """Keys, answers, columns and outcomes of a day; an answer is the mean, and every shop has its own spread around it."""
    rng = np.random.default_rng(day)
    shop = np.array([shops[place % len(shops)] for place in range(A_DAY)], dtype=object)
    amount = rng.uniform(5, 100, A_DAY).round(2)
    said = 20.0 + amount / 10
    outcome = said + rng.normal(size=A_DAY) * np.array([SPREAD_MIN[one] for one in shop])
    return [f"d{day}-{place}" for place in range(A_DAY)], said, {"shop": shop, "amount": amount}, outcome


def ask(workspace: Workspace, day: int, shops: Sequence[str] = tiny.SHOPS, digest: str = DELAY.source_digest) -> None:
    """The orders of a day, answered by version 1 as a server logs it."""
    keys, said, columns, _ = orders_of(day, shops)
    workspace.predictions.write(
        Answered(
            model="delay",
            at_ms=tiny.START_MS + day * DAY_MS,
            made_wall_ms=0,
            position="{}",
            digest=digest,
            keys=keys,
            requests=[json.dumps({"shop": shop}) for shop in columns["shop"]],
            numbers=np.column_stack((columns["amount"], np.full((A_DAY, 2), np.nan))),
            scores={"champion": (1, said)},
            kind="value",
        )
    )


def deliver(workspace: Workspace, day: int) -> None:
    """Its outcomes, half an hour later."""
    keys, _, columns, outcome = orders_of(day)
    at_ms = tiny.START_MS + day * DAY_MS + 30 * MINUTE_MS
    told = zip(keys, columns["shop"], outcome.tolist(), strict=True)
    workspace.log.append([Entry("deliveries", tiny.delivery(key, at_ms, shop, delay), at_ms) for key, shop, delay in told], at_ms)
    workspace.engine().drain(10_000)


def hold_reference(workspace: Workspace) -> None:
    """As a server does that has loaded version 1, which was judged on a fortnight."""
    parts = [orders_of(100 + day) for day in range(14)]
    said, outcome = (np.concatenate([part[place] for part in parts]) for place in (1, 3))
    columns = {name: np.concatenate([part[2][name] for part in parts]) for name in ("shop", "amount")}
    at_ms = np.repeat(np.arange(14), A_DAY) * DAY_MS
    profile = profile_reference({"amount": columns["amount"]}, said, at_ms)
    folder = held_folder(workspace.home, workspace.project.registered_name("delay"), 1)
    folder.mkdir(parents=True)
    made = replace(profile, quality=profile_errors(outcome, said, columns, at_ms, DAY_MS))
    assert type(made).from_json(made.to_json()) == made
    (folder / "reference.json").write_text(made.to_json())


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    made = Workspace.open(Project("tiny", streams=[tiny.ORDERS, tiny.DELIVERIES], views=[tiny.BY_SHOP], models=[DELAY]), tmp_path)
    for day in range(DAYS):
        ask(made, day)
        deliver(made, day)
    yield made
    made.close()


def look(workspace: Workspace, now_ms: int) -> QualityReport:
    memory = QualityMemory(budget_s=float("inf"))
    return report_quality(memory.read(workspace, workspace.project.models[0], now_ms))


def test_what_is_asked_now_is_estimated_by_what_such_rows_were_off_by(workspace: Workspace) -> None:
    hold_reference(workspace)
    ask(workspace, DAYS, shops="e")
    report = look(workspace, tiny.START_MS + DAYS * DAY_MS + HOUR_MS)
    newest, before = report.windows[-1], report.windows[-2]
    assert (newest.live.n, newest.estimated.n, newest.versions[0].estimated) == (0, A_DAY, newest.estimated)
    assert newest.estimated.figures["mae"].value == pytest.approx(12.0 * np.sqrt(2 / np.pi), rel=0.2)
    assert before.estimated.figures["mae"].holds(before.live.figures["mae"].value)
    assert newest.estimated.figures["mae"].low is not None
    assert newest.estimated.figures["mae"].low > before.live.figures["mae"].value
    assert set(report.trust) == {"mae", "rmse"}
    assert report.trust["mae"].n_windows == DAYS - 1  # the last day may still get labels
    assert report.trust["mae"].n_held >= DAYS - 2
    assert quality_json("delay", report)["windows"][-1]["estimated"]["rmse"].keys() == {"value", "low", "high"}


def test_a_slice_that_is_as_bad_as_expected_is_hard_and_not_worse(workspace: Workspace) -> None:
    hold_reference(workspace)
    slices = {one.value: one for one in look(workspace, tiny.START_MS + DAYS * DAY_MS).slices}
    assert slices["e"].expected == pytest.approx(slices["e"].loss.value, rel=0.3)
    assert (slices["e"].hard, slices["e"].worse, slices["a"].hard) == (True, False, False)


def test_a_vector_that_other_definitions_made_tells_nothing(workspace: Workspace) -> None:
    hold_reference(workspace)
    ask(workspace, DAYS, digest="before the views were changed")
    report = look(workspace, tiny.START_MS + DAYS * DAY_MS + HOUR_MS)
    assert (report.windows[-1].n_asked, report.windows[-1].estimated.n) == (A_DAY, 0)
    assert report.windows[-2].estimated.n == A_DAY


def test_a_version_that_is_not_held_here_or_knew_other_columns_has_no_estimate(workspace: Workspace) -> None:
    assert not look(workspace, tiny.START_MS + DAYS * DAY_MS).has_estimate
    hold_reference(workspace)
    assert look(workspace, tiny.START_MS + DAYS * DAY_MS).has_estimate
    narrower = replace(DELAY, features=["shop", tiny.BY_SHOP])
    read = QualityMemory(budget_s=float("inf")).read(workspace, narrower, tiny.START_MS + DAYS * DAY_MS)
    assert not report_quality(read).has_estimate
