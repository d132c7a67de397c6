"""The values of windows of the past, from a block of events: one by one where a window holds few, by tiles where it holds many.

What a question reads, and in which order, depends on the events alone: not on how they were cut into blocks, nor on the thread that
reads them. So the same question has the same answer, to the last bit, however it is built.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tidemill.features import View
from tidemill.features.feature import Feature
from tidemill.features.sketch import Sketch
from tidemill.features.tiles import Layout
from tidemill.kernels import Floats, merge_known
from tidemill.learning.block import Asked, Events, Runs
from tidemill.learning.tile_history import TileHistory, lift


def answer(view: View, events: Events, asked: Asked) -> dict[str, Floats]:
    """The view's features at n moments, by `view__feature`: (n,) float64 with NaN for missing.

    Args:
        view: what to compute.
        events: among them every event of every window that is asked for.
        asked: the questions, ordered by key and time.
    """
    answers: dict[str, Floats] = {}
    origin = asked.key * events.axis.span - events.axis.begin  # the axis reaches beyond every window, so no edge has to be clipped
    for (bucket_ms, window_ms), features in _alike(view).items():
        floor = asked.at_ms // bucket_ms * bucket_ms
        runs = Runs.between(events.place, origin + (floor - window_ms), origin + (floor + bucket_ms))
        covered, runs = runs.compact()
        read = events.rows(covered)
        layout = Layout.of(list(features.values()))
        merged = _merged(layout, (bucket_ms, window_ms), read, runs, asked) if layout.width else np.empty((len(asked), 0))
        for name, feature in features.items():
            if isinstance(feature.aggregate, Sketch):
                answers[view.column(name)] = _sketched(feature, feature.aggregate, read, runs, asked)
            else:
                slot = layout.slots[feature.slot]
                answers[view.column(name)] = feature.aggregate.value(merged[:, slot.begin : slot.end])
    return answers


def _merged(layout: Layout, sizes_ms: tuple[int, int], events: Events, runs: Runs, asked: Asked) -> Floats:
    """(n, width): all that each question knows of its run of events, merged; `sizes_ms` are those of bucket and window."""
    bucket_ms, window_ms = sizes_ms
    merged = layout.neutral(len(asked))
    many = runs.count > window_ms // bucket_ms  # more events than the window has tiles
    few = runs.where(~many)
    if few.count.any():
        merge_known(layout.merges, lift(layout, events), events.known, (few.low, few.count), asked.known_up_to, merged)
    if many.any():
        history = TileHistory(layout, bucket_ms, events.rows(runs.where(many).compact()[0]))
        merged[many] = history.read(asked.rows(np.flatnonzero(many)), window_ms)
    return merged


def _sketched(feature: Feature, sketch: Sketch, events: Events, runs: Runs, asked: Asked) -> Floats:
    """(n,) values of a sketch. Every event of a window is read, as a sketch's state after each would not fit in memory."""
    values = np.full(len(asked), sketch.value(sketch.neutral))
    assert feature.expression is not None  # only a count has none
    codes = sketch.codes(feature.expression.read(events.fields))
    places = np.arange(len(asked))
    for part in runs.parts():
        seen = np.flatnonzero(events.known[part.row] <= part.each(asked.known_up_to))
        question, code = part.each(places)[seen], codes[part.row[seen]]
        order = np.lexsort((code, question))
        question, code = question[order], code[order]
        first = np.flatnonzero((np.diff(question, prepend=-1) != 0) | (np.diff(code, prepend=-1) != 0))
        met, count = code[first], np.diff(np.append(first, len(code)))
        edges = np.append(np.flatnonzero(np.diff(question[first], prepend=-1)), len(first))
        for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
            values[question[first[begin]]] = sketch.value_of_counts(met[begin:end], count[begin:end])
    return values


def _alike(view: View) -> Mapping[tuple[int, int], dict[str, Feature]]:
    """The features that read the same events, by bucket and window."""
    alike: dict[tuple[int, int], dict[str, Feature]] = {}
    for name, feature in view.features.items():
        alike.setdefault((feature.bucket_ms, feature.window_ms), {})[name] = feature
    return alike
