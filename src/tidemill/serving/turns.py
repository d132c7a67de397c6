"""Turns: the requests that come in one turn of the event loop are read together and logged together, and each is scored by itself.

```
 request ─► parse ─┐                                          ┌─► its answers
 request ─► parse ─┼─► one reading of features, one entry of  ┼─► its answers
 request ─► parse ─┘   the log; ONNX Runtime for each request └─► its answers
```
Most of what a small request costs does not depend on how many rows it has. So a turn stays open as long as each look of the loop at its
sockets brings another request: nobody waits for a time, and with one caller a turn is one request. ONNX Runtime is asked for each request,
as it adds in another order for more rows, and an answer must not depend on what others have asked at that moment. Where features are in
a server, or an engine may have to be waited for, a thread reads and scores a turn, and the loop goes on.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, Future, Task, get_running_loop, sleep
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from pydantic import BaseModel

from tidemill.errors import ProjectError, TidemillError, UnavailableError
from tidemill.learning import Model
from tidemill.serving.answer_log import AnswerLog
from tidemill.serving.prediction import Prediction
from tidemill.serving.predictor import Predictor, Scored
from tidemill.serving.waiting import in_thread, soon
from tidemill.stages import stage

MOST_ROWS = 64  # of a turn; more take longer to score than to get there

Which = tuple[AbstractEventLoop, str, int | None]
Lots = Sequence[Sequence[BaseModel]]
Waiting = Sequence[Future[Sequence[Prediction]]]


@dataclass
class _Turn:
    """What is answered together.

    Args:
        lots: the requests of each that waits.
        waiting: where each is told.
        rows: how many requests that are.
        task: answers them; kept here, as a loop does not keep it.
    """

    lots: list[Sequence[BaseModel]] = field(default_factory=list)
    waiting: list[Future[Sequence[Prediction]]] = field(default_factory=list)
    rows: int = 0
    task: Task[None] | None = None


class Turns:
    """Answers small requests, in the event loop.

    Args:
        predictor: reads and scores.
        log: where each answer is before it is told.
    """

    def __init__(self, predictor: Predictor, log: AnswerLog) -> None:
        self._predictor = predictor
        self._log = log
        self._open: dict[Which, _Turn] = {}

    async def answers(self, model: Model, requests: Sequence[BaseModel], at_ms: int | None = None) -> Sequence[Prediction]:
        """What is said to at most `MOST_ROWS` requests, once it is logged.

        Args:
            model: asked.
            requests: of one caller.
            at_ms: when they are asked; now by default.

        Raises:
            NotReadyError: the model has no champion yet.
            ConflictError: `at_ms` lies before what the tiles have already taken.
            BusyError: too many answers wait to be logged.
            UnavailableError: the store does not answer.
        """
        loop = get_running_loop()
        which = loop, model.name, at_ms
        turn = self._open.get(which)
        if turn is None or turn.rows + len(requests) > MOST_ROWS:
            turn = self._open[which] = _Turn()
            turn.task = loop.create_task(self._answer(model, which, turn))  # it begins in the loop's next round
        mine: Future[Sequence[Prediction]] = loop.create_future()
        turn.lots.append(requests)
        turn.waiting.append(mine)
        turn.rows += len(requests)
        return await mine

    async def _answer(self, model: Model, which: Which, turn: _Turn) -> None:
        seen = 0
        while seen < turn.rows < MOST_ROWS:
            seen = turn.rows
            await sleep(0)  # the loop looks at its sockets, and begins with what has come
            await sleep(0)  # that has joined the turn
        if self._open.get(which) is turn:  # else it was full
            del self._open[which]
        lots, waiting, at_ms = turn.lots, turn.waiting, which[2]
        try:
            scored = await self._scored(model, lots, at_ms)
        except Exception as error:  # whatever it is, those who wait must hear of it
            if len(lots) == 1 or not _may_be_of_one(error):
                _fail(waiting, error)
            else:
                await self._answer_each(model, turn, at_ms)
            return
        await self._tell(scored, lots, waiting)

    async def _answer_each(self, model: Model, turn: _Turn, at_ms: int | None) -> None:
        """Answer each request of a turn by itself, as one of them has failed all."""
        for place, (lot, one) in enumerate(zip(turn.lots, turn.waiting, strict=True)):
            await sleep(0)  # the loop goes on
            if one.done():
                continue
            try:
                scored = await self._scored(model, [lot], at_ms)
            except UnavailableError as error:
                _fail(turn.waiting[place:], error)
                return
            except Exception as error:  # as above
                _fail([one], error)
            else:
                await self._tell(scored, [lot], [one])

    async def _scored(self, model: Model, lots: Lots, at_ms: int | None) -> Scored:
        score = partial(self._predictor.score, model, lots, at_ms)
        return await in_thread(score) if self._predictor.reads_slowly(model) else score()

    async def _tell(self, scored: Scored, lots: Lots, waiting: Waiting) -> None:
        """Tell each of its own, once all is logged."""
        try:
            with stage("predict.log"):
                ids = await soon(self._log.submit(scored.answered))
            told = scored.told(ids)
        except Exception as error:  # as above
            _fail(waiting, error)
            return
        begin = 0
        for lot, one in zip(lots, waiting, strict=True):
            end = begin + len(lot)
            if not one.done():  # else whoever asked has gone
                if scored.odd and (refused := scored.refused(begin, end)):
                    one.set_exception(refused)
                else:
                    one.set_result(told[begin:end])
            begin = end


def _fail(waiting: Waiting, error: Exception) -> None:
    for one in waiting:
        if not one.done():
            one.set_exception(error)


def _may_be_of_one(error: Exception) -> bool:
    """Whether another request of the same turn may go well: a `derive` has failed, or what was asked is odd in a way nobody thought of."""
    return isinstance(error, ProjectError) or not isinstance(error, TidemillError)
