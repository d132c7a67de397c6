"""Values that JSON can say and a request may not hold: each is refused with its place, and stops nobody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime

import pytest
from pydantic import BaseModel

from tests import tiny
from tidemill import Label, Project, Requests, Stream, col
from tidemill.errors import InputError
from tidemill.events import MAX_KEY_BYTES
from tidemill.project import Workspace
from tidemill.registry import Registry
from tidemill.serving import Champions
from tidemill.serving.predictor import Predictor


class Visit(BaseModel):
    """A question with a value of each kind."""

    order_id: str
    placed_at: int
    shop: str
    amount: float | None = None
    riders: int | None = None
    seen: datetime | None = None


VISITS = Stream("visits", schema=Visit, event_time="placed_at", event_id="order_id")
MODEL = replace(
    tiny.LATE_ORDER,
    request=Visit,
    requests=Requests(VISITS, at=col("placed_at")),
    label=Label(tiny.DELIVERIES, key="order_id", value=col("delay_min") >= 15, within="6h"),
)
PROJECT = Project("visited", streams=[VISITS, tiny.DELIVERIES], views=[tiny.BY_SHOP], models=[MODEL])
GOOD = {"order_id": "q1", "placed_at": 5, "shop": "a"}


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    with closing(Workspace.open(PROJECT, tmp_path_factory.mktemp("home"))) as workspace:
        yield Predictor(workspace, Champions(workspace, Registry("http://127.0.0.1:9", workspace.home), "test"), workspace.now_ms)


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        ('"riders": 1' + "0" * 400, r"1\.riders: "),
        ('"riders": 9223372036854775808', "1.riders: a whole number of more than 64 bits"),
        ('"placed_at": -9223372036854775809', "1.placed_at: a whole number of more than 64 bits"),
        ('"amount": 1e39', r"1.amount: 1e\+39; a model reads numbers of up to 3.403e\+38"),
        ('"amount": 1e999', "1.amount"),
        ('"amount": NaN', "1"),
        ('"seen": "2014-05-13T00:00:00"', "1.seen: 2014-05-13T00:00:00 has no time zone; add one"),
        ('"seen": "0001-01-01T00:00:00+05:00"', "1.seen: .* lies outside the years 1 to 9999"),
        ('"order_id": "' + "x" * (MAX_KEY_BYTES + 1) + '"', "1.order_id: a key of 501 bytes; at most 500"),
    ],
)
def test_it_is_refused_with_its_place(predictor: Predictor, odd: str, said: str) -> None:
    body = f"[{json.dumps(GOOD)}, {json.dumps(GOOD)[:-1]}, {odd}}}]"
    with pytest.raises(InputError, match=said):
        predictor.parse(MODEL, body.encode(), 10)


def test_what_lies_at_the_edge_is_taken(predictor: Predictor) -> None:
    texts = {"order_id": "x" * MAX_KEY_BYTES, "shop": "y" * 9_000, "seen": "9999-12-31T00:00:00+05:00"}
    edge = {**GOOD, **texts, "amount": 3.4e38, "riders": 2**63 - 1}
    assert len(predictor.parse(MODEL, json.dumps(edge).encode(), 10)) == 1
