"""Answering: read features, score with ONNX Runtime, then log vector, versions and position before the answer is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import orjson
from pydantic import BaseModel, FailFast, TypeAdapter, ValidationError

from tidemill.clock import NowMs, wall_ms
from tidemill.errors import ConflictError, InputError, NoAnswerError
from tidemill.events import Column, unfit, unfit_key, words_of
from tidemill.kernels import Floats
from tidemill.learning import Explanation, Model, Vectors, explain
from tidemill.project import Workspace
from tidemill.serving.asking import ask_all
from tidemill.serving.champions import Champions, Serving
from tidemill.serving.loading import Loaded
from tidemill.serving.missing import MissingColumns
from tidemill.serving.prediction import Prediction
from tidemill.stages import stage
from tidemill.stores import Answer, Answered, Lookup, Role
from tidemill.stores.answer import to_answers

_MOST = float(np.finfo(np.float32).max)  # a vector holds float32


@dataclass(frozen=True)
class Scored:
    """Answers to n requests, not yet logged: none may be told before `answered` is in the store.

    Args:
        answered: what is logged.
        answers: (n,) what was said.
        versions: (n,) by which version.
        missing: (n,) see `Prediction`.
        explanations: (n,) likewise; empty where they were not asked for.
        odd: the rows, rising, to which the champion answers NaN or infinity: logged, and not to be told.
    """

    answered: Answered
    answers: Sequence[Answer]
    versions: Sequence[int]
    missing: Sequence[Mapping[str, int | None]]
    explanations: Sequence[Explanation] = ()
    odd: Sequence[int] = ()

    def refused(self, begin: int, end: int) -> NoAnswerError | None:
        """Why the rows `[begin, end)` are not told; None where they can be."""
        odd = next((row for row in self.odd if begin <= row < end), None)
        if odd is None:
            return None
        what = f"version {self.versions[odd]} answers request {odd - begin} with NaN or infinity, which is no answer"
        return NoAnswerError(f"{what}; it is logged, and `tidemill rollback` goes back to the version before")

    def told(self, ids: Sequence[int]) -> list[Prediction]:
        """The answers, once they are logged under these ids."""
        why: Sequence[Explanation | None] = self.explanations or [None] * len(ids)
        rows = zip(ids, self.answers, self.versions, self.missing, why, strict=True)
        return [
            Prediction(str(prediction_id), answer, version, self.answered.position, missing, explanation)
            for prediction_id, answer, version, missing, explanation in rows
        ]


class Predictor:
    """Predicts for the models of a project.

    Args:
        workspace: where features are read.
        champions: which versions answer.
        now_ms: stream time, for requests that name no time of their own.
    """

    def __init__(self, workspace: Workspace, champions: Champions, now_ms: NowMs) -> None:
        self._workspace = workspace
        self._champions = champions
        self._now_ms = now_ms
        self._missing = MissingColumns(workspace)
        self._read = {model.name: [source.name for source in model.sources] for model in workspace.project.models}
        self._adapters = {model.name: _adapter(model) for model in workspace.project.models}

    def waits(self, model: Model) -> bool:
        """Whether its answers come from another process, so that an event loop must not score it.

        Raises:
            NotReadyError: the model has no champion yet.
        """
        return self._champions.serving(model.name).waits

    def reads_slowly(self, model: Model) -> bool:
        """Whether its features may have to be waited for now, so that an event loop must not read them."""
        return self._workspace.state.tiles.may_wait(self._read[model.name])

    def parse(self, model: Model, body: bytes, max_rows: int) -> list[BaseModel]:
        """The requests of a JSON body: one object, or an array of them.

        Raises:
            InputError: not JSON, a field missing or of a wrong type, too many rows; names the place.
        """
        is_one = body.lstrip()[:1] != b"["
        text = b"[" + body + b"]" if is_one else body
        try:
            requests: list[BaseModel] = self._adapters[model.name].validate_json(text, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "body"
            raise InputError(f"{words_of(first)}; a request has the fields {', '.join(model.request_kinds)}", where=where) from error
        if is_one and len(requests) > 1:
            raise InputError("several objects; put brackets around them")
        if not 0 < len(requests) <= max_rows:
            raise InputError(f"{len(requests)} requests; send 1 to {max_rows}")
        _check_values(requests, model.label.key)
        return requests

    def score(self, model: Model, lots: Sequence[Sequence[BaseModel]], at_ms: int | None = None, *, explained: bool = False) -> Scored:
        """Score requests, all asked at one time, by every version that serves; nothing is logged yet.

        Args:
            model: asked.
            lots: requests, those of one caller behind one another. Their features are read together; ONNX Runtime is asked for each lot,
                so that what is said to one depends on nobody else.
            at_ms: when they are asked; now by default.
            explained: whether to say by how much each column moved each answer.

        Raises:
            NotReadyError: the model has no champion yet.
            ConflictError: `at_ms` lies before what the tiles have already taken.
        """
        requests = [request for lot in lots for request in lot]
        serving = self._champions.serving(model.name)
        columns = model.request_columns([request.__dict__ for request in requests])
        lookups = [Lookup(source.name, source.keys(columns)) for source in model.sources]
        with stage("predict.read"):
            asked_ms = self._now_ms() if at_ms is None else at_ms
            reading = self._workspace.state.tiles.read(lookups, asked_ms, or_later=at_ms is None)
        if at_ms is None:
            asked_ms = max(asked_ms, reading.known_at_ms)
        elif at_ms < reading.known_at_ms:
            raise ConflictError(f"at={at_ms} lies before {reading.known_at_ms}, which the tiles have taken; leave `at` out, or ask later")
        vectors, position = model.vectors(columns, reading.values), reading.position.token
        keys = [str(getattr(request, model.canary_key)) for request in requests] if serving.canary else []
        numbers = vectors.numbers()
        with stage("predict.score", reads=position):
            said = _Said.of(model.name, serving, vectors.split([len(lot) for lot in lots]), keys)
        answered = Answered(
            model=model.name,
            at_ms=asked_ms,
            made_wall_ms=wall_ms(),
            position=position,
            digest=model.source_digest,
            keys=[str(getattr(request, model.label.key)) for request in requests],
            requests=[request.model_dump_json() for request in requests],
            numbers=numbers,
            scores={role: (loaded.version, said.of_role[role]) for role, loaded in said.by.items()},
            texts=_logged_texts(model, vectors),
            kind=model.objective.kind,
            classes={held.version: held.scorer.classes for held in said.by.values() if held.scorer.classes},
            places={"canary": said.canary},
        )
        return Scored(
            answered,
            *said.answers(model),
            self._missing.of(model, vectors, asked_ms),
            said.explained(model, vectors.by_column()) if explained else (),
            said.odd(),
        )


@dataclass(frozen=True)
class _Said:
    """What each role said of n vectors.

    Args:
        n_rows: how many.
        by: the versions, by role.
        of_role: what they said, by role; the canary of its own rows only.
        canary: the rows that the canary answers, rising.
    """

    n_rows: int
    by: Mapping[Role, Loaded]
    of_role: Mapping[Role, Floats]
    canary: list[int]

    @classmethod
    def of(cls, model: str, serving: Serving, lots: Sequence[Vectors], keys: Sequence[str]) -> _Said:
        """What every version that serves says of lots of vectors, one lot at a time.

        Args:
            model: whose they are.
            serving: the versions.
            lots: n vectors in all.
            keys: (n,) those by which a canary's share is drawn; of none where there is none.
        """
        canary = [] if serving.canary is None else [row for row, key in enumerate(keys) if serving.canary.takes(key)]
        by: dict[Role, Loaded] = {role: held for role, held in serving.roles.items() if role != "canary" or canary}
        of_role = ask_all(model, by, lots)
        by = {role: held for role, held in by.items() if role in of_role}
        canary = canary if "canary" in by else []
        if canary:
            of_role["canary"] = of_role["canary"][canary]
        return cls(sum(len(lot) for lot in lots), by, of_role, canary)

    def odd(self) -> list[int]:
        """The rows, rising, to which the champion says what is no number and no canary answers."""
        champion = self.of_role["champion"]
        if np.isfinite(champion).all():
            return []
        rows = np.flatnonzero(~np.isfinite(champion.reshape(self.n_rows, -1)).all(axis=1)).tolist()
        return sorted(set(rows) - set(self.canary))

    def answers(self, model: Model) -> tuple[list[Answer], list[int]]:
        """(n,) what is told, and by which version it was said."""
        champion = self.by["champion"]
        told = to_answers(model.objective.kind, self.of_role["champion"], champion.scorer.classes)
        versions = [champion.version] * self.n_rows
        if self.canary:
            canary = self.by["canary"]
            theirs = to_answers(model.objective.kind, self.of_role["canary"], canary.scorer.classes)
            for row, answer in zip(self.canary, theirs, strict=True):
                told[row], versions[row] = answer, canary.version
        return told, versions

    def explained(self, model: Model, vector: Mapping[str, Column]) -> list[Explanation]:
        """(n,) why each version said what it said."""
        told: dict[int, Explanation] = {}
        mine = sorted(set(range(self.n_rows)) - set(self.canary))
        for held, rows in ((self.by["champion"], mine), (self.by.get("canary"), self.canary)):
            if held is not None and rows:
                of_rows = {name: vector[name][rows] for name in model.columns}
                told |= dict(zip(rows, explain(held.scorer, model.columns, of_rows, held.typical), strict=True))
        return [told[row] for row in range(self.n_rows)]


def _check_values(requests: Sequence[BaseModel], key: str) -> None:
    for place, request in enumerate(requests):
        values = request.__dict__
        for name, value in values.items():
            kind = type(value)  # most are plain, and a call for each would take longer than all else here
            if kind is str or (kind is float and -_MOST <= value <= _MOST):
                continue
            if why := _unfit(value):
                raise InputError(why, where=f"{place}.{name}")
        if why := unfit_key(values[key]):
            raise InputError(why, where=f"{place}.{key}")


def _unfit(value: object) -> str | None:
    """Why a model cannot be asked with a value: what an event of its history could not hold either, or more than its vector can."""
    why = unfit(value)
    if why is None and type(value) is float and abs(value) > _MOST:
        return f"{value}; a model reads numbers of up to {_MOST:.4g}"
    return None if why is None else why[1]


def _adapter(model: Model) -> TypeAdapter[list[BaseModel]]:
    """What reads requests; it ends at the first that is wrong, as to tell of each of a million would take gigabytes."""
    return TypeAdapter(Annotated[list[model.request], FailFast()])  # type: ignore[name-defined, arg-type]  # a model made at run time


def _logged_texts(model: Model, vectors: Vectors) -> list[bytes]:
    """A JSON object of each vector's texts that its request does not hold; empty where no column is such a text."""
    names = model.logged_texts
    return [orjson.dumps(dict(zip(names, row, strict=True))) for row in zip(*(vectors.texts[name] for name in names), strict=True)]
