"""OpenTelemetry traces of the stages, where an endpoint is set: from events that were committed to the predictions that read them.

```
 process of the server      http ─ door.append                  http ─ predict.parse, .read, .score, .log, .tell
 process of the engine               engine.commit  ◄─────────── link: the position it read ──┴────────────┘
```
A commit and what reads it are in two processes that do not call each other. What they share is the position: a commit's trace has an id
that follows from the position it made, so whoever reads at that position can point to it without having been told.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

from tidemill.errors import SettingsError
from tidemill.settings import TelemetrySettings
from tidemill.stages import Facts, Listener, listening

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import SpanContext

logger = logging.getLogger(__name__)

MAKES, READS = "makes", "reads"  # facts of a stage: the position that it makes, or that it reads


def ids_of(position: str) -> tuple[int, int]:
    """The ids of the trace and of the span of the commit that made a position.

    >>> ids_of("a") == ids_of("a"), ids_of("a") == ids_of("b")
    (True, False)
    """
    digest = sha256(position.encode()).digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1


@contextmanager
def tracing(settings: TelemetrySettings, part: str) -> Iterator[None]:
    """Send the stages of this process to the endpoint of the settings, for as long as the block runs; nothing where none is set.

    Raises:
        SettingsError: the extra `tracing` is not installed.
    """
    if not settings.traces:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise SettingsError("TIDEMILL_TELEMETRY__TRACES needs OpenTelemetry; install tidemill[tracing]") from error
    logger.info("traces go to endpoint=%s sample=%s", settings.traces, settings.sample)
    with exporting(OTLPSpanExporter(endpoint=settings.traces), settings.sample, part):
        yield


@contextmanager
def exporting(exporter: SpanExporter, sample: float, part: str) -> Iterator[None]:
    """The same to any exporter; what waits is sent when the block ends.

    Args:
        exporter: where spans go.
        sample: the share of traces that is kept, by their ids.
        part: which part of tidemill this process is.
    """
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    resource = Resource.create({"service.name": f"tidemill-{part}"})
    provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(sample)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    with listening(_listener(provider)):
        try:
            yield
        finally:
            provider.shutdown()


def _listener(provider: object) -> Listener:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Link

    assert isinstance(provider, TracerProvider)
    tracer = provider.get_tracer("tidemill")

    def listen(name: str, facts: Facts) -> AbstractContextManager[object]:
        links = [Link(_context_of(str(facts[READS])))] if READS in facts else []
        if MAKES not in facts:
            return tracer.start_as_current_span(name, attributes=dict(facts), links=links)
        return _committing(name, facts)

    @contextmanager
    def _committing(name: str, facts: Facts) -> Iterator[None]:
        """A span in the trace of its position: what reads there points to it."""
        from opentelemetry.trace import NonRecordingSpan, set_span_in_context

        parent = set_span_in_context(NonRecordingSpan(_context_of(str(facts[MAKES]))))
        with tracer.start_as_current_span(name, context=parent, attributes=dict(facts)):
            yield

    return listen


def _context_of(position: str) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags

    trace_id, span_id = ids_of(position)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
