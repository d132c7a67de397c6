"""`audit`: what the loop decided about a model, and the whole story of one decision."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.padding import Padding

from tidemill.cli.moments import moment
from tidemill.cli.options import AsJson, ModelName, ProjectPath, print_json, settings_for, workspace_for
from tidemill.cli.terminal import terminal
from tidemill.errors import NotFoundError
from tidemill.pages import Pages

if TYPE_CHECKING:
    from tidemill.loop.story import Rival
    from tidemill.stores import Decision

_MOST = 100_000
_SHOWN = 200


def add_to(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(audit)


def audit(
    model: ModelName,
    decision: Annotated[
        str, typer.Option(help="The number of a decision in the table, or its id: tells its whole story.", show_default=False)
    ] = "",
    project: ProjectPath = None,
    json_: AsJson = False,
) -> None:
    """Show every decision of the loop about a model, newest first; with --decision the whole story of one.

    The story: what it was asked for, what the guard knew, the challengers beside the champion with the interval of their gain and their
    worst slices, the outcome and who decided, how long each stage took, and where MLflow, Prefect and the report show more.
    """
    from tidemill.loop.story import steps

    workspace = workspace_for(settings_for(project), remember=False)
    name = workspace.project.model(model).name
    decisions = workspace.decisions.recent(name, _MOST)
    numbered = {len(decisions) - place: one for place, one in enumerate(decisions)}
    if decision:
        number, wanted = find(numbered, decision)
        found = workspace.monitors.load(f"probation:{name}")[1]
        probation = found if found is not None and found.get("promotion") == wanted.id else None
        if json_:
            print_json({"number": number, **asdict(wanted), "steps": [asdict(step) for step in steps(wanted)], "probation": probation})
        else:
            _print_story(number, wanted, probation, Pages.abroad(settings_for(project)))
    elif json_:
        print_json([{"number": number, **asdict(one)} for number, one in list(numbered.items())[:_SHOWN]])
    else:
        _print_table(model, numbered)


def find(numbered: dict[int, Decision], wanted: str) -> tuple[int, Decision]:
    """A decision by its number, counted from the oldest, or by its id or the beginning of it.

    Raises:
        NotFoundError: there is none, or several begin so.
    """
    if wanted.isdecimal() and int(wanted) in numbered:
        return int(wanted), numbered[int(wanted)]
    found = [(number, one) for number, one in numbered.items() if one.id.startswith(wanted)]
    if len(found) != 1:
        raise NotFoundError("decision", wanted, [f"1 to {len(numbered)}, or an id"] if numbered else [])
    return found[0]


def _print_table(model: str, numbered: dict[int, Decision]) -> None:
    """A line for each, and below it why it ended so: beside the other columns a reason would have no room in a narrow terminal."""
    console = terminal()
    if not numbered:
        console.print(f"no decision about {model} yet")
        return
    shown = list(numbered.items())[:_SHOWN]
    lines = [("#", "when", "act", "trigger", "outcome", "by", "versions")]
    for number, one in shown:
        outcome = one.outcome or one.state
        lines.append((str(number), moment(one.requested_at_ms), one.act, one.trigger, outcome, one.decided_by or "-", _versions(one)))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    reasons = ["", *(one.outcome_reason or one.reason for _, one in shown)]
    for line, why in zip(lines, reasons, strict=True):
        console.print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), soft_wrap=True)
        if why:
            console.print(Padding(why, (0, 0, 0, widths[0] + 2)))
    console.print(f"the whole story of one: tidemill audit {model} --decision {len(numbered)}")


def _print_story(number: int, one: Decision, probation: dict[str, Any] | None, pages: Pages) -> None:
    from tidemill.loop.story import asked_for, knew, made_ready, rivals, steps

    console = terminal(soft_wrap=True)
    console.print(
        f"decision {number} ({one.id}) about {one.model}: {one.act}, trigger {one.trigger}, {moment(one.requested_at_ms)} of stream time"
    )
    console.print(f"  why: {one.reason}")
    ended = f"{one.outcome} by {one.decided_by or '-'}: {one.outcome_reason}" if one.outcome else f"not yet, it is {one.state}"
    console.print(f"  outcome: {ended}")
    console.print(f"  versions: {_versions(one) or '-'}; {one.fits} fits")
    _print_pairs(console, "evidence", asked_for(one))
    _print_pairs(console, "the guard knew", knew(one))
    for rival in rivals(one):
        _print_rival(console, rival, one.metric_name or "loss")
    if made := made_ready(one):
        console.print(f"  registered {made}")
    if probation is not None:
        console.print(f"  probation: {'over' if probation['ended'] else 'runs'}; {probation['found']}")
    for step in steps(one):
        console.print(f"  {moment(step.wall_ms, seconds=True)}  {step.took_s:>9.1f} s  {step.name:<11}{step.meaning}")
    links = {"MLflow": one.findings.get("mlflow_run"), "report": one.evidence.get("report")}
    links["Prefect"] = pages.flow_run(one.flow_run_id)
    _print_pairs(console, "links", tuple((name, pages.shown(str(link))) for name, link in links.items() if link))


def _print_rival(console: Console, rival: Rival, metric: str) -> None:
    console.print(f"  challenger {rival.window}{' (the best)' if rival.best else ''}: {rival.text}")
    if rival.champion is not None and rival.challenger is not None:
        between = f", gain within {rival.interval[0]:+.5f} and {rival.interval[1]:+.5f}" if rival.interval else ""
        console.print(f"    {metric} {rival.challenger:.5f} against {rival.champion:.5f}{between}")
    for note in rival.notes:
        console.print(f"    {note}")


def _print_pairs(console: Console, title: str, pairs: tuple[tuple[str, str], ...]) -> None:
    if pairs:
        console.print(f"  {title}: {'; '.join(f'{name} {value}' for name, value in pairs)}")


def _versions(one: Decision) -> str:
    return f"{one.from_version or '-'} → {one.to_version}" if one.to_version else one.from_version or ""
