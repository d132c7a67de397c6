"""What a server says of a champion that it cannot serve, and that it looks at it once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests import tiny
from tests.held import hold_champion, hold_version, name_versions
from tidemill import Project, Requests, Stream, View, col, count, mean
from tidemill.errors import NotReadyError, UnavailableError
from tidemill.events import FieldKind
from tidemill.learning import Scorer
from tidemill.project import Workspace
from tidemill.registry import Named, Registry, Version, snapshot
from tidemill.serving import Champions, starting
from tidemill.serving.canary import Canary

NOWHERE = "http://127.0.0.1:9"


class Worded(BaseModel):
    """A question whose amount is a text."""

    order_id: str
    placed_at: int
    shop: str
    amount: str | None = None


BY_STORE = View(
    "by_store", tiny.DELIVERIES, entity="shop", features={"mean_delay_3h": mean("delay_min", over="3h"), "n_3h": count(over="3h")}
)
WORDED = Stream("worded", schema=Worded, event_time="placed_at", event_id="order_id", allowed_lateness="1h")
RENAMED = Project(
    "tiny",
    streams=[tiny.ORDERS, tiny.DELIVERIES],
    views=[tiny.BY_SHOP, BY_STORE],
    models=[replace(tiny.LATE_ORDER, features=["shop", "amount", BY_STORE])],
)
RETYPED = Project(
    "tiny",
    streams=[WORDED, tiny.DELIVERIES],
    views=[tiny.BY_SHOP],
    models=[replace(tiny.LATE_ORDER, request=Worded, requests=Requests(WORDED, at=col("placed_at")))],
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with a champion of the tiny project, whose registry is down."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with closing(Workspace.open(tiny.project, tmp_path)) as workspace:
        hold_champion(workspace)
    yield tmp_path


@pytest.mark.parametrize(
    ("project", "said"),
    [
        (
            RENAMED,
            "version 1 of model 'late_order' reads column 'by_shop__mean_delay_3h', which the project file no longer gives it",
        ),
        (
            RETYPED,
            "version 1 of model 'late_order' reads other columns; train a version that reads what it gives: .*expected: .tensor.float.",
        ),
    ],
    ids=["renamed", "retyped"],
)
def test_one_that_reads_other_columns_is_told_of_once(home: Path, project: Project, said: str, caplog: pytest.LogCaptureFixture) -> None:
    with closing(Workspace.open(project, home)) as workspace, caplog.at_level(logging.ERROR, "tidemill"):
        champions = Champions(workspace, Registry(NOWHERE, home), "test")
        for _ in range(3):
            champions.refresh(0)
        with pytest.raises(NotReadyError, match=said) as raised:
            champions.serving("late_order")
        assert not isinstance(raised.value, UnavailableError)
        assert [said for said in caplog.messages if "not served" in said] == caplog.messages
        assert len(caplog.messages) == 1


def test_what_is_wrong_with_a_champion_outlives_an_outage(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_given: object) -> None:
        raise UnavailableError("PostgreSQL does not answer")

    with closing(Workspace.open(RENAMED, home)) as workspace:
        champions = Champions(workspace, Registry(NOWHERE, home), "test")
        champions.refresh(0)
        with monkeypatch.context() as patched:
            patched.setattr(workspace.predictions, "confirm", away)
            with pytest.raises(UnavailableError):
                champions.refresh(0)
        champions.refresh(0)
        with pytest.raises(NotReadyError, match="reads column") as raised:
            champions.serving("late_order")
        assert not isinstance(raised.value, UnavailableError)


def test_while_nobody_can_say_which_it_is_nobody_is_told_to_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with closing(Workspace.open(tiny.project, tmp_path)) as workspace:
        champions = Champions(workspace, Registry(NOWHERE, tmp_path), "test")
        with pytest.raises(NotReadyError, match="train one with"):
            champions.serving("late_order")
        with pytest.raises(UnavailableError):
            champions.refresh(0)
        with pytest.raises(UnavailableError, match="cannot be asked for"):
            champions.serving("late_order")


def test_a_server_that_cannot_follow_is_heard_of_all_the_same(home: Path) -> None:
    with closing(Workspace.open(tiny.project, home)) as workspace:
        champions = Champions(workspace, Registry(NOWHERE, home), "test")
        champions.refresh(1_000)
        with pytest.raises(UnavailableError):  # it serves, so it is not told once more what the home holds
            champions.refresh(70_000)
        assert workspace.predictions.servers("late_order", 60_000) == {"test": 1}


def test_a_shadow_that_could_not_be_had_is_looked_for_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "_REST_S", 0.2)
    with closing(Workspace.open(tiny.project, home)) as workspace:
        name_versions(workspace, {"champion": 1, "shadow": 2}, 0.0)
        champions = Champions(workspace, Registry(NOWHERE, home), "test")
        champions.refresh(0)
        assert set(champions.serving("late_order").roles) == {"champion"}
        hold_version(workspace, 2, snapshot(workspace, tiny.LATE_ORDER))
        time.sleep(0.2)
        monkeypatch.setattr(champions.registry, "named", lambda _name: Named({"champion": 1, "shadow": 2}, 5.0))
        champions.refresh(0)
        assert champions.serving("late_order").roles["shadow"].version == 2


class Told:
    """A registry that says what a test has it say, of which some versions cannot be had."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, away: set[int]) -> None:
        self.named = Named({"champion": 1}, 0.0)
        self.away = away
        self.loads: list[int] = []
        self.opens: list[int] = []
        self.may = threading.Event()
        self.registry = Registry(NOWHERE, home)
        self._load, self._open = self.registry.load, self.registry.open
        monkeypatch.setattr(self.registry, "load", self._load_told)
        monkeypatch.setattr(self.registry, "open", self._open_told)
        monkeypatch.setattr(self.registry, "named", lambda _name: self.named)

    def _load_told(self, name: str, number: int) -> Version:
        self.loads.append(number)
        if number in self.away:
            assert self.may.wait(60)
            raise UnavailableError("no way there")
        return self._load(name, number)

    def _open_told(self, version: Version, columns: Mapping[str, FieldKind]) -> Scorer:
        self.opens.append(version.number)
        return self._open(version, columns)


