"""No alert is lost: told, in a summary, covered by one that somebody acknowledged, or silenced with a record; and nobody is told too often.

Histories of alerts, ends, silences, acknowledgements and rounds of the relay are drawn, with channels that fail and with the process
dying before or after any step of a round. One pair of stores serves all examples: each has models of its own, and a later time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from tidemill.loop.alert_texts import AlertText
from tidemill.loop.alerts import send
from tidemill.loop.channels import wants
from tidemill.loop.gathering import GatherRules, gather
from tidemill.stores import AlertMessages, AlertRecord, AlertSilences, AlertStore, Databases, Moment, Plan, open_loop
from tidemill.stores.alert_records import SEVERITIES, Alert, Severity
from tidemill.stores.cursors import reading
from tidemill.stores.loop_tables import ALERT_MESSAGES, ALERT_SILENCES

RULES = GatherRules(gather_ms=10, cooldown_ms=1_000)
KINDS = ("windows", "check")
LONGEST_SILENCE_MS = 3_000
AN_ALERT = st.tuples(st.just("raise"), st.sampled_from(KINDS), st.sampled_from(SEVERITIES), st.sampled_from(["", "a", "b"]))
STEPS = st.lists(
    st.one_of(
        AN_ALERT,
        AN_ALERT,
        st.tuples(st.just("end"), st.sampled_from(KINDS), st.sampled_from("ab")),
        st.tuples(st.just("acknowledge"), st.integers(0, 20)),
        st.tuples(st.just("silence"), st.sampled_from(["", *KINDS]), st.integers(1, LONGEST_SILENCE_MS)),
        st.tuples(st.just("unsilence"), st.integers(0, 3)),
        st.tuples(st.just("pass"), st.sampled_from([0, 10, 500, 1_000]), st.sampled_from([1, 10, 1_000, 6_000])),
        st.tuples(st.just("relay"), st.booleans(), st.booleans(), st.one_of(st.none(), st.integers(0, 12))),
    ),
    min_size=1,
    max_size=25,
)
NUMBERS = itertools.count()


class Died(BaseException):
    """The process was killed."""


@dataclass
class Life:
    """How many steps of a round are left to live; None for as many as it takes."""

    left: int | None = None

    def lose(self) -> None:
        """One step closer to the end."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise Died


class Mortal(AlertMessages):
    """The outbox of a process that may die before or after whatever it writes."""

    def __init__(self, engine: Engine, life: Life) -> None:
        super().__init__(engine)
        self._life = life

    def keep(self, plan: Plan, now: Moment) -> None:
        self._around(lambda: super(Mortal, self).keep(plan, now))

    def mark_reached(self, number: int, channel: str, wall_ms: int) -> None:
        self._around(lambda: super(Mortal, self).mark_reached(number, channel, wall_ms))

    def mark_delivered(self, number: int, wall_ms: int) -> None:
        self._around(lambda: super(Mortal, self).mark_delivered(number, wall_ms))

    def mark_failed(self, number: int, error: str, wall_ms: int) -> None:
        self._around(lambda: super(Mortal, self).mark_failed(number, error, wall_ms))

    def _around(self, write: Callable[[], None]) -> None:
        self._life.lose()
        write()
        self._life.lose()


@dataclass
class Mailman:
    """A channel that remembers what it was given, works or does not, and may be the last thing that a process does."""

    name: str
    severity: Severity
    life: Life
    works: bool = True
    taken: list[AlertText] = field(default_factory=list)

    def send(self, text: AlertText) -> str:
        """Take it, or refuse."""
        self.life.lose()
        if not self.works:
            return "HTTP 503"
        self.taken.append(text)
        self.life.lose()
        return ""


