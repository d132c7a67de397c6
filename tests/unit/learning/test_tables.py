"""Tables in a model: its vector, served and computed, holds their numbers and their text, and parity names each that differs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from pydantic import BaseModel

from tests import tabled, tiny
from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS
from tidemill.errors import ProjectError
from tidemill.features import Table, derive
from tidemill.learning import Parity, TrainingSet, ValueCache, build_training_set, check_parity, vectors_of
from tidemill.project import Project, Workspace
from tidemill.stores import Answered, Lookup
from tidemill.streams import Entry

MODEL = tabled.LATE_ORDER
T0 = tiny.START_MS
NUMBERS = [
    "amount",
    "by_shop__mean_delay_3h",
    "by_shop__n_3h",
    "shop_info__size",
    "shop_info__opened",
    "shop_info__chain",
    "size_per_amount",
]


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    opened = Workspace.open(tabled.project, tmp_path)
    yield opened
    opened.close()


def happen(workspace: Workspace, *entries: Entry) -> None:
    workspace.log.append(list(entries), 0)
    workspace.engine().drain(100)


def ordered(name: str, at_ms: int, shop: str) -> list[Entry]:
    """An order, and that it was delivered half an hour later."""
    later_ms = at_ms + 30 * MINUTE_MS
    return [Entry("orders", tiny.order(name, at_ms, shop), at_ms), Entry("deliveries", tiny.delivery(name, later_ms, shop), later_ms)]


def ask(workspace: Workspace, key: str, at_ms: int, shop: str, **told: str | None) -> dict[str, Any]:
    """Log what a server would, with no model behind it; `told` replaces texts of the vector. Answers the vector."""
    request = tiny.Question(order_id=key, shop=shop, amount=10.0)
    columns = MODEL.request_columns([request.__dict__])
    reading = workspace.state.tiles.read([Lookup(source.name, source.keys(columns)) for source in MODEL.sources], at_ms)
    vector = {name: column[0] for name, column in MODEL.assemble(columns, reading.values).items()} | told
    numbers, said = np.array([[vector[name] for name in MODEL.number_columns]]), {"champion": (1, np.array([0.5]))}
    token, texts = reading.position.token, [orjson.dumps({name: vector[name] for name in MODEL.logged_texts})]
    workspace.predictions.write(
        Answered(MODEL.name, at_ms, at_ms, token, MODEL.source_digest, [key], [request.model_dump_json()], numbers, said, texts)  # type: ignore[arg-type]  # a literal key
    )
    return vector


def check(workspace: Workspace) -> Parity:
    workspace.lake_writer().flush()
    return check_parity(MODEL, workspace.lake, workspace.predictions.sample(MODEL.name, 1_000, 0))


def test_the_vector_has_a_place_for_each_column() -> None:
    assert MODEL.number_columns == NUMBERS
    assert list(MODEL.columns)[3:7] == ["shop_info__size", "shop_info__town", "shop_info__opened", "shop_info__chain"]
    assert (MODEL.columns["shop_info__town"], MODEL.logged_texts) == ("text", ["shop_info__town"])
    assert MODEL.source_digest == f"{tiny.BY_SHOP.digest}-{tabled.SHOP_INFO.digest}"
    changed = replace(MODEL, slices=(), features=[*MODEL.features[:2], replace(tabled.SHOP_INFO, columns=["size"]), MODEL.features[3]])
    assert changed.source_digest != MODEL.source_digest


def test_what_is_served_is_the_row_that_holds_and_a_key_without_one_is_missing(workspace: Workspace) -> None:
    happen(workspace, *tabled.first_rows(T0))
    told = ask(workspace, "q1", T0 + 1, "a")
    assert (told["shop_info__size"], told["shop_info__town"], told["shop_info__chain"]) == (100, "Leek", 1)
    assert told["shop_info__opened"] == np.float32(T0 - 400 * DAY_MS)
    assert told["size_per_amount"] == 10
    nobody = ask(workspace, "q2", T0 + 1, "e")
    assert nobody["shop_info__town"] is None
    assert all(np.isnan(nobody[name]) for name in NUMBERS[3:])
    served = vectors_of(MODEL, workspace.predictions.served(MODEL.name))
    assert served["shop_info__town"].tolist() == ["Leek", None]
    assert served["shop_info__size"][0] == 100


def test_history_confirms_what_was_served_and_names_the_text_that_it_does_not(workspace: Workspace) -> None:
    happen(workspace, *tabled.first_rows(T0))
    ask(workspace, "q1", T0 + 1, "a")
    ask(workspace, "q2", T0 + 1, "e")
    happen(workspace, tabled.row("a2", T0 + HOUR_MS, "a", town="Wells", known_at_ms=T0 + 2 * HOUR_MS))
    ask(workspace, "q3", T0 + 2 * HOUR_MS, "a")
    assert check(workspace) == Parity(3, (), 0.0)
    ask(workspace, "q4", T0 + 2 * HOUR_MS, "a", shop_info__town="Leek")
    ask(workspace, "q5", T0 + 2 * HOUR_MS, "e", shop_info__town="Leek")
    found = check(workspace)
    named = [(one.key, one.column, one.served, one.recomputed) for one in found.mismatches]
    assert named == [("q4", "shop_info__town", "Leek", "Wells"), ("q5", "shop_info__town", "Leek", None)]
    with sqlite3.connect(workspace.home / "serving.db") as connection:
        connection.execute("delete from prediction_text where prediction_id = 1")
    connection.close()
    assert [one.key for one in check(workspace).mismatches] == ["q1", "q4", "q5"]


def test_a_row_that_waits_is_lag_skew_and_no_mismatch(workspace: Workspace) -> None:
    happen(workspace, *tabled.first_rows(T0))
    workspace.log.append([tabled.row("c2", T0 + 1, "c", town="Leek", size=102)], 0)
    assert ask(workspace, "q1", T0 + 5, "c")["shop_info__town"] == "Ripon"
    workspace.engine().drain(10)
    assert check(workspace) == Parity(1, (), 1.0), "but for the text the rows are the same"


def learn(workspace: Workspace, cache: ValueCache | None = None) -> TrainingSet:
    workspace.lake_writer().flush()
    return build_training_set(MODEL, workspace.lake, workspace.predictions, T0 + 60 * DAY_MS, cache)


def test_a_training_row_knows_the_row_of_its_time_or_what_was_served(workspace: Workspace) -> None:
    happen(workspace, *ordered("o0", T0 - DAY_MS, "a"), *tabled.first_rows(T0), *ordered("o1", T0 + HOUR_MS, "a"))
    happen(workspace, tabled.row("a2", T0, "a", town="Wells", known_at_ms=T0 + 5 * HOUR_MS), *ordered("o2", T0 + 5 * HOUR_MS, "a"))
    happen(workspace, *ordered("o3", T0 + 6 * HOUR_MS, "b"))
    rows = learn(workspace)
    assert rows.keys == ["o0", "o1", "o2", "o3"]
    assert rows.columns["shop_info__town"].tolist() == [None, "Leek", "Wells", "Leek"], "the correction counts from when it is known"
    np.testing.assert_array_equal(rows.columns["shop_info__size"], [np.nan, 100, 40, 101])
    ask(workspace, "o3", T0 + 6 * HOUR_MS, "b", shop_info__town="as served")
    again = learn(workspace)
    assert again.n_served == 1
    assert again.columns["shop_info__town"].tolist() == [None, "Leek", "Wells", "as served"]
    assert set(again.lake_versions) == {"orders", "deliveries", "shops"}


@pytest.mark.parametrize("known", [True, False])
def test_values_from_the_cache_are_the_same(workspace: Workspace, tmp_path: Path, known: bool) -> None:
    happen(workspace, *(tabled.first_rows(T0) if known else []), *ordered("o1", T0 + HOUR_MS, "a"), *ordered("o2", T0 + 2 * HOUR_MS, "e"))
    cache = ValueCache(tmp_path / "cache")
    first, second = learn(workspace, cache), learn(workspace, cache)
    assert first.columns["shop_info__town"].tolist() == second.columns["shop_info__town"].tolist() == ["Leek" if known else None, None]
    happen(workspace, *ordered("o3", T0 + 4 * HOUR_MS, "c"))
    assert learn(workspace, cache).digest == learn(workspace).digest


class Blind(BaseModel):
    """A question that does not say which shop."""

    order_id: str
    amount: float | None = None


def test_a_model_that_cannot_look_it_up_is_told_what_to_do() -> None:
    with pytest.raises(ProjectError) as refused:
        replace(MODEL, request=Blind, features=["amount", tabled.SHOP_INFO])
    said = "table 'shop_info' is read by 'shop', which is not a text field of the request; add 'shop' to Blind, or leave the table out"
    assert said in str(refused.value)

    def of_the_town(shop_info__tow: Any) -> Any:
        return shop_info__tow

    with pytest.raises(ProjectError, match="reads 'shop_info__tow'; name a request field, view__feature, table__column or another"):
        replace(MODEL, features=[tabled.SHOP_INFO, derive(of_the_town)])


def test_a_project_holds_what_its_models_read_and_each_name_once() -> None:
    streams = tabled.project.streams
    with pytest.raises(ProjectError, match=r"model 'late_order' reads table 'shop_info'; add it to tables=\[\.\.\.\]"):
        Project("p", streams=streams, views=[tiny.BY_SHOP], models=[MODEL])
    with pytest.raises(ProjectError, match="table 'shop_info' reads stream 'shops'; add it to streams="):
        Project("p", streams=streams[:2], tables=[tabled.SHOP_INFO])
    with pytest.raises(ProjectError, match="two views or tables are called 'by_shop'; rename one"):
        Project("p", streams=streams, views=[tiny.BY_SHOP], tables=[Table("by_shop", tabled.SHOPS, key="shop", columns=["town"])])
    assert tabled.project.retention_ms["shops"] == 3_650 * DAY_MS
