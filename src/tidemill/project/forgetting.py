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

No engine may be at work: one that has read an event and not yet committed it would bring it back. Servers may answer meanwhile; views read
as missing until the tiles are there again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from tidemill.errors import ConflictError
from tidemill.project.forget_find import Found, check_field, counted, find
from tidemill.project.workspace import Workspace
from tidemill.stores import SqlLog
from tidemill.stores.forget_match import Entity
from tidemill.stores.forget_rows import forget_dead_letters, forget_outcomes, forget_predictions, forget_reactions
from tidemill.stores.remains import SHORTEST, Remain, remains
from tidemill.stores.wiping import wipe

_UNFINISHED = "forgetting"
_WRITTEN_ANEW = ("state", "serving", "loop", "log")

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


def look_for_entity(workspace: Workspace, entity: Entity) -> Forgotten:
    """What `forget_entity` would delete, and what it would leave; changes nothing.

    Raises:
        NotFoundError: no stream has the field.
        InputError: the field is of a type that names nobody.
    """
    check_field(workspace.project, entity)
    return _report(workspace, entity, find(workspace, entity), done=False, built_anew=0)


def forget_entity(workspace: Workspace, entity: Entity, tell: Tell) -> Forgotten:
    """Delete an entity's events and what was made of them.

    Args:
        workspace: without an engine.
        entity: the field and its value.
        tell: told what is at work.

    Raises:
        NotFoundError: no stream has the field.
        InputError: the field is of a type that names nobody.
        ConflictError: an engine or a backfill is at work, or the log is in Kafka, which deletes no single event.
        NotReadyError: a database is being read for long, or the disk is full; run it again.
    """
    check_field(workspace.project, entity)
    _check_erasable(workspace)
    unfinished = workspace.home / _UNFINISHED
    with workspace.working(alone=True):
        tell("bringing the lake up to date")
        workspace.lake_writer().flush()
        tell("looking through log, lake and predictions")
        found = find(workspace, entity)
        if not found and not unfinished.exists():
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
    tell("the log")
    _check_erasable(workspace).forget(found.all_offsets)
    tell("dead letters")
    for name, mine in found.offsets.items():
        forget_dead_letters(databases, name, mine)
    for name in _WRITTEN_ANEW:
        tell(f"writing the database {name} anew")
        wipe(databases, name)
    return built_anew


def _check_erasable(workspace: Workspace) -> SqlLog:
    if isinstance(workspace.log, SqlLog):
        return workspace.log
    what = "the log is in Kafka, which cannot delete single events, so they would come back when tiles are built anew"
    raise ConflictError(f"{what}; let the topics' retention delete them first, or keep personal data out of what goes there")


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
    )
