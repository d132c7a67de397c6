"""Requests that come together share a reading and a commit, and nothing of what is said to one depends on the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pytest
from pydantic import BaseModel

from tests import tiny
from tests.unit.serving.predict_site import PATH, Site, Told, asked, open_site, scope_of
from tidemill.errors import ConflictError, ProjectError, TidemillError, UnavailableError
from tidemill.learning import Model
from tidemill.serving.answer_log import AnswerLog
from tidemill.serving.predictor import Predictor, Scored
from tidemill.serving.turns import MOST_ROWS, Turns
from tidemill.stages import Facts, listening
from tidemill.stores import Answered
from tidemill.stores.file_lock import try_lock

SHOPS = "abcab"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("turns")) as opened:
        yield opened


class Log(AnswerLog):
    """The log, which remembers how many rows came at once, and may be away."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.workspace.predictions, 1_000)
        self.lots: list[int] = []
        self.away = False

    def submit(self, answered: Answered) -> asyncio.Future[list[int]]:
        self.lots.append(len(answered.keys))
        if self.away:
            raise UnavailableError("the store is away")
        return super().submit(answered)


def request(place: int, shop: str, amount: float = 20.0) -> dict[str, object]:
    return {"order_id": f"q{place}", "shop": shop, "amount": amount + place / 7}


def bodies() -> list[bytes]:
    return [json.dumps(request(place, shop)).encode() for place, shop in enumerate(SHOPS)]


async def together(site: Site, sent: Sequence[bytes]) -> list[Told]:
    return list(await asyncio.gather(*(asked(site.app, scope_of(PATH, b"", site.headers()), [body]) for body in sent)))


def test_what_comes_together_is_read_once_and_said_to_the_bit_as_alone(site: Site) -> None:
    heard: list[str] = []

    @contextmanager
    def listen(name: str, _facts: Facts) -> Iterator[None]:
        heard.append(name)
        yield

    asyncio.run(together(site, bodies()[:1]))  # the key has been proved
    with listening(listen):
        told = asyncio.run(together(site, bodies()))
    assert {name: heard.count(name) for name in ("predict.parse", "predict.read", "predict.score", "predict.log", "predict.tell")} == {
        "predict.parse": 5,
        "predict.read": 1,
        "predict.score": 1,
        "predict.log": 1,
        "predict.tell": 5,
    }
    alone = [asyncio.run(together(site, [body]))[0] for body in bodies()]
    assert [one.known() for one in told] == [one.known() for one in alone]
    logged = site.workspace.predictions.served("late_order")
    assert logged.keys[-10:] == [f"q{place}" for place in range(5)] * 2
    assert logged.numbers[-10:-5].tobytes() == logged.numbers[-5:].tobytes()
    assert logged.scores[-10:-5].tobytes() == logged.scores[-5:].tobytes()


def test_a_request_that_is_wrong_is_told_so_alone(site: Site) -> None:
    good, bad = bodies()[0], b'{"order_id": 7}'
    assert [one.status for one in asyncio.run(together(site, [good, bad, b"", good]))] == [200, 422, 422, 200]


def test_the_loop_goes_on_while_an_engine_stands_still_in_the_middle_of_putting_rows(site: Site) -> None:
    async def ask() -> Told:
        await together(site, bodies()[:1])  # the key has been proved
        with try_lock(site.workspace.home / "state.tables" / "readers.lock", alone=True) as held:
            assert held
            asking = asyncio.create_task(asked(site.app, scope_of(PATH, b"", site.headers()), bodies()[:1]))
            for _ in range(100):
                await asyncio.sleep(0)
            assert not asking.done()
        return await asking

    assert asyncio.run(ask()).status == 200


def test_a_turn_is_bounded_and_each_caller_gets_its_own(site: Site) -> None:
    async def ask() -> None:
        log = Log(site)
        turns = Turns(Predictor(site.workspace, site.champions, site.workspace.now_ms), log)
        sizes = [MOST_ROWS - 1, 2, 3, MOST_ROWS]
        model = tiny.LATE_ORDER
        lots = [[model.request.model_validate(request(place, "a", amount=size)) for place in range(size)] for size in sizes]
        told = await asyncio.gather(*(turns.answers(model, lot) for lot in lots))
        assert [len(one) for one in told] == sizes
        assert sorted(log.lots) == [5, MOST_ROWS - 1, MOST_ROWS]
        assert len({one.prediction_id for lot in told for one in lot}) == sum(sizes)
        log.close()

    asyncio.run(ask())


