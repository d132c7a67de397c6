"""Files as a source: which of a folder are read, in which order, and what their rows become."""

from __future__ import annotations

import gzip
import json
import os
import re
import time
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.feeds import project_of, taps
from tidemill.errors import EventError, InputError, ProjectError
from tidemill.events import Arrived, Copied, parse_event
from tidemill.sources import Files


def reads(source: Files, checkpoint: str = "", limit: int = 100, done: tuple[str, ...] = ()) -> list[Arrived]:
    """Everything that a reader brings until it has nothing more."""
    finished = set(done)
    reader = source.open(project_of(source).streams[0], Copied(checkpoint, finished.__contains__))
    found = []
    while (arrived := reader.read(limit)) is not None:
        found.append(arrived)
        finished.update(arrived.finished)
    reader.close()
    return found


def texts(arrived: list[Arrived]) -> list[str]:
    """All payloads."""
    return [payload for each in arrived for payload in each.payloads]


def lines(folder: Path, name: str, *rows: str) -> Path:
    """A file of these lines."""
    file = folder / name
    file.write_text("".join(f"{row}\n" for row in rows))
    return file


def of(folder: Path, names: str, settle_s: float = 0.0) -> Files:
    """The files of a folder, looked for often."""
    return Files(f"{folder}/{names}", settle_s=settle_s, look_every_s=0.01)


def test_files_come_by_name_and_hidden_and_other_ones_do_not(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", ".c.jsonl", "_d.jsonl", "e.json", "f.jsonl.part"):
        lines(tmp_path, name, f'{{"from": "{name}"}}')
    (tmp_path / "g.jsonl").mkdir()
    assert texts(reads(of(tmp_path, "*.jsonl"))) == ['{"from": "a.jsonl"}', '{"from": "b.jsonl"}']


def test_blank_lines_are_none_and_what_is_no_json_is_brought_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"n": 1}\r\n\n  \nnot json\n{"n": 3}')
    assert texts(reads(of(tmp_path, "*.jsonl"))) == ['{"n": 1}', "not json", '{"n": 3}']


def test_a_mark_of_utf_8_at_the_head_of_a_file_is_none_of_its_first_name_or_line(tmp_path: Path) -> None:
    """As Excel writes it."""
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbftap_id,zones\r\nx,3\r\n")
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"n": 1}\r\n')
    assert [json.loads(text) for text in texts(reads(of(tmp_path, "*.csv")))] == [{"tap_id": "x", "zones": 3}]
    assert texts(reads(of(tmp_path, "*.jsonl"))) == ['{"n": 1}']


def test_a_large_file_comes_in_parts_and_goes_on_where_it_was_copied_to(tmp_path: Path) -> None:
    file = lines(tmp_path, "a.jsonl", *map(str, range(10)))
    parts = reads(of(tmp_path, "*.jsonl"), limit=4)
    assert [list(part.payloads) for part in parts] == [list("0123"), list("4567"), list("89")]
    assert [list(part.finished) for part in parts] == [[], [], [str(file)]]
    for place, part in enumerate(parts[:2]):
        rest = reads(of(tmp_path, "*.jsonl"), part.checkpoint)
        assert texts(rest) == texts(parts[place + 1 :])


def test_a_file_that_ends_with_a_full_part_is_finished_by_an_empty_one(tmp_path: Path) -> None:
    file = lines(tmp_path, "a.jsonl", *map(str, range(4)))
    assert [(len(part.payloads), list(part.finished)) for part in reads(of(tmp_path, "*.jsonl"), limit=4)] == [(4, []), (0, [str(file)])]


def test_what_is_finished_is_not_read_again_even_when_it_changes(tmp_path: Path) -> None:
    file = lines(tmp_path, "a.jsonl", "1")
    (part,) = reads(of(tmp_path, "*.jsonl"))
    lines(tmp_path, "a.jsonl", "1", "2")
    lines(tmp_path, "b.jsonl", "3")
    assert texts(reads(of(tmp_path, "*.jsonl"), part.checkpoint, done=(str(file),))) == ["3"]


