"""What a table declares, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.events.planes import OWNED, PLANE, PLANES
from tidemill.clock import DAY_MS
from tidemill.errors import ProjectError
from tidemill.events import Stream
from tidemill.features import Table


def test_a_vector_names_its_columns_and_knows_what_they_hold() -> None:
    assert PLANE.column_kinds == {
        "plane__seats": "number",
        "plane__maker": "text",
        "plane__range_km": "number",
        "plane__built": "number",
        "plane__leased": "number",
        "plane__owner": "text",
    }
    assert (PLANE.entity_fields, OWNED.entity_fields) == (("tail",), ("tail", "owner"))


def test_rows_are_accepted_for_ten_years_unless_it_says_otherwise() -> None:
    assert (PLANE.retention_ms, OWNED.retention_ms) == (3_650 * DAY_MS, 30 * DAY_MS)
    patient = Stream("patient", schema=PLANES.schema, event_time="valid_from", event_id="row_id", allowed_lateness="40d")
    assert replace(OWNED, stream=patient).retention_ms == 40 * DAY_MS


def test_the_definition_is_all_that_values_depend_on() -> None:
    definition = {"stream": "planes", "entity": ["tail", "owner"], "columns": [["maker", "text"], ["seats", "number"]]}
    assert json.loads(OWNED.definition) == definition
    assert json.loads(replace(OWNED, version=2).definition) == definition | {"version": 2}
    others = [replace(OWNED, columns=["seats", "maker"]), replace(OWNED, key="tail"), replace(OWNED, version=2)]
    assert len({OWNED.digest, *(other.digest for other in others)}) == 4
    assert replace(OWNED, owner="fleet", description="d", allowed_lateness="1d").digest == OWNED.digest, "these change no value"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": []}, "table 'plane': no columns; list at least one of row_id, valid_from, tail"),
        ({"columns": "seats"}, "no columns"),
        ({"columns": ["seat"]}, "column 'seat' is not a field of stream 'planes'; choose of row_id, valid_from, tail"),
        ({"columns": ["seats", "seats"]}, "column 'seats' is there twice; leave one out"),
        ({"key": ()}, "no key; choose of row_id, tail, owner, maker"),
        ({"key": "seats"}, "key 'seats' is not a text field of stream 'planes'; choose of row_id, tail, owner, maker"),
        ({"key": ("tail", "x")}, "key 'x' is not a text field"),
        ({"allowed_lateness": "long"}, "'long' is not a duration"),
        ({"version": 0}, "version=0 is no version; write a whole number from 1 on"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ProjectError, match="table 'plane'") as refused:
        replace(PLANE, **changes)
    assert said in str(refused.value)


def test_a_table_is_made_as_a_view_is() -> None:
    made = Table("plane", PLANES, key="tail", columns=("seats",), owner="fleet", description="what a plane is")
    assert (made.kind, made.columns, made.owner) == ("table", ("seats",), "fleet")
