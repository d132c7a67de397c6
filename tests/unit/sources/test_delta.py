"""A Delta table as a source: what a version adds, whatever else is done to the table."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from tests.feeds import project_of
from tidemill.errors import NotReadyError
from tidemill.events import Copied
from tidemill.sources import Delta


class Following:
    """A table that is followed, with a reader opened anew for every look."""

    def __init__(self, folder: Path) -> None:
        self.source = Delta(str(folder), look_every_s=0.01)
        self.checkpoint = ""

    def put(self, *numbers: int) -> None:
        """A version with these rows more."""
        write_deltalake(self.source.table, pa.table({"n": list(numbers)}), mode="append")

    def look(self, limit: int = 3) -> list[int]:
        """What has come."""
        found: list[int] = []
        while True:
            reader = self.source.open(project_of(self.source).streams[0], Copied(self.checkpoint, lambda _name: False))
            arrived = reader.read(limit)
            reader.close()
            if arrived is None:
                return found
            assert len(arrived.payloads) <= limit
            found += [json.loads(payload)["n"] for payload in arrived.payloads]
            self.checkpoint = arrived.checkpoint


@pytest.fixture
def following(tmp_path: Path) -> Following:
    """Nothing is there yet."""
    return Following(tmp_path / "table")


def test_what_is_there_comes_first_then_each_version(following: Following) -> None:
    following.put(1, 2)
    following.put(3, 4, 5, 6)
    assert sorted(following.look()) == [1, 2, 3, 4, 5, 6]
    following.put(7, 7, 8, 9)
    following.put(10)
    assert following.look() == [7, 7, 8, 9, 10]
    assert following.look() == []


def test_merged_files_and_deleted_rows_bring_nothing_twice(following: Following) -> None:
    following.put(1, 2, 3)
    assert sorted(following.look()) == [1, 2, 3]
    following.put(4, 5)
    DeltaTable(following.source.table).optimize.compact()
    following.put(6)
    DeltaTable(following.source.table).delete("n = 2")
    assert sorted(following.look()) == [4, 5, 6]
    DeltaTable(following.source.table).update(updates={"n": "n + 100"}, predicate="n = 5")
    assert following.look() == [105]


def test_a_table_that_changes_its_columns_or_properties_is_followed(following: Following) -> None:
    """Of a version that does, Delta's change feed tells nothing where it was not switched on."""
    table = following.source.table
    write_deltalake(table, pa.table({"n": [1, 2], "day": ["mo", "tu"]}), partition_by=["day"])
    assert sorted(following.look()) == [1, 2]
    write_deltalake(table, pa.table({"n": [3, 4], "day": ["mo", "mo"], "note": ["a", "b"]}), mode="append", schema_mode="merge")
    assert sorted(following.look()) == [3, 4]
    DeltaTable(table).alter.set_table_properties({"delta.logRetentionDuration": "interval 90 days"})
    write_deltalake(table, pa.table({"n": [5], "day": ["tu"]}), mode="append", schema_mode="merge")
    DeltaTable(table).delete("n = 1")
    assert following.look() == [5]
    write_deltalake(table, pa.table({"n": [2.5, 3.0], "day": ["mo", "tu"]}), mode="overwrite", schema_mode="overwrite")
    write_deltalake(table, pa.table({"n": [2.5, 4.5], "day": ["mo", "we"], "more": [1, 2]}), mode="overwrite", schema_mode="overwrite")
    assert sorted(following.look()) == [2.5, 2.5, 3.0, 4.5], "a row that has a column more has changed"


def test_infinite_numbers_are_left_for_the_engine_to_reject_and_nan_is_null(tmp_path: Path) -> None:
    write_deltalake(str(tmp_path), pa.table({"n": [1.5, float("nan"), float("inf"), -float("inf")]}))
    reader = Delta(str(tmp_path)).open(project_of(Delta("x")).streams[0], Copied("", lambda _name: False))
    arrived = reader.read(10)
    assert arrived is not None
    assert [json.loads(payload)["n"] for payload in arrived.payloads] == [1.5, None, "inf", "-inf"]


def test_a_table_that_is_not_there_is_an_error_that_says_so(following: Following) -> None:
    with pytest.raises(NotReadyError, match=r"delta table .* cannot be read yet") as told:
        following.look()
    assert "vacuum" not in str(told.value)


def test_what_vacuum_took_before_it_was_copied_is_an_error_and_not_a_gap(following: Following) -> None:
    following.put(1)
    assert following.look() == [1]
    following.put(2, 3)
    table = DeltaTable(following.source.table)
    table.optimize.compact()
    table.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(NotReadyError, match=r"after version 0: .*vacuum"):
        following.look()
