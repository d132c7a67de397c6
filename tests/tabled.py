"""The tiny project with a table: what is true of each shop, and since when.

It is a project file like any other (`TIDEMILL_PROJECT=tests/tabled.py`).
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from tests import tiny
from tidemill import Project, Stream, Table, derive
from tidemill.clock import DAY_MS, HOUR_MS, to_utc
from tidemill.events import Column
from tidemill.project import Workspace
from tidemill.streams import Entry

FILE = Path(__file__)
TOWNS = {"a": "Leek", "b": "Leek", "c": "Ripon", "d": "Ripon", "e": "Wells"}


class Shop(BaseModel):
    """What is true of a shop from `valid_from` on."""

    row_id: str
    valid_from: datetime
    shop: str
    town: str | None
    size: int | None
    opened: datetime | None
    chain: bool | None = None


def size_per_amount(amount: Column, shop_info__size: Column) -> Column:
    """A derived feature of a field and a column of the table."""
    return shop_info__size / amount


def make_estimator() -> Pipeline:
    """A logistic regression that takes the shop's town."""
    numbers = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["shop_info__town"]),
        (numbers, ["amount", "by_shop__mean_delay_3h", "shop_info__size", "shop_info__chain"]),
    )
    return make_pipeline(encode, LogisticRegression())


SHOPS = Stream("shops", schema=Shop, event_time="valid_from", event_id="row_id")
SHOP_INFO = Table(
    "shop_info", SHOPS, key="shop", columns=["size", "town", "opened", "chain"], owner="ann", description="What is true of a shop."
)
LATE_ORDER = replace(
    tiny.LATE_ORDER,
    features=["amount", tiny.BY_SHOP, SHOP_INFO, derive(size_per_amount)],
    estimator=make_estimator,
    slices=("shop_info__town",),
)


def named(name: str) -> Project:
    """The project under a name of its own."""
    return Project(name, streams=[tiny.ORDERS, tiny.DELIVERIES, SHOPS], views=[tiny.BY_SHOP], tables=[SHOP_INFO], models=[LATE_ORDER])


project = named("tabled")


def row(row_id: str, at_ms: int, shop: str = "a", *, known_at_ms: int | None = None, **fields: object) -> Entry:
    """A row as a source sends it."""
    of = {"town": TOWNS.get(shop), "size": 40, "opened": None, **fields}
    payload = json.dumps({"row_id": row_id, "valid_from": to_utc(at_ms).isoformat(), "shop": shop, **of})
    return Entry("shops", payload, at_ms if known_at_ms is None else known_at_ms)


def first_rows(at_ms: int = tiny.START_MS) -> list[Entry]:
    """What is true of each shop in the beginning; of shop `e` nobody knows anything."""
    opened = to_utc(at_ms - 400 * DAY_MS).isoformat()
    return [row(f"{shop}1", at_ms, shop, size=100 + place, opened=opened, chain=shop in "ab") for place, shop in enumerate("abcd")]


def live(workspace: Workspace, first_day: int, last_day: int) -> None:
    """Days go by: each noon shop `a` grows, and on day 2 shop `b` moves."""
    noons = [row(f"a-{day}", tiny.START_MS + day * DAY_MS + 12 * HOUR_MS, "a", size=200 + day) for day in range(first_day, last_day)]
    moved = [row("b2", tiny.START_MS + 2 * DAY_MS, "b", town="Wells", size=None)] if first_day <= 2 < last_day else []
    entries = [*(first_rows() if first_day == 0 else []), *noons, *moved, *tiny.history(first_day, last_day)]
    workspace.log.append(sorted(entries, key=lambda entry: entry.known_at_ms or 0), 0)
    workspace.engine().drain(10_000)
    workspace.lake_writer().flush()
