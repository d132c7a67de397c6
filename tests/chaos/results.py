"""What runs of the chaos suite have shown, kept as lines of a file and added up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.verdict import Left, Verdict


@dataclass(frozen=True)
class Result:
    """One run: a system was started, disturbed, ended, and compared with its twin.

    Args:
        profile: of the system; `loop` for the one that retrains.
        seed: of the order and moments of its faults.
        seconds: how long it took.
        recovered: by fault, the seconds after each until the system went on.
        verdict: what was left.
    """

    profile: str
    seed: int
    seconds: float
    recovered: Mapping[str, Sequence[float]]
    verdict: Verdict

    def add_to(self, path: Path) -> None:
        """Append it to a file, as one line of JSON."""
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(self)) + "\n")


def read_results(path: Path) -> list[Result]:
    """The results in a file."""
    return [_result(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def _result(told: dict[str, object]) -> Result:
    verdict = dict(told["verdict"])  # type: ignore[call-overload]  # as `add_to` wrote it
    streams = {name: Left(**left) for name, left in verdict.pop("streams").items()}
    different = tuple(verdict.pop("different"))
    return Result(**{**told, "verdict": Verdict(streams, different, **verdict)})  # type: ignore[arg-type]  # the same


def tell(results: Sequence[Result]) -> None:
    """Print a table of each profile and what was found; the last line is JSON."""
    profiles = dict.fromkeys(one.profile for one in results)
    figures = {profile: _tell_profile([one for one in results if one.profile == profile]) for profile in profiles}
    print(json.dumps({"chaos": figures}), flush=True)


def _tell_profile(results: Sequence[Result]) -> dict[str, object]:
    took_s: dict[str, list[float]] = {}
    for name, seconds in ((name, seconds) for one in results for name, seconds in one.recovered.items()):
        took_s.setdefault(name, []).extend(seconds)
    figures = summed(results)
    title = f"{results[0].profile} profile: {figures['rounds']} rounds in {len(results)} runs of {figures['seconds']} s together"
    table = Table("fault", "rounds", "went on after, median s", "most s", title=title, title_justify="left", box=None)
    for name, seconds in took_s.items():
        if seconds:
            table.add_row(name, str(len(seconds)), f"{sorted(seconds)[len(seconds) // 2]:.1f}", f"{max(seconds):.1f}")
    Console().print(table)
    print("\n".join(_lines(figures)))
    for one in results:
        if not one.verdict.is_good:
            print(f"the run of seed {one.seed} failed: {why_bad(one.verdict)}")
    return figures


def summed(results: Sequence[Result]) -> dict[str, object]:
    """The figures of runs together, those of one that got stuck counted as far as they are known."""
    lefts = [left for one in results for left in one.verdict.streams.values()]
    totals = {name: sum(getattr(left, name) for left in lefts) for name in ("sent", "lost", "twice", "resent")}
    return {
        "runs": len(results),
        "rounds": sum(len(took_s) for one in results for took_s in one.recovered.values()),
        "rounds_by_fault": dict(Counter(name for one in results for name, took_s in one.recovered.items() for _ in took_s)),
        "seconds": round(sum(one.seconds for one in results)),
        **totals,
        "values_compared": sum(one.verdict.compared for one in results),
        "values_different": sum(len(one.verdict.different) for one in results),
        "wrong_books": sum(bool(left.wrong_books) for left in lefts),
        "stuck": sum(bool(one.verdict.stuck) for one in results),
    }


def _lines(figures: Mapping[str, object]) -> list[str]:
    return [
        f"{figures['sent']:,} events acknowledged: lost {figures['lost']}, counted twice {figures['twice']}, "
        f"{figures['resent']:,} sent again and told apart",
        f"{figures['values_compared']:,} values beside undisturbed runs: {figures['values_different']} differ; "
        f"books that do not balance: {figures['wrong_books']}; runs that got stuck: {figures['stuck']}",
    ]


def why_bad(verdict: Verdict) -> str:
    """For people; empty when it is good."""
    if verdict.is_good:
        return ""
    wrong = [f"{name}: {left}" for name, left in verdict.streams.items() if left.lost or left.twice or left.wrong_books]
    return "\n".join([*wrong, *verdict.different[:5], verdict.stuck]).strip()