def test_a_turn_stays_open_while_requests_come_and_no_longer(site: Site) -> None:
    async def ask() -> None:
        log = Log(site)
        turns = Turns(Predictor(site.workspace, site.champions, site.workspace.now_ms), log)
        model = tiny.LATE_ORDER

        async def late(rounds: int) -> None:
            for _ in range(rounds):
                await asyncio.sleep(0)
            await turns.answers(model, [model.request.model_validate(request(rounds, "a"))])

        await asyncio.gather(*(late(rounds) for rounds in (0, 1, 2, 3)))
        await asyncio.gather(late(0), late(40))
        assert log.lots == [4, 1, 1]
        log.close()

    asyncio.run(ask())


def test_an_error_reaches_all_of_a_turn_and_the_next_is_answered(site: Site) -> None:
    async def ask() -> None:
        log = Log(site)
        turns = Turns(Predictor(site.workspace, site.champions, site.workspace.now_ms), log)
        model = tiny.LATE_ORDER
        lots = [[model.request.model_validate(request(place, "a"))] for place in range(3)]
        log.away = True
        failed = await asyncio.gather(*(turns.answers(model, lot) for lot in lots), return_exceptions=True)
        assert [type(one) for one in failed] == [UnavailableError] * 3
        log.away = False
        assert len(await turns.answers(model, lots[0])) == 1
        with pytest.raises(TidemillError, match="lies before"):
            await turns.answers(model, lots[0], 1)
        log.close()

    asyncio.run(ask())


def test_a_clock_behind_the_newest_event_answers_as_of_that_event(site: Site) -> None:
    predictor, model = Predictor(site.workspace, site.champions, lambda: 1), tiny.LATE_ORDER
    scored = predictor.score(model, [[model.request.model_validate(request(0, "a"))]])
    assert scored.answered.at_ms == site.workspace.now_ms() > 1
    with pytest.raises(ConflictError, match="lies before"):
        predictor.score(model, [[model.request.model_validate(request(0, "a"))]], 1)


class Picky(Predictor):
    """A predictor whose project's code fails for some requests."""

    def score(self, model: Model, lots: Sequence[Sequence[BaseModel]], at_ms: int | None = None, *, explained: bool = False) -> Scored:
        if any(one.__dict__["shop"] == "odd" for lot in lots for one in lot):
            raise ProjectError("failed", where="derive(speed)", fix="it must map numpy arrays to one array")
        return super().score(model, lots, at_ms, explained=explained)


def test_a_request_that_the_projects_code_fails_for_fails_alone(site: Site) -> None:
    async def ask() -> None:
        log = Log(site)
        turns = Turns(Picky(site.workspace, site.champions, site.workspace.now_ms), log)
        model = tiny.LATE_ORDER
        lots = [[model.request.model_validate(request(place, shop))] for place, shop in enumerate(["a", "odd", "b"])]
        told = await asyncio.gather(*(turns.answers(model, lot) for lot in lots), return_exceptions=True)
        assert [isinstance(one, ProjectError) for one in told] == [False, True, False]
        assert log.lots == [1, 1]
        log.close()

    asyncio.run(ask())


def test_an_answer_that_is_no_number_is_logged_and_told_as_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = site.champions.serving("late_order").champion.scorer
    real = scorer.run
    monkeypatch.setattr(scorer, "run", lambda vectors: np.where(vectors.texts["shop"] == "odd", np.nan, real(vectors)))
    asked_of = [json.dumps(request(place, shop)).encode() for place, shop in enumerate(["a", "odd", "b"])]
    told = asyncio.run(together(site, asked_of))
    assert [one.status for one in told] == [200, 409, 200]
    assert b"version 1 answers request 0 with NaN or infinity, which is no answer; it is logged" in told[1].body
    assert asyncio.run(together(site, [b"[" + b",".join(asked_of) + b"]"]))[0].status == 409
    logged = site.workspace.predictions.served("late_order")
    assert np.isnan(logged.scores[-6:]).tolist() == [False, True, False] * 2, "probation sees it"


def test_whoever_has_gone_does_not_hold_up_the_others(site: Site) -> None:
    async def ask() -> None:
        log = Log(site)
        turns = Turns(Predictor(site.workspace, site.champions, site.workspace.now_ms), log)
        model = tiny.LATE_ORDER
        waiting = [asyncio.create_task(turns.answers(model, [model.request.model_validate(request(place, "a"))])) for place in range(3)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        told = await asyncio.gather(*waiting, return_exceptions=True)
        assert [isinstance(one, BaseException) for one in told] == [False, True, False]
        assert log.lots == [3], "the one that has gone is logged all the same"
        log.close()

    asyncio.run(ask())
