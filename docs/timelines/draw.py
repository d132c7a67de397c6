"""Draws the timelines of `docs/values.md`: `python docs/timelines/draw.py` writes one SVG beside it for each."""

from __future__ import annotations

from pathlib import Path

from timeline import Timeline  # beside this file, which is a script


def two_times() -> Timeline:
    drawn = Timeline("A question sees what was known by then, whenever it happened", ["happened", "known"], (0, 10))
    for name, happened, known in (("p1", 2.5, 2.6), ("p2", 4.5, 8)):
        drawn.dot(0, happened, name)
        drawn.dot(1, known)
        drawn.note(1, known + 0.15, name, anchor="start")
        drawn.arrow((0, happened), (1, known))
    drawn.mark(6, "asked at 12:06: p1")
    drawn.mark(9, "asked at 12:09: p1 and p2")
    return drawn


def buckets() -> Timeline:
    drawn = Timeline(
        "Events fall into buckets; a tile is what a bucket sums up to; a value is the merge", ["events", "tiles", "value"], (0, 6)
    )
    for at, amount in ((1, 10), (1.983, 20), (2.017, 30), (4.167, 40)):
        drawn.dot(0, at)
        drawn.note(0, at + (-0.12 if amount == 20 else 0.12), str(amount), anchor="end" if amount == 20 else "start")
    for begin, n, total in ((0, 0, 0), (1, 2, 30), (2, 1, 30), (3, 0, 0), (4, 1, 40), (5, 0, 0)):
        drawn.bar(1, begin, begin + 1, f"n {n}, total {total}" if n else "no tile", "tile" if n else "out")
    drawn.bar(2, 0, 5, "n 4, total 100 (the window has begun at 11:55)")
    drawn.mark(5, "asked at 12:05")
    return drawn


def sawtooth() -> Timeline:
    rows = ["events", "asked at 12:10:00", "asked at 12:10:30", "asked at 12:10:59", "asked at 12:11:00", "length of the window"]
    drawn = Timeline("The window begins at a bucket's edge and ends at the time of the question", rows, (0, 14))
    drawn.dot(0, 1 / 6, "p1")
    drawn.dot(0, 1, "p2")
    for row, at, n in ((1, 10.0, 2), (2, 10.5, 2), (3, 10.983, 2), (4, 11.0, 1)):
        drawn.bar(row, int(at) - 10, at, f"from 12:{int(at) - 10:02}, n {n}")
    teeth = [(begin + side, side) for begin in range(8, 13) for side in (0, 1)]
    drawn.path(5, teeth)
    drawn.note(5, 7.8, "between 10 and 11 minutes", anchor="end")
    return drawn


def idle() -> Timeline:
    rows = ["events", "asked at 12:06", "asked at 12:11", "asked at 12:16"]
    drawn = Timeline("Without a new event the value falls as the window moves on", rows, (-6, 18), every=2)
    drawn.dot(0, 0.5, "p1")
    drawn.dot(0, 5.5, "p2")
    drawn.note(0, 11.5, "nothing happens any more", "soft")
    for row, at, says in ((1, 6, "n 2, total 30"), (2, 11, "n 1, total 20"), (3, 16, "n 0, total missing")):
        drawn.bar(row, at - 10, at, says)
    return drawn


def order() -> Timeline:
    drawn = Timeline("Two orders of arrival, one value", ["card a happened", "card a known", "card b happened", "card b known"], (0, 11))
    for row, arrivals in ((0, (5, 6, 7)), (2, (6, 7, 5))):
        for happened, known in zip((1, 2, 3), arrivals, strict=True):
            drawn.dot(row, happened, f"{10 * happened}")
            drawn.dot(row + 1, known)
            drawn.arrow((row, happened), (row + 1, known))
        drawn.note(row + 1, 8.1, "n 3, total 60, newest 30", anchor="start")
    drawn.mark(8, "asked at 12:08")
    return drawn


def late() -> Timeline:
    rows = ["p1", "p2, 6 min old", "p3, 20 min old", "p4, 1 ms older", "retention at 12:22"]
    drawn = Timeline("Old events update their old bucket, up to the retention", rows, (0, 24), every=2)
    drawn.dot(0, 20, "on time")
    for row, happened, known in ((1, 15, 21), (2, 2, 22), (3, 1.6, 22)):
        drawn.dot(row, happened, kind="no" if row == 3 else "in")
        drawn.arrow((row, happened), (row, known))
    drawn.note(1, 14.6, "its tile of 12:15 is updated", anchor="end")
    drawn.note(2, 22.2, "applied", anchor="start")
    drawn.note(3, 22.2, "late", "bad", "start")
    drawn.bar(4, 2, 22, "the retention: window 10 + bucket 1 + allowed_lateness 9", "keep")
    return drawn


def ahead() -> Timeline:
    rows = ["p1, 12:10:50", "p2, 12:13:00", "p3, 12:15:20", "p4, 1 ms later", "five minutes ahead"]
    drawn = Timeline("An event from ahead counts when its bucket has begun; too far ahead is rejected", rows, (9, 18))
    for row, counts, happens in ((0, 10.333, 10.833), (1, 13, 13), (2, 15, 15.333)):
        drawn.bar(row, counts, 18)
        drawn.dot(row, happens)
        drawn.note(row, happens + 0.2, "counts from here on" if row else "its bucket has begun: counts at once", anchor="start")
    drawn.dot(3, 15.4, kind="no")
    drawn.note(3, 15.6, "rejected", "bad", "start")
    drawn.bar(4, 10.333, 15.333, "max_ahead", "keep")
    drawn.mark(10.333, "all become known at 12:10:20")
    return drawn


