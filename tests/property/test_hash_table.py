"""The hash table against a dict, under collisions, growth and processes that die between claim and put."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tidemill.stores import table_catalog, table_files
from tidemill.stores.change_journal import Write
from tidemill.stores.hash_table import capacity_for
from tidemill.stores.table_catalog import Entry
from tidemill.stores.table_files import TableFiles

WIDTH = 2
# Few first tags, so that slots, fragments and whole first halves collide; the second half then decides.
FIRST = st.sampled_from([1, 2, 127, 128, 255, 256, 257, 2**32, 2**32 + 1, 2**33, 2**63 + 1, 2**64 - 1])
DIGESTS = st.tuples(FIRST, st.integers(1, 40))
BATCHES = st.lists(st.tuples(st.sets(DIGESTS, max_size=60), st.booleans()), max_size=8)


def tags_of(digests: Sequence[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    halves = np.array(digests, dtype=np.uint64).reshape(-1, 2)
    return halves[:, 0].copy(), halves[:, 1].copy()


@settings(max_examples=60)
@given(batches=BATCHES)
@example(batches=[({(255, second) for second in range(1, 41)}, True), ({(256, 1), (255, 1), (0xFFFFFFFFFFFFFFFF, 3)}, True)])
def test_it_holds_what_a_dict_holds(batches: list[tuple[set[tuple[int, int]], bool]]) -> None:
    """A batch that is claimed and not put, as by a process that died, says nothing and can be claimed again."""
    held: dict[tuple[int, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        files = TableFiles(Path(folder))
        for number, (wanted, put) in enumerate(batches):
            digests = sorted(wanted)
            a, b = tags_of(digests)
            table = files.ensure("one", WIDTH, len(digests))
            rows, fresh = table.claim(a, b)
            assert len(set(rows.tolist())) == len(digests)
            assert fresh.tolist() == [digest not in held for digest in digests]
            assert [list(state) for state in table.states(rows[~fresh])] == [held[one] for one in digests if one in held]
            if put:
                states = np.array([[number, place] for place in range(len(digests))], dtype=np.float64).reshape(-1, WIDTH)
                table.put(rows, b, states)
                held |= dict(zip(digests, states.tolist(), strict=True))
            asked = sorted({*held, *digests, (3, 3), (255, 41)})
            found = files.tables()["one"].find(*tags_of(asked))
            assert [row >= 0 for row in found.tolist()] == [digest in held for digest in asked]
            assert [list(state) for state in table.states(found[found >= 0])] == [held[digest] for digest in asked if digest in held]
        files.close()


def test_a_change_that_was_given_up_leaves_rows_for_the_next_try(tmp_path: Path) -> None:
    files = TableFiles(tmp_path)
    a, b = tags_of([(5, 1), (6, 1), (5, 2)])
    table = files.ensure("one", 1, 3)
    table.put(table.claim(a[:1], b[:1])[0], b[:1], np.array([[9.0]]))
    for _ in range(3):
        rows, fresh = table.claim(a, b)
        files.undo([Write(table, rows, b, np.array([[1.0], [2.0], [3.0]]), fresh, np.array([-1.0]))])
    assert (table.used, table.states(table.find(a, b))[:, 0].tolist()) == (3, [9.0, -1.0, -1.0])
    files.close()


def test_it_grows_and_keeps_everything(tmp_path: Path) -> None:
    files = TableFiles(tmp_path)
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, 2**64, (2, 20_000), dtype=np.uint64)
    for begin in range(0, len(a), 700):
        piece = slice(begin, begin + 700)
        table = files.ensure("one", 1, len(a[piece]))
        rows, fresh = table.claim(a[piece], b[piece])
        assert fresh.all()
        table.put(rows, b[piece], np.arange(begin, begin + len(rows), dtype=np.float64)[:, None])
    other = TableFiles(tmp_path)
    table = other.tables()["one"]
    assert (table.used, table.capacity) == (20_000, capacity_for(20_000))
    assert table.states(table.find(a, b))[:, 0].tolist() == list(range(20_000))
    assert (table.find(b, a) == -1).all()
    assert {path.suffix for path in tmp_path.glob("one*")} == {".index", ".rows"}
    assert len(list(tmp_path.glob("one*"))) == 2, "what it has grown out of is gone"
    files.close()
    other.close()


def test_a_change_is_applied_by_whoever_comes_next(tmp_path: Path) -> None:
    """The writer died after the database had committed the change and before the rows were put."""
    files = TableFiles(tmp_path)
    table = files.ensure("one", 1, 3)
    a, b = tags_of([(5, 1), (6, 1), (7, 1)])
    rows, fresh = table.claim(a, b)
    files.prepare(1, '{"s":{"0":9}}', 77, [Write(table, rows, b, np.array([[1.5], [2.5], [3.5]]), fresh, np.array([0.0]))])
    files.close()
    again = TableFiles(tmp_path)
    assert (again.tables()["one"].find(a, b) == -1).all()
    assert again.recover(committed=0), "the database did not commit it, so it never was"
    assert (again.tables()["one"].find(a, b) == -1).all()
    assert again.recover(committed=1)
    assert again.tables()["one"].states(again.tables()["one"].find(a, b))[:, 0].tolist() == [1.5, 2.5, 3.5]
    assert (again.position(), again.change) == (('{"s":{"0":9}}', 77), 1)
    assert again.recover(committed=1)
    assert not again.recover(committed=3), "changes are missing that no journal holds"
    again.close()


@pytest.mark.parametrize("step", ["before", "after"])
def test_who_dies_while_a_table_grows_hides_no_row_from_anybody(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next writer knew the tables from before; one reader opens them between the two, another has them open all the time."""
    next_writer, reader, write_catalog = TableFiles(tmp_path), TableFiles(tmp_path), table_catalog.write_catalog

    def put(files: TableFiles, first: int, n: int) -> None:
        a, b = tags_of([(first + place, 1) for place in range(n)])
        with files.writing():
            table = files.ensure("one", 1, n)
            table.put(table.claim(a, b)[0], b, np.ones((n, 1)))

    def found(files: TableFiles) -> int:
        with files.reading() as tables:
            return int((tables["one"].find(*tags_of([(1 + place, 1) for place in range(2_000)])) >= 0).sum())

    put(next_writer, 1, 100)
    assert found(reader) == 100

    def die(folder: Path, entries: Mapping[str, Entry]) -> None:
        if step == "after":
            write_catalog(folder, entries)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(table_files, "write_catalog", die)
        put(TableFiles(tmp_path), 101, 900)
    between = TableFiles(tmp_path)
    assert (found(reader), found(between)) == (100, 100)
    put(next_writer, 101, 10)
    put(next_writer, 111, 1_000)
    with next_writer.writing():
        next_writer.ensure("another", 1, 1)
    assert [found(files) for files in (next_writer, reader, between, TableFiles(tmp_path))] == [1_110] * 4