class History:
    """What happened in one example, to one model."""

    def __init__(self, engine: Engine, number: int) -> None:
        self._engine = engine
        self.life, self.died = Life(), False
        self.model = f"m{number}"
        self.now = Moment(number * 10**7, number * 10**7)
        self.alerts, self.silences = AlertStore(engine), AlertSilences(engine)
        self.messages = Mortal(engine, self.life)
        self.everyone, self.pager = Mailman("everyone", "info", self.life), Mailman("pager", "critical", self.life)
        self.keys: list[str] = []

    def do(self, step: tuple[object, ...]) -> None:
        """One step, a moment after the one before."""
        name, *values = step
        self._pass(0, 1)
        getattr(self, f"_{name}")(*values)

    def come_to_rest(self) -> None:
        """No more silences, no more failures: every cooldown ends, twice, as an end may follow what was told."""
        self.life.left, self.everyone.works, self.pager.works = None, True, True
        self._pass(0, LONGEST_SILENCE_MS)
        for _ in range(3):
            self._pass(RULES.cooldown_ms, 10**6)  # longer than any pause after failures
            self._relay(True, True, None)

    def _raise(self, kind: str, severity: Severity, name: str) -> None:
        key = f"{kind}:{self.model}:{len(self.keys)}."
        condition = f"{kind}:{self.model}:{name}" if name else ""
        assert self.alerts.raise_alert(Alert(key, self.model, severity, f"<{key}>", "b", "", self.now.stream_ms, condition=condition))
        self.keys.append(key)

    def _end(self, kind: str, name: str) -> None:
        self.alerts.end(f"{kind}:{self.model}:{name}", self.now.stream_ms, "quiet")

    def _acknowledge(self, place: int) -> None:
        if self.keys:
            self.alerts.acknowledge([self.keys[place % len(self.keys)]], "ann", self.now.wall_ms)

    def _silence(self, kind: str, for_ms: int) -> None:
        until_ms = self.now.wall_ms + for_ms
        self.silences.begin(self.model, kind, "ann", "r", from_wall_ms=self.now.wall_ms, until_wall_ms=until_ms)

    def _unsilence(self, place: int) -> None:
        standing = [one for one in self.silences.standing(self.now.wall_ms) if one.model == self.model]
        if standing:
            self.silences.end(standing[place % len(standing)].number, "bob", self.now.wall_ms)

    def _pass(self, stream_ms: int, wall_ms: int) -> None:
        self.now = Moment(self.now.stream_ms + stream_ms, self.now.wall_ms + wall_ms)

    def _relay(self, everyone: bool, pager: bool, left: int | None) -> None:
        self.everyone.works, self.pager.works, self.life.left = everyone, pager, left
        try:
            gather(self.messages, RULES, self.now)
            pending = self.messages.pending(self.now.wall_ms, 50)
            send(self.messages, pending, [self.everyone, self.pager], self.now.wall_ms)
        except Died:
            self.died = True
        finally:
            self.life.left = None

    def records(self) -> list[AlertRecord]:
        """How every alert ended up."""
        return self.alerts.recent(self.model, 100)

    def rows(self) -> tuple[list[Any], list[Any]]:
        """Its messages and its silences, as they lie in the store."""
        m, s = ALERT_MESSAGES.c, ALERT_SILENCES.c
        messages = select(m.number, m.kind, m.severity, m.about, m.at_ms, m.wall_ms, m.ends).where(m.model == self.model).order_by(m.number)
        silences = select(s.kind, s.from_wall_ms, s.until_wall_ms, s.ended_wall_ms).where(s.model == self.model)
        with reading(self._engine).connect() as connection:
            return [tuple(row) for row in connection.execute(messages)], [tuple(row) for row in connection.execute(silences)]


@pytest.fixture
def engine(databases: Databases) -> Iterator[Engine]:
    engine = open_loop(databases)
    yield engine
    engine.dispose()


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
def test_no_alert_is_lost_whatever_dies_and_nobody_is_told_too_often(engine: Engine, steps: list[tuple[object, ...]]) -> None:
    history = History(engine, next(NUMBERS))
    for step in steps:
        history.do(step)
    history.come_to_rest()
    records = history.records()
    assert {record.alert.key for record in records} == set(history.keys)
    by_key = {record.alert.key: record for record in records}
    for record in records:
        assert_accounted_for(record, by_key, history)
    messages, silences = history.rows()
    assert_cooled_down(messages)
    assert_silent(messages, silences)
    assert_ends_are_told(messages, records)
    if not history.died:
        for channel in (history.everyone, history.pager):
            assert len(set(channel.taken)) == len(channel.taken), "without a death nothing comes twice"


def assert_accounted_for(record: AlertRecord, by_key: dict[str, AlertRecord], history: History) -> None:
    if record.delivery == "delivered":
        for channel in (history.everyone, history.pager):
            if wants(channel, record.alert.severity):
                assert any(record.alert.title in f"{text.title} {text.body}" for text in channel.taken if not text.is_end)
        return
    if record.delivery == "acknowledged":
        known = by_key[record.covered_by or ""]
        assert (known.acked_by, known.alert.condition) == ("ann", record.alert.condition)
        return
    assert record.delivery == "silenced"
    assert not record.alert.condition or record.ended_at_ms is not None, "what still goes on after a silence is told"


def assert_cooled_down(messages: list[Any]) -> None:
    """Of one kind, each message is a cooldown after the one before, or graver."""
    for kind in KINDS:
        told = [row for row in messages if row[1] == kind and row[3] != "end"]
        for (_, _, last, _, at_ms, wall_ms, _), (_, _, severity, _, next_at_ms, next_wall_ms, _) in itertools.pairwise(told):
            since, now = Moment(at_ms, wall_ms), Moment(next_at_ms, next_wall_ms)
            graver = SEVERITIES.index(severity) > SEVERITIES.index(last)
            assert graver or now.is_past(since, RULES.cooldown_ms)


def assert_silent(messages: list[Any], silences: list[Any]) -> None:
    """No message was made while a silence stood."""
    for _, kind, _, _, _, wall_ms, _ in messages:
        for silent, from_ms, until_ms, ended_ms in silences:
            end_ms = until_ms if ended_ms is None else min(until_ms, ended_ms)
            assert silent not in ("", kind) or not from_ms <= wall_ms < end_ms


def assert_ends_are_told(messages: list[Any], records: list[AlertRecord]) -> None:
    """A message is followed by one end at most, and by one if it was all over after it was told."""
    ended = [row[6] for row in messages if row[3] == "end"]
    assert len(set(ended)) == len(ended)
    for number, _, _, about, at_ms, _, _ in messages:
        alerts = [record for record in records if record.message == number]
        ends_ms = [record.ended_at_ms for record in alerts]
        if about != "end" and None not in ends_ms and max(filter(None, ends_ms), default=0) > at_ms:
            assert number in ended
        if number in ended:
            assert None not in ends_ms


def test_a_life_of_one_step_ends_at_the_second() -> None:
    life = Life(1)
    life.lose()
    with pytest.raises(Died):
        life.lose()