def test_a_file_that_is_still_young_is_left_alone(tmp_path: Path) -> None:
    file = lines(tmp_path, "a.jsonl", "1")
    assert reads(of(tmp_path, "*.jsonl", settle_s=60.0)) == []
    os.utime(file, (time.time() - 61, time.time() - 61))
    assert texts(reads(of(tmp_path, "*.jsonl", settle_s=60.0))) == ["1"]


def test_a_folder_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    assert reads(of(tmp_path / "later", "*.jsonl")) == []


def test_compressed_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"tap_id,zones\nx,3\n"))
    assert [json.loads(text) for text in texts(reads(of(tmp_path, "*.csv.gz")))] == [{"tap_id": "x", "zones": 3}]


def test_values_of_a_csv_become_what_the_schema_asks_for_and_what_does_not_fit_stays_for_the_engine_to_judge(tmp_path: Path) -> None:
    lines(
        tmp_path,
        "a.csv",
        "tap_id,at,gate,fare,zones,is_child,unknown",
        "12,2026-03-01T00:00:00Z,7,1.5,2,true,9",
        "13,2026-03-01T00:00:00Z,,,2,No,",
        "14,2026-03-01T00:00:00Z,7,cheap,2.5,perhaps,9",
        "15,2026-03-01T00:00:00Z,7,1,2,true,9,,",
        "16",
    )
    rows = [json.loads(text) for text in texts(reads(of(tmp_path, "*.csv")))]
    at = "2026-03-01T00:00:00+00:00"
    assert rows[0] == {"tap_id": "12", "at": at, "gate": "7", "fare": 1.5, "zones": 2, "is_child": True, "unknown": "9"}
    assert rows[1] == {"tap_id": "13", "at": at, "gate": None, "fare": None, "zones": 2, "is_child": False, "unknown": None}
    assert (rows[2]["fare"], rows[2]["zones"], rows[2]["is_child"]) == ("cheap", "2.5", "perhaps")
    assert rows[3]["unknown"] == "9", "a comma at the end is no value"
    assert rows[4] == {"tap_id": "16", "at": None, "gate": None, "fare": None, "zones": None, "is_child": None, "unknown": None}
    stream = project_of(of(tmp_path, "*.csv")).streams[0]
    assert parse_event(orjson.dumps(rows[0]).decode(), stream, 2**41).event_id == "12"
    with pytest.raises(EventError, match="fare"):
        parse_event(orjson.dumps(rows[2]).decode(), stream, 2**41)


