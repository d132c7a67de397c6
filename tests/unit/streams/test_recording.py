from tidemill.streams.recording import Asked, Counts, Recorded, Recording


def test_counts_add_up_column_by_column() -> None:
    one = Counts(received=10, applied=4, duplicate=3, late=2, rejected=1)
    other = Counts(received=5, applied=0, duplicate=1, late=1, rejected=3)
    assert one + other == Counts(received=15, applied=4, duplicate=4, late=3, rejected=4)
    assert sum([one, other], Counts()) == one + other


def test_a_recording_can_be_told_twice() -> None:
    events = [Recorded("taps", 1_000, "{}"), Recorded("taps", 2_000, "{}")]
    asked = Asked(1_500, "m", {"tap": "t1"})
    recording = Recording(lambda: iter(events), lambda: iter([asked]), lambda: {"taps": Counts(received=2, rejected=2)}, 1_000, 2_000)
    assert list(recording.events()) == list(recording.events()) == events
    assert list(recording.requests()) == list(recording.requests()) == [asked]