def served(champions: Champions, told: Told, versions: dict[str, int], percent: float = 0.0, patience_s: float = 60.0) -> dict[str, int]:
    """Which version has which role once the aliases name these."""
    told.named = Named(versions, percent)
    champions.refresh(0, patience_s)
    return {role: one.version for role, one in champions.serving("late_order").roles.items()}


def test_what_cannot_be_had_keeps_no_other_alias_from_being_followed(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Workspace.open(tiny.project, home)) as workspace:
        hold_version(workspace, 2, snapshot(workspace, tiny.LATE_ORDER))
        told = Told(home, monkeypatch, away={9})
        told.may.set()
        champions = Champions(workspace, told.registry, "test")
        one, two = {"champion": 1, "previous": 2}, {"champion": 2, "previous": 1}
        assert served(champions, told, one) == {"champion": 1}
        assert served(champions, told, {**two, "shadow": 9}) == {"champion": 2}
        assert served(champions, told, one) == {"champion": 1}, "gone back to what was there before"
        assert served(champions, told, {"champion": 1, "canary": 2}, 5.0) == {"champion": 1, "canary": 2}
        served(champions, told, {"champion": 1, "canary": 2, "shadow": 9}, 50.0)
        served(champions, told, {"champion": 1, "canary": 2}, 5.0)
        assert champions.serving("late_order").canary == Canary("tiny.late_order:2", 5.0)
        assert served(champions, told, {"champion": 9, "previous": 1}) == {"champion": 1}, "the canary has ended"
        assert served(champions, told, {"champion": 9, "previous": 1, "shadow": 2}) == {"champion": 1, "shadow": 2}
        assert told.loads.count(9) == 1 + 1 + 1, "each time that it was named anew, and then it rests"


def test_a_rollback_to_the_last_champion_loads_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Workspace.open(tiny.project, home)) as workspace:
        for version in (2, 3):
            hold_version(workspace, version, snapshot(workspace, tiny.LATE_ORDER))
        told = Told(home, monkeypatch, away=set())
        champions = Champions(workspace, told.registry, "test")
        served(champions, told, {"champion": 1})
        first = champions.serving("late_order").champion
        assert served(champions, told, {"champion": 2, "previous": 1}) == {"champion": 2}
        assert champions.serving("late_order").kept[1] is first
        assert (told.loads, told.opens) == ([1, 2], [1, 2])
        assert served(champions, told, {"champion": 1, "previous": 2}) == {"champion": 1}
        assert champions.serving("late_order").champion is first
        assert (told.loads, told.opens) == ([1, 2], [1, 2]), "what was loaded before, and nothing for the rollback"
        served(champions, told, {"champion": 3, "previous": 1})
        assert set(champions.serving("late_order").kept) == {1, 3}, "what no alias names any more is let go"