def test_a_row_that_cannot_be_read_as_it_was_meant_is_no_event_and_says_where_it_stands(tmp_path: Path) -> None:
    rows = [
        b"tap_id,at,zones,is_child,gate,fare",
        b"1,2026-03-01,1,no,a,1,and,more",
        b"2,2026-03-01,1,no,\xfcber,1",
        b'3,2026-03-01,1,no,"a"b,1',
        b'4,2026-03-01,1,no,"two\nlines",1',
        b"5,2026-03-01,1,no,\xfcber,1",
    ]
    (tmp_path / "a.csv").write_bytes(b"\n".join(rows))
    (tmp_path / "a.jsonl").write_bytes(b'{"tap_id": "\xfcber"}\n')
    read = texts(reads(of(tmp_path, "*.csv"), limit=2)) + texts(reads(of(tmp_path, "*.jsonl")))
    stream, why = project_of(of(tmp_path, "*.csv")).streams[0], []
    for text in read:
        try:
            parse_event(text, stream, 2**41)
            why.append("")
        except EventError as error:
            why.append(f"{error.reason} {error.detail}")
    assert why == [
        "unreadable a.csv, line 2: 8 values, where the first line names 6",
        "unreadable a.csv, line 3: not UTF-8, which byte 0xfc is no part of",
        "unreadable a.csv, line 4: ',' expected after '\"'",
        "",
        "unreadable a.csv, line 7: not UTF-8, which byte 0xfc is no part of",
        "unreadable a.jsonl, line 1: not UTF-8, which byte 0xfc is no part of",
    ]
    assert [json.loads(text)[0]["_text"] for text in read[:3]] == [
        "1,2026-03-01,1,no,a,1,and,more",
        r"2,2026-03-01,1,no,\xfcber,1",
        '3,2026-03-01,1,no,"a"b,1',
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'tap_id,at\n1,2026\n2,"2026\n3,2026\n', "unexpected end of data, in what begins at line 3"),
        (b"tap_id,stra\xdfe\n1,2\n", "its first line is not UTF-8, which byte 0xdf is no part of"),
        (
            b"1;2026-03-01\n2;2026-03-01\n",
            "its first line, '1;2026-03-01', names none of the fields at, fare, gate, is_child, tap_id, zones",
        ),
        (b"tap_id,Zones,zones\n1,2,3\n", "its columns 'Zones' and 'zones' are all the field zones; rename all but one"),
    ],
)
def test_a_file_of_which_more_than_a_row_cannot_be_read_stops_the_copy(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=re.escape(f"a.csv: cannot be read as csv: {said}; mend it, or move it away to go on")):
        reads(of(tmp_path, "*.csv"))


def test_columns_are_the_fields_that_init_would_make_of_them_and_those_that_the_schema_names(tmp_path: Path) -> None:
    lines(tmp_path, "a.csv", "Tap-ID,zones,Fare (EUR),fare,Note,note", "x,3,1,2,a,b")
    (row,) = (json.loads(text) for text in texts(reads(of(tmp_path, "*.csv"))))
    assert row == {"tap_id": "x", "zones": 3, "fare_eur": "1", "fare": 2.0, "note": "a", "note_2": "b"}


def test_times_of_a_csv_without_a_zone_are_utc_and_numbers_are_times_too(tmp_path: Path) -> None:
    told = ["2026-03-01T00:00:00", "2026-03-01 00:00", "2026-03-01", "2026-03-01T01:00+01:00", "1772323200", "1772323200000", "03/01/2026"]
    lines(tmp_path, "a.csv", "tap_id,at,zones,is_child", *(f"{place},{at},1,no" for place, at in enumerate(told)))
    *times, other = texts(reads(of(tmp_path, "*.csv")))
    stream = project_of(of(tmp_path, "*.csv")).streams[0]
    nulls = {"gate": None, "fare": None}
    events = [parse_event(orjson.dumps({**json.loads(text), **nulls}).decode(), stream, 2**41) for text in times]
    assert [event.event_time_ms for event in events] == [1_772_323_200_000] * len(events)
    with pytest.raises(EventError, match="send ISO 8601 with its zone"):
        parse_event(orjson.dumps({**json.loads(other), **nulls}).decode(), stream, 2**41)


def test_a_parquet_file_that_is_none_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 it begins like one")
    with pytest.raises(InputError, match=r"a\.parquet: cannot be read as parquet: .*move it away"):
        reads(of(tmp_path, "*.parquet"))


def test_a_parquet_file_without_rows_is_finished(tmp_path: Path) -> None:
    schema = pa.Table.from_pylist([tap.model_dump() for tap in taps(0, 1)]).schema
    pq.write_table(schema.empty_table(), tmp_path / "a.parquet")
    assert [(len(part.payloads), len(part.finished)) for part in reads(of(tmp_path, "*.parquet"))] == [(0, 1)]


@pytest.mark.parametrize(
    ("pattern", "said"), [("in/*.txt", "which format"), ("in/*", "which format"), ("in/*/a.csv", "folder has a"), ("", "which format")]
)
def test_a_pattern_that_cannot_be_read_is_refused(pattern: str, said: str) -> None:
    with pytest.raises(ProjectError, match=said):
        Files(pattern)
