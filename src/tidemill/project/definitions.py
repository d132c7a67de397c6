"""What a home remembers of views and tables, held against a project: a definition changes only under another version or another name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tidemill.clock import duration_text
from tidemill.errors import ProjectError
from tidemill.features import FeatureSource
from tidemill.stores import SqlState
from tidemill.stores.definitions import Definition


def check_definitions(state: SqlState, sources: Sequence[FeatureSource], *, remember: bool) -> None:
    """Hold the definitions of a project against those that its home remembers.

    Args:
        state: where they are remembered, with stream time.
        sources: the views and tables of the project.
        remember: whether to write down those that are new.

    Raises:
        ProjectError: another definition is remembered under the name and version of one of these.
    """
    definitions = state.definitions
    against = definitions.remember(sources, state.position_and_time()[1]) if remember else definitions.against(sources)
    if against:
        by_name = {source.name: source for source in sources}
        first = by_name[against[0].view]
        raise _refusal(first, definitions.of(first.name), [(by_name[one.view], one) for one in against])


def definition_text(definition: Sequence[Any]) -> str:
    """A feature's definition, as `Feature.definition` says it, for a person.

    >>> definition_text(["mean", '("dep_delay" >= 15)', 10_800_000, 300_000])
    'mean("dep_delay" >= 15) over 3h, bucket 5min'
    >>> definition_text(["quantile[0.01]", '"fare"', 3_600_000, 60_000, "0.9"])
    'quantile[0.01]("fare", 0.9) over 1h, bucket 1min'
    """
    return f"{aggregate_text(definition)} over {duration_text(definition[2])}, bucket {duration_text(definition[3])}"


def aggregate_text(definition: Sequence[Any]) -> str:
    """What a feature sums up and how, without its window.

    >>> aggregate_text(["count", "", 3_600_000, 60_000])
    'count()'
    """
    kind, expression, reading = definition[0], definition[1], definition[4:]
    bare = expression[1:-1] if expression.startswith("(") else expression  # an operator between two operands brackets all of itself
    return f"{kind}({', '.join([bare, *map(str, reading)]) if bare else ''})"


def _refusal(source: FeatureSource, versions: Sequence[Definition], changed: Sequence[tuple[FeatureSource, Definition]]) -> ProjectError:
    (_, remembered), *others = changed
    what = f"does not mean what it meant: {'; '.join(_differences(json.loads(remembered.text), json.loads(source.definition)))}"
    if others:
        what += f". Changed too: {', '.join(f'{other.name!r} version {other.version}' for other, _ in others)}"
    free = max(definition.version for definition in versions) + 1
    fix = f"write version={free} in the {source.kind}, then `tidemill backfill {source.name}` fills it; or give it another name"
    return ProjectError(what, where=f"{source.kind} {source.name!r} version {source.version}", fix=fix)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Each part of a definition that differs, old and new."""
    found = [f"its {part} was {_part(old[part])}, is {_part(new[part])}" for part in ("stream", "entity") if old[part] != new[part]]
    if ("columns" in old) != ("columns" in new):
        return [*found, "it was a table, is a view" if "columns" in old else "it was a view, is a table"]
    if old.get("columns") != new.get("columns"):
        return [*found, f"its columns were {_columns(old)}, are {_columns(new)}"]
    return found + _feature_differences(old.get("features", {}), new.get("features", {}))


def _feature_differences(was: Mapping[str, Sequence[Any]], now: Mapping[str, Sequence[Any]]) -> list[str]:
    found = []
    for name in sorted(set(was) | set(now)):
        if name not in now:
            found.append(f"feature {name!r} was {definition_text(was[name])}, is gone")
        elif name not in was:
            found.append(f"feature {name!r} was not there, is {definition_text(now[name])}")
        elif was[name] != now[name]:
            found.append(f"feature {name!r} was {definition_text(was[name])}, is {definition_text(now[name])}")
    return found


def _columns(definition: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} ({kind})" for name, kind in definition["columns"])


def _part(value: str | Sequence[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)
