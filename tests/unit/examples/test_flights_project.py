"""The project reads the recording it ships: each event is what its stream's schema and the recording's counts say."""

from collections import Counter

import pytest

from examples.flights import project as flights_project
from tidemill.errors import EventError
from tidemill.events import parse_event
from tidemill.streams.recording import Recording

STREAMS = {stream.name: stream for stream in flights_project.project.streams}


@pytest.fixture(scope="module")
def recording() -> Recording:
    return flights_project.flights(days=12)


def test_what_the_schemas_refuse_is_what_was_malformed(recording: Recording) -> None:
    refused: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for event in recording.events():
        try:
            parse_event(event.payload, STREAMS[event.stream], event.known_at_ms)
        except EventError as error:
            refused[event.stream] += 1
            reasons[error.reason] += 1
    assert refused == {name: counts.rejected for name, counts in recording.expected().items() if counts.rejected}
    assert {"not_json", "no_time", "future"} <= set(reasons)


def test_every_request_is_one_the_model_takes(recording: Recording) -> None:
    asked = list(recording.requests())
    assert {question.model for question in asked} == {flights_project.late_arrival.name}
    for question in asked[:2_000]:
        request = flights_project.FlightRequest.model_validate(question.request)
        assert request.scheduled_arrival > request.scheduled_departure


def test_there_is_one_view_for_each_entity_and_stream_and_one_of_the_weather() -> None:
    views = flights_project.views
    assert len({(view.stream.name, view.entity_fields) for view in views}) == len(views) == 11
    assert sum(len(view.features) for view in views) == 107
