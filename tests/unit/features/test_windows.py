"""Windows and buckets, drawn.

```
 at = 10:07:30, bucket 5 min, window 15 min       floor(at) = 10:05
   09:50   09:55   10:00   10:05   10:10
   |■■■■■■■|■■■■■■■|■■■■■■■|■■■■▒▒▒|              from 09:50 to the end of the bucket that `at` falls in
```
"""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, duration_ms
from tidemill.errors import ProjectError
from tidemill.features import floor_ms
from tidemill.features.windows import MAX_TILES, check_window, default_bucket_ms


@pytest.mark.parametrize(
    ("window_ms", "bucket_ms"),
    [
        (SECOND_MS, SECOND_MS),
        (MINUTE_MS, SECOND_MS),
        (61 * SECOND_MS, 5 * SECOND_MS),
        (HOUR_MS, MINUTE_MS),
        (3 * HOUR_MS, 5 * MINUTE_MS),
        (DAY_MS, HOUR_MS),
        (7 * DAY_MS, 6 * HOUR_MS),
        (30 * DAY_MS, DAY_MS),
        (365 * DAY_MS, DAY_MS),
    ],
)
def test_the_default_bucket_is_a_sixtieth_rounded_up(window_ms: int, bucket_ms: int) -> None:
    assert default_bucket_ms(window_ms) == bucket_ms


@given(st.integers(1, 10_000), st.sampled_from([SECOND_MS, MINUTE_MS, HOUR_MS]), st.none() | st.integers(1, 400))
@example(9_601, HOUR_MS, None)  # 400 days and an hour: 401 days would be refused in turn
@example(401, SECOND_MS, 1)  # a prime
def test_a_window_is_taken_or_each_fix_that_is_named_is(n: int, unit_ms: int, bucket_s: int | None) -> None:
    window_ms = n * unit_ms
    bucket_ms = default_bucket_ms(window_ms) if bucket_s is None else bucket_s * SECOND_MS
    fits = window_ms % bucket_ms == 0 and window_ms // bucket_ms <= MAX_TILES
    try:
        check_window(window_ms, bucket_ms, "here")
    except ProjectError as error:
        assert not fits
        fix = error.fix.removesuffix(", or set bucket=")
        choices = [duration_ms(text) for text in re.findall(r"'(\w+)'", fix)]
        assert choices
        if fix.startswith("use over="):
            for over_ms in choices:
                check_window(over_ms, bucket_ms, "each window it names")
        else:
            bucket, over = choices
            check_window(window_ms, bucket, "the bucket it names")
            check_window(over, bucket_ms, "the window it names")
    else:
        assert fits


def test_a_mistake_names_the_nearest_choices() -> None:
    with pytest.raises(
        ProjectError, match=r"a window of 7min is not a multiple of its bucket of 2min; use over='6min' or '8min', or set bucket="
    ):
        check_window(7 * MINUTE_MS, 2 * MINUTE_MS, "here")
    with pytest.raises(ProjectError, match=r"over='5min', or set bucket="):
        check_window(MINUTE_MS, 5 * MINUTE_MS, "here")
    with pytest.raises(ProjectError, match=r"makes more than 400 tiles; set bucket='15s', or over='400s' at most"):
        check_window(HOUR_MS, SECOND_MS, "here")
    check_window(400 * SECOND_MS, SECOND_MS, "here")
    with pytest.raises(ProjectError, match="more than 400"):
        check_window(401 * SECOND_MS, SECOND_MS, "here")


def test_floor_goes_down_before_the_epoch_too() -> None:
    assert [floor_ms(at_ms, 10) for at_ms in (-11, -10, -1, 0, 9, 10)] == [-20, -10, -10, 0, 0, 10]