def duplicates() -> Timeline:
    drawn = Timeline("Of several with one id the first known counts", ["p1 becomes known", "its id is remembered"], (0, 24), every=2)
    for at, says in ((0, "10"), (4, "10"), (5, "99"), (19.7, "10")):
        drawn.dot(0, at, says, "out" if at else "in")
    drawn.note(0, 0.4, "counts", anchor="start")
    drawn.note(0, 5.5, "duplicates, whatever they say", anchor="start")
    drawn.dot(0, 20.4, kind="no")
    drawn.note(0, 20.8, "late by rule", "bad", "start")
    drawn.bar(1, 0, 20, "event_time + retention of 20 minutes", "keep")
    return drawn


def corrections() -> Timeline:
    drawn = Timeline("A correction is a new event, known later", ["p1: 500", "p1.undo: -500", "p1.v2: 50", "total", "newest"], (0, 7))
    drawn.dot(0, 1)
    for row in (1, 2):
        drawn.dot(row, 1)
        drawn.dot(row, 4)
        drawn.arrow((row, 1), (row, 4))
        drawn.note(row, 4.15, "known at 12:04", anchor="start")
    drawn.note(0, 1.15, "known at once", anchor="start")
    for row in (3, 4):
        drawn.bar(row, 1, 4, "500", "tile")
        drawn.bar(row, 4, 7, "50")
    return drawn


def missing() -> Timeline:
    drawn = Timeline(
        "What is missing and what is zero", ["card a: no event", "card b: amount null", "card c: amount 0", "no card: 70"], (0, 9)
    )
    answers = ("n 0, n_amounts 0, total missing", "n 1, n_amounts 0, total missing", "n 1, n_amounts 1, total 0", "in nobody's value")
    for row, says in enumerate(answers):
        drawn.bar(row, 0, 5, kind="window" if row < 3 else "out")
        drawn.note(row, 5.2, says, anchor="start")
        if row:
            drawn.dot(row, 1, kind="in" if row == 2 else "out")
    drawn.mark(5, "asked at 12:05")
    return drawn


def tables() -> Timeline:
    rows = ["l1: 500, North", "l2: 300, North", "l3: 900, South", "l0: 700, North", "l4: 100, null", "limit__most", "limit__bank"]
    drawn = Timeline("Of the rows that are known, the newest that is valid holds", rows, (-1, 15))
    for row, valid, known in ((0, 0, 0), (1, 3, 6), (2, 10, 8), (3, 9, 11), (4, 13, 13)):
        drawn.dot(row, valid, kind="out" if row == 3 else "in")
        if valid != known:
            drawn.arrow((row, valid), (row, known))
    drawn.note(0, 0.2, "valid and known at once", anchor="start")
    drawn.note(1, 6.15, "known late", anchor="start")
    drawn.note(2, 7.85, "known ahead", anchor="end")
    drawn.note(3, 8.85, "known last, never the newest", anchor="end")
    for begin, end, most, bank in ((0, 6, "500", "North"), (6, 10, "300", "North"), (10, 13, "900", "South"), (13, 15, "100", "missing")):
        drawn.bar(5, begin, end, most, "tile" if begin in (0, 10) else "window")
        drawn.bar(6, begin, end, bank, "out" if bank == "missing" else "tile" if begin in (0, 10) else "window")
    return drawn


def position() -> Timeline:
    drawn = Timeline(
        "The tiles hold the log up to one position", ["the log", "tiles and ids", "the lake"], (0.5, 6.5), name="offset {:.0f}".format
    )
    for offset, known in ((1, "12:01"), (2, "12:07"), (3, "12:08"), (4, "12:09"), (5, "12:09"), (6, "12:10")):
        drawn.bar(0, offset - 0.45, offset + 0.45, f"known {known}", "tile" if offset <= 3 else "out")
    drawn.bar(1, 0.55, 3.5, "asked for 12:08 or later")
    drawn.note(1, 5, "pending: not in any answer yet", "soft")
    drawn.bar(2, 0.55, 3.5, "asked for a time before 12:08", "keep")
    drawn.mark(3.5, "position: the last offset applied")
    return drawn


def parity() -> Timeline:
    rows = ["the log knows", "the tiles hold", "n, as served", "at its position", "known by then"]
    drawn = Timeline("Served values, recomputed at their position and by time", rows, (0, 8))
    for name, known, applied in (("p1", 1, 1.15), ("p2", 5, 5.6)):
        drawn.dot(0, known, name)
        drawn.dot(1, applied)
        drawn.arrow((0, known), (1, applied))
    for at, text, served, by_time in ((2, "12:02", 1, 1), (5.333, "12:05:20", 1, 2), (6, "12:06", 2, 2), (7, "12:07", 2, 2)):
        drawn.mark(at, text)
        for row, value in ((2, served), (3, served), (4, by_time)):
            drawn.note(row, at + 0.1, str(value), "bad" if value != served else "", "start")
    drawn.note(4, 4.9, "the engine was behind: lag skew", "bad", "end")
    return drawn


ALL = (two_times, buckets, sawtooth, idle, order, late, ahead, duplicates, corrections, missing, tables, position, parity)


def drawings() -> dict[str, str]:
    """Each file's name and content."""
    return {f"{draw.__name__.replace('_', '-')}.svg": draw().svg() for draw in ALL}


if __name__ == "__main__":
    for file_name, content in drawings().items():
        Path(__file__).with_name(file_name).write_text(content, encoding="utf-8")
