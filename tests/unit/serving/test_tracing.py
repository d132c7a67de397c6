"""Stages become spans, and a prediction points to the commit of what it has read."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests import tiny
from tests.unit.serving.predict_site import BODY, PATH, open_site
from tidemill.project import Workspace
from tidemill.serving.scopes import PREDICT
from tidemill.serving.tracing import exporting, ids_of, tracing
from tidemill.settings import TelemetrySettings
from tidemill.stages import Facts, listening, stage

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_a_prediction_links_to_the_commit_of_the_position_it_read(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    workspace = Workspace.open(tiny.project, tmp_path)
    with exporting(exporter, 1.0, "engine"):
        tiny.live(workspace, 0, 1)
        position = workspace.state.position().token
        with stage("http", route="POST /v1/models/{model}/predict"), stage("predict.score", reads=position):
            pass
    workspace.close()
    spans = {span.name: span for span in exporter.get_finished_spans()}
    score, commit = spans["predict.score"], spans["engine.commit"]
    assert score.parent is not None
    assert score.parent.span_id == spans["http"].context.span_id
    (link,) = score.links
    assert link.context.trace_id == commit.context.trace_id == ids_of(position)[0]
    assert commit.attributes is not None
    assert commit.attributes["makes"] == position


@pytest.mark.parametrize("query", [b"", b"explain=true"], ids=["lane", "route"])
def test_a_predict_request_is_one_trace_and_points_to_the_commit_it_read(tmp_path: Path, query: bytes) -> None:
    exporter = InMemorySpanExporter()
    with exporting(exporter, 1.0, "server"), open_site(tmp_path) as site:
        told = site.ask(PATH, query, site.headers(), [BODY])
    position = json.loads(told.body)["position"]
    spans = exporter.get_finished_spans()
    (commit,) = [span for span in spans if span.attributes is not None and span.attributes.get("makes") == position]
    (root,) = [span for span in spans if span.name == "http"]
    assert root.parent is None
    assert root.attributes is not None
    assert root.attributes["route"] == PREDICT
    within = [span for span in spans if span.parent is not None and span.parent.span_id == root.context.span_id]
    assert {span.context.trace_id for span in within} == {root.context.trace_id}
    assert [(span.name, [link.context for link in span.links]) for span in sorted(within, key=lambda span: span.start_time or 0)] == [
        ("predict.parse", []),
        ("predict.read", []),
        ("predict.score", [commit.parent]),
        ("predict.log", []),
        ("predict.tell", [commit.parent]),
    ]


ORDER = b'{"order_id": "o1", "placed_at": 1767225600000, "shop": "a", "amount": 3.0}'
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_commit_links_to_the_request_that_brought_its_events_which_is_part_of_its_callers_trace(tmp_path: Path) -> None:
    exporter = InMemorySpanExporter()
    with open_site(tmp_path) as site, exporting(exporter, 0.0, "server"):  # so of those whose caller keeps no trace none is kept
        for trace in (CALLER, CALLER[:-1] + "0", "nonsense", None):
            headers = [*site.headers(), *([] if trace is None else [(b"traceparent", trace.encode())])]
            assert site.ask("/v1/streams/orders/events", b"", headers, [ORDER]).status == 200
        site.workspace.engine().drain(100)
    (root,), (append,), (commit,) = (
        [span for span in exporter.get_finished_spans() if span.name == name] for name in ("http", "door.append", "engine.commit")
    )
    assert root.parent is not None
    assert (f"{root.parent.trace_id:032x}", f"{root.parent.span_id:016x}") == (CALLER[3:35], CALLER[36:52])
    assert append.context.trace_id == root.context.trace_id
    assert [(link.context.trace_id, link.context.span_id) for link in commit.links] == [(append.context.trace_id, append.context.span_id)]


def test_nothing_is_traced_where_nobody_asked() -> None:
    with tracing(TelemetrySettings(), "server"):
        assert stage("predict.read") is stage("predict.parse"), "the same that does nothing, each time"


def test_of_requests_a_share_is_kept() -> None:
    exporter = InMemorySpanExporter()
    with exporting(exporter, 0.0, "server"), stage("http", route="GET /"), stage("predict.read"):
        pass
    assert exporter.get_finished_spans() == ()


def test_an_error_of_a_stage_reaches_its_listeners_and_goes_on() -> None:
    told: list[str] = []

    @contextmanager
    def listen(name: str, _facts: Facts) -> Iterator[None]:
        try:
            yield
        finally:
            told.append(name)

    with listening(listen), pytest.raises(ValueError, match="no"), stage("predict.read"):
        raise ValueError("no")
    assert told == ["predict.read"]
    assert stage("predict.read") is stage("predict.read")
