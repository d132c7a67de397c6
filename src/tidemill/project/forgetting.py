"""Forgetting one entity everywhere: its events, and all that was made of them.

```
 found:    log, lake, dead letters, outcomes, predictions, matches of reactions
 deleted:  outcomes ─► predictions ─► matches of reactions ─► lake, with its history ─► tiles, rows, ids and sketches built anew
           ─► cached values ─► log: each event becomes a mark at its offset ─► dead letters ─► databases written anew
```
What is left is what would be there had these events never come, but for the books: they still count them where they went, and a log of
marks is judged `forgotten` (rejected) by an engine that begins anew. What tells of something is deleted after it: the lake knows the keys
of predictions, the log the offsets of everything, dead letters tell of themselves. Killed anywhere, the same command run again completes
it; a file `forgetting` in the home says that one is unfinished.

A log in Kafka keeps the events, as no single one can be deleted there: whoever asks must say that they know (`topic_keeps`), and is told
which topics hold how many for how long. Nothing reads them again but an engine that builds state and lake anew from the first event on.

No engine may be at work: one that has read an event and not yet committed it would bring it back. Servers may answer meanwhile; views read
as missing until the tiles are there again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tidemill.errors import ConflictError
from tidemill.project.forget_find import Found, check_field, counted, find
from tidemill.project.workspace import Workspace
from tidemill.stores import SqlLog
from tidemill.stores.forget_match import Entity
from tidemill.stores.forget_rows import forget_dead_letters, forget_outcomes, forget_predictions, forget_reactions
from tidemill.stores.remains import SHORTEST, Remain, remains
from tidemill.stores.topic_keeps import TopicKeeps
from tidemill.stores.wiping import wipe

_UNFINISHED = "forgetting"
_WRITTEN_ANEW = ("state", "serving", "serving_keys", "loop", "log")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Forgotten:
    """What was found of an entity, and what became of it.

    Args:
        done: whether it was deleted, or only looked for.
        log: by stream, events in the log, of whatever kind.
        lake: by stream, events in the lake.
        dead_letters: by stream.
        outcomes: by model.
        predictions: by model.
        keys: by view or table whose key holds the field, how many keys.
        reactions: by reaction, matches that told of it.
        cached: files of values cached for training, which are removed whole.
        built_anew: how many events the tiles were built anew from.
        remains: where the value still is in the home; of a value of less than four letters this is not known.
        searched: whether the home was searched for what remains.
        topics: what stays in topics, where the log is in Kafka.
    """

    done: bool
    log: dict[str, int]
    lake: dict[str, int]
    dead_letters: dict[str, int]
    outcomes: dict[str, int]
    predictions: dict[str, int]
    keys: dict[str, int]
    reactions: dict[str, int]
    cached: int
    built_anew: int
    remains: list[Remain]
    searched: bool
    topics: list[TopicKeeps]


def look_for_entity(workspace: Workspace, entity: Entity) -> Forgotten:
    """What `forget_entity` would delete, and what it would leave; changes nothing.

    Raises:
        NotFoundError: no stream has the field.
        InputError: the field is of a type that names nobody.
    """
    check_field(workspace.project, entity)
    return _report(workspace, entity, find(workspace, entity), done=False, built_anew=0)


def forget_entity(workspace: Workspace, entity: Entity, tell: Tell, *, topic_keeps: bool = False) -> Forgotten:
    """Delete an entity's events and what was made of them.

    Args:
        workspace: without an engine.
        entity: the field and its value.
        tell: told what is at work.
        topic_keeps: whether it is known and wanted that a log in Kafka keeps the events.

    Raises:
        NotFoundError: no stream has the field.
        InputError: the field is of a type that names nobody.
        ConflictError: an engine or a backfill is at work; or the log is in Kafka and nobody has said `topic_keeps`, or some of the events
            wait there for the engine, which would bring them back.
        NotReadyError: a database is being read for long, or the disk is full; run it again.
    """
    check_field(workspace.project, entity)
    _check_log(workspace, topic_keeps=topic_keeps)
    unfinished = workspace.home / _UNFINISHED
    with workspace.working(alone=True):
        tell("bringing the lake up to date")
        workspace.lake_writer().flush()
        tell("looking through log, lake and predictions")
        found = find(workspace, entity)
        _check_none_waits(workspace, found)
        there = found.beside_log or (isinstance(workspace.log, SqlLog) and found.all_offsets)
        if not there and not unfinished.exists():
            return _report(workspace, entity, found, done=True, built_anew=0)
        unfinished.touch()
        built_anew = _delete(workspace, entity, found, tell)
        unfinished.unlink()
        tell("looking for what remains")
        return _report(workspace, entity, found, done=True, built_anew=built_anew)


def _delete(workspace: Workspace, entity: Entity, found: Found, tell: Tell) -> int:
    """Everything that is found, in an order that finds the rest again after a kill; answers how many events tiles were built from."""
    databases = workspace.databases
    tell("outcomes")
    for model, label in workspace.project.labels.items():
        forget_outcomes(databases, model, found.offsets.get(label.stream.name, ()))
    tell("predictions")
    forget_predictions(databases, sorted(found.predictions))
    forget_reactions(databases, sorted(found.reactions))
    for stream in workspace.project.streams:
        if entity.names_in(stream):  # also where nothing is found: a run that was killed may have left its history
            tell(f"the lake's {stream.name}")
            workspace.lake.forget(stream.name, sorted(found.offsets.get(stream.name, ())))
    tell("building tiles anew")
    built_anew = workspace.build_anew()
    for path in found.cached:
        path.unlink(missing_ok=True)
    if isinstance(workspace.log, SqlLog):
        tell("the log")
        workspace.log.forget(found.all_offsets)
    tell("dead letters")
    for name, mine in found.offsets.items():
        forget_dead_letters(databases, name, mine)
    for name in filter(databases.exists, _WRITTEN_ANEW):
        tell(f"writing the database {name} anew")
        wipe(databases, name)
    return built_anew


def _check_log(workspace: Workspace, *, topic_keeps: bool) -> None:
    if isinstance(workspace.log, SqlLog):
        return
    if not topic_keeps:
        what = "the log is in Kafka, which deletes no single event: its topics keep them, and who builds state and lake anew has them back"
        raise ConflictError(f"{what}; add --topic-keeps to delete them everywhere else, and be told what stays where and until when")
    if n_engines := workspace.log.members():
        what = f"{n_engines} engines are in the log's group, here or on another machine; end them"
        raise ConflictError(f"{what}, wait until the session of one that was killed is over, and try again")


def _check_none_waits(workspace: Workspace, found: Found) -> None:
    """In a log that keeps its events, those that nobody has applied would be applied later."""
    if isinstance(workspace.log, SqlLog):
        return
    position, waiting = workspace.state.position(), dict[str, int]()
    for name, mine in found.offsets.items():
        waiting[name] = int((~position.taken(name, np.array(sorted(mine), dtype=np.int64))).sum())
    if any(waiting.values()):
        told = ", ".join(f"{n} of {name}" for name, n in waiting.items() if n)
        raise ConflictError(f"some of its events wait in the topics for the engine ({told}); let it take them, end it, and try again")


def _report(workspace: Workspace, entity: Entity, found: Found, *, done: bool, built_anew: int) -> Forgotten:
    return Forgotten(
        done=done,
        log=counted(found.offsets),
        lake=found.in_lake,
        dead_letters=found.dead_letters,
        outcomes=found.outcomes,
        predictions=found.by_model,
        keys=found.keys,
        reactions=dict(Counter(found.reactions.values())),
        cached=len(found.cached),
        built_anew=built_anew,
        remains=remains(workspace.home, entity, changed=done),
        searched=len(entity.value) >= SHORTEST,
        topics=_topics(workspace, found),
    )


def _topics(workspace: Workspace, found: Found) -> list[TopicKeeps]:
    if isinstance(workspace.log, SqlLog):
        return []
    now_ms = workspace.now_ms()
    kept = [workspace.log.keeps(name, mine, found.newest_ms.get(name, now_ms)) for name, mine in sorted(found.offsets.items())]
    return [keeps for keeps in kept if keeps.events]
