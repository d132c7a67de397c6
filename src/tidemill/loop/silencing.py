"""Silences as people ask for them: of what the project knows, for a duration, with a reason."""

from __future__ import annotations

from dataclasses import dataclass

from tidemill.clock import duration_ms
from tidemill.errors import InputError, NotFoundError
from tidemill.loop.alert_texts import KINDS
from tidemill.project import Project, Workspace
from tidemill.stores import Silence

_NAMES_READ = 500
_LONGEST = 200


@dataclass(frozen=True)
class SilenceAsked:
    """What somebody wants to hear nothing of.

    Args:
        model: a model, stream, reaction or kind of publication.
        kind: the kind of its alerts, e.g. `windows`; empty for all of them.
        duration: for how long, of the wall's clock, e.g. `8h`.
        reason: why, for whoever wonders.
        by: who.
    """

    model: str
    kind: str
    duration: str
    reason: str
    by: str


def silence(workspace: Workspace, asked: SilenceAsked, wall_ms: int) -> Silence:
    """Begin a silence from now on.

    Raises:
        NotFoundError: the project has nothing of that name, or there is no such kind of alert.
        InputError: no duration, or no word of who and why.
    """
    if asked.model not in (known := _subjects(workspace.project)):
        raise NotFoundError("model, stream, reaction or publication", asked.model, known)
    if asked.kind and asked.kind not in (kinds := _kinds(workspace)):
        raise NotFoundError("kind of alert", asked.kind, kinds)
    try:
        until_ms = wall_ms + duration_ms(asked.duration)
    except ValueError as error:
        raise InputError(str(error), where="for") from error
    by, reason = said(asked.by, "by"), said(asked.reason, "reason")
    silences = workspace.alert_silences
    number = silences.begin(asked.model, asked.kind, by, reason, from_wall_ms=wall_ms, until_wall_ms=until_ms)
    return Silence(number, asked.model, asked.kind, by, reason, wall_ms, until_ms)


def end_silence(workspace: Workspace, model: str, kind: str, by: str, wall_ms: int) -> list[Silence]:
    """End every silence of a model, or only those of one kind; answers them.

    Raises:
        NotFoundError: none stands.
    """
    standing = workspace.alert_silences.standing(wall_ms)
    ending = [one for one in standing if one.model == model and kind in ("", one.kind)]
    if not ending:
        raise NotFoundError("standing silence of", f"{model}, {kind}" if kind else model, sorted({one.model for one in standing}))
    for one in ending:
        workspace.alert_silences.end(one.number, by, wall_ms)
    return ending


def said(text: str, where: str) -> str:
    """What a person said, in one line.

    Raises:
        InputError: nothing, or more than 200 letters.

    >>> said("  a  migration ", "reason")
    'a migration'
    """
    line = " ".join(text.split())
    if not 0 < len(line) <= _LONGEST:
        raise InputError(f"{len(line)} letters; say it in 1 to {_LONGEST}", where=where)
    return line


def _subjects(project: Project) -> list[str]:
    """What alerts can be about."""
    models, reactions = ([one.name for one in each] for each in (project.models, project.reactions))
    return [*models, *project.stream_names, *reactions, *project.publish]


def _kinds(workspace: Workspace) -> list[str]:
    """The kinds that are known, and those that have been raised."""
    return sorted({*KINDS, *(record.alert.kind for record in workspace.alerts.recent(limit=_NAMES_READ))})