def test_a_server_that_starts_after_a_promotion_has_the_last_champion_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Workspace.open(tiny.project, home)) as workspace:
        hold_version(workspace, 2, snapshot(workspace, tiny.LATE_ORDER))
        told = Told(home, monkeypatch, away=set())
        champions = Champions(workspace, told.registry, "test")
        assert served(champions, told, {"champion": 2, "previous": 1}) == {"champion": 2}
        told.loads.clear()
        assert served(champions, told, {"champion": 1, "previous": 2}) == {"champion": 1}
        assert told.loads == []


def test_a_version_with_several_roles_is_opened_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Workspace.open(tiny.project, home)) as workspace:
        told = Told(home, monkeypatch, away=set())
        champions = Champions(workspace, told.registry, "test")
        assert served(champions, told, {"champion": 1, "frozen": 1}) == {"champion": 1, "frozen": 1}
        roles = champions.serving("late_order").roles
        assert roles["frozen"] is roles["champion"]
        assert (told.loads, told.opens) == ([1], [1])


def test_what_does_not_fit_is_looked_at_and_told_of_once(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(Workspace.open(RENAMED, home)) as workspace, caplog.at_level(logging.ERROR, "tidemill"):
        told = Told(home, monkeypatch, away={9})
        told.may.set()
        told.named = Named({"champion": 1, "shadow": 9}, 0.0)
        champions = Champions(workspace, told.registry, "test")
        for _ in range(5):
            champions.refresh(0)
            with pytest.raises(NotReadyError, match="no longer gives it"):
                champions.serving("late_order")
        assert (told.loads, len(caplog.messages)) == ([1], 1)


def test_one_that_is_being_had_is_not_had_twice(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Workspace.open(tiny.project, home)) as workspace:
        told = Told(home, monkeypatch, away={9})
        champions = Champions(workspace, told.registry, "test")
        for _ in range(5):
            served(champions, told, {"champion": 1, "shadow": 9}, patience_s=0.5)
            assert served(champions, told, {"champion": 1}, patience_s=0.5) == {"champion": 1}
        assert told.loads == [1, 9]
        told.may.set()


def test_a_download_that_takes_long_holds_up_nothing_else(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may = threading.Event()
    with closing(Workspace.open(tiny.project, home)) as workspace:
        for version in (2, 3):
            hold_version(workspace, version, snapshot(workspace, tiny.LATE_ORDER))
        registry = Registry(NOWHERE, home)
        load, named = registry.load, Named({"champion": 1}, 0.0)

        def load_slowly(name: str, number: int) -> Version:
            assert number != 2 or may.wait(60)
            return load(name, number)

        monkeypatch.setattr(registry, "load", load_slowly)
        monkeypatch.setattr(registry, "named", lambda _name: named)
        champions = Champions(workspace, registry, "test")

        def at(now_ms: int, versions: dict[str, int]) -> dict[str, int]:
            nonlocal named
            named = Named(versions, 0.0)
            champions.refresh(now_ms, patience_s=1.0 if 3 in versions.values() else 0.0)
            return {role: one.version for role, one in champions.serving("late_order").roles.items()}

        champions.refresh(0)
        assert at(100_000, {"champion": 2, "previous": 1}) == {"champion": 1}, "until the other is ready"
        assert workspace.predictions.servers("late_order", 60_000) == {"test": 1}, "and a deployment goes on waiting for it"
        assert at(101_000, {"champion": 1, "shadow": 3}) == {"champion": 1, "shadow": 3}, "gone back, while it is still loading"
        assert at(102_000, {"champion": 1, "canary": 2, "shadow": 3}) == {"champion": 1, "shadow": 3}
        may.set()
        end_s = time.monotonic() + 60
        while "canary" not in at(103_000, {"champion": 1, "canary": 2, "shadow": 3}):
            assert time.monotonic() < end_s
            time.sleep(0.01)
