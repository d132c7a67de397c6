"""The three views of three windows as Quix Streams computes them: with its windows, or by hand in one state a view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from quixstreams import Application, State
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.dataframe.windows import Count, Max, Sum

ENTITIES = ("card", "device", "merchant")
KINDS = ("tumbling", "hopping", "sliding", "by_hand")
# window: our bucket
WINDOWS = {
    timedelta(minutes=10): timedelta(seconds=15),
    timedelta(hours=1): timedelta(minutes=1),
    timedelta(hours=24): timedelta(hours=1),
}
GRACE = timedelta(hours=1)
_LENGTHS_MS = tuple(length // timedelta(milliseconds=1) for length in WINDOWS)


def topic_of(name: str, entity: str) -> str:
    """The topic of a view's aggregates in the run `name`."""
    return f"{name}-by-{entity}"


def build(app: Application, found: Mapping[str, Any], name: str, entities: Sequence[str], too_late: Callable[..., bool]) -> None:
    """Add the views of `entities` to an application; `too_late` is called for each window that drops a payment."""
    source = app.topic(found["topic"], value_deserializer="json", key_deserializer="str")
    payments = app.dataframe(source)
    for entity in entities:
        keyed = payments if entity == "card" else payments.group_by(entity)
        topic = app.topic(topic_of(name, entity), key_serializer="str", value_serializer="json")
        if found["window"] == "by_hand":
            keyed.apply(partial(by_hand, too_late), stateful=True).to_topic(topic)
            continue
        for length, step in WINDOWS.items():
            options = {"grace_ms": GRACE, "name": f"{entity}-{length.total_seconds():.0f}", "on_late": too_late}
            aggregated = windowed(keyed, found["window"], length, step, options)
            emitted = aggregated.current() if found["emit"] == "current" else aggregated.final()
            emitted.to_topic(topic)


def windowed(keyed: StreamingDataFrame, window: str, length: timedelta, step: timedelta, options: dict[str, Any]) -> Any:
    """One window's aggregates."""
    if window == "tumbling":
        definition = keyed.tumbling_window(length, **options)
    elif window == "hopping":
        definition = keyed.hopping_window(length, step_ms=step, **options)
    else:
        definition = keyed.sliding_window(length, **options)
    return definition.agg(n=Count(), sum=Sum("amount"), max=Max("amount"))


def by_hand(too_late: Callable[..., bool], payment: Mapping[str, Any], state: State) -> dict[str, Any]:
    """Add a payment to its key's three tumbling windows, all in one state; a window that has passed takes no more."""
    at, amount = payment["paid_at"], payment["amount"]
    held = state.get("windows") or [None] * len(_LENGTHS_MS)
    windows = []
    for length, last in zip(_LENGTHS_MS, held, strict=True):
        start = at - at % length
        if last is None or last["start"] < start:
            windows.append({"start": start, "end": start + length, "n": 1, "sum": amount, "max": amount})
        elif last["start"] == start:
            windows.append({**last, "n": last["n"] + 1, "sum": last["sum"] + amount, "max": max(last["max"], amount)})
        else:
            too_late()
            windows.append(last)
    state.set("windows", windows)
    return {"windows": windows}
