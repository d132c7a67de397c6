"""OpenTelemetry traces of the stages, where an endpoint is set: from events that were committed to the predictions that read them.

```
 process of the server      http ─ door.append                        http ─ predict.parse, .read, .score, .log, .tell
                                        ▲ link: an event says who brought it             │            │
 process of the engine            engine.commit  ◄──────── link: the position it read ───┴────────────┘
```
These are in processes that do not call each other. An event lies in the log with the trace of who brought it, and a commit points there. A
commit and what reads it share the position: a commit's trace has an id that follows from the position it made, so whoever reads at that
position can point to it without having been told. A request that says whose trace it is part of, by W3C's `traceparent`, is part of it.
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
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import SpanContext
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

logger = logging.getLogger(__name__)

MAKES, READS = "makes", "reads"  # facts of a stage: the position that it makes, or that it reads
_TRACE_PARENT = "traceparent"
_WITHIN, _FOLLOWS = "within", "follows"  # others, as `traceparent`: what it is part of, and those that brought what it applies


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
    with listening(_listener(provider), _trace_parent):
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
        told = {key: value for key, value in facts.items() if key not in (_WITHIN, _FOLLOWS)}
        return tracer.start_as_current_span(name, _parent(facts), attributes=told, links=[Link(one) for one in _pointed_to(facts)])

    return listen


def _parent(facts: Facts) -> Context | None:
    """What a stage is part of, if that is not the stage around it: the trace of the position that it makes, or its caller's."""
    from opentelemetry.trace import NonRecordingSpan, set_span_in_context

    if MAKES in facts:
        return set_span_in_context(NonRecordingSpan(_context_of(str(facts[MAKES]))))
    return _propagator().extract({_TRACE_PARENT: facts[_WITHIN]}) if _WITHIN in facts else None


def _pointed_to(facts: Facts) -> Iterator[SpanContext]:
    """The commit of the position that a stage reads, and those who brought what it applies, as far as they are kept."""
    from opentelemetry.trace import get_current_span

    if READS in facts:
        yield _context_of(str(facts[READS]))
    brought = facts.get(_FOLLOWS, ())
    assert not isinstance(brought, int)
    for trace in brought:
        context = get_current_span(_propagator().extract({_TRACE_PARENT: trace})).get_span_context()
        if context.is_valid and context.trace_flags.sampled:
            yield context


def _trace_parent() -> str | None:
    from opentelemetry.trace import get_current_span

    told: dict[str, str] = {}
    if get_current_span().get_span_context().trace_flags.sampled:
        _propagator().inject(told)
    return told.get(_TRACE_PARENT)


def _context_of(position: str) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags

    trace_id, span_id = ids_of(position)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _propagator() -> TraceContextTextMapPropagator:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()
