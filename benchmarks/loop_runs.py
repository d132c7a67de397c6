"""The runs of `make bench NAME=loop`: one way to keep a model fresh over one stream, kept on disk so that a stopped bench goes on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from benchmarks import concepts, loop_ours, loop_policies, loop_streams, prequential
from benchmarks.loop_peers import LEARNERS, employment_folder, river_adwin, river_learner
from benchmarks.loop_policies import Played, adwin, periodic, static
from benchmarks.loop_streams import PERIODIC, Shape, changing, employment
from benchmarks.peer import PeerError
from tidemill import drift, learning, loop, registry
from tidemill.cli.reference import Year, pool, year_of
from tidemill.errors import TidemillError
from tidemill.project import find_project, load_project
from tidemill.settings import Settings
from tidemill.stores import Databases

CACHE = Path(__file__).parent / ".cache" / "loop"
OURS, STATIC, PERIODICALLY, ADWIN = "tidemill", "static", "periodic", "ADWIN"
POLICIES = (STATIC, PERIODICALLY, ADWIN, *LEARNERS, OURS)
QUICK = Shape(concept_rows=6_000, concepts=2, first_rows=3_000)
_STREAM_FILES = tuple(Path(str(module.__file__)) for module in (concepts, loop_policies, loop_streams, prequential))


@dataclass(frozen=True)
class Run:
    """A policy on a stream; everything random in it follows from the seed."""

    stream: str
    seed: int
    policy: str
    quick: bool = False

    def file(self, settings: Settings) -> Path:
        """Where what came of it is kept: another code or another demo, another file."""
        home = f"-{_stamp(settings.home)}" if self.stream == "flights" else "-quick" if self.quick else ""
        return CACHE / f"{self.policy.replace(' ', '_')}-{_digest(self.policy)}" / f"{self.stream}{home}" / f"{self.seed}.json"

    def known(self, settings: Settings) -> Played | None:
        """What came of it, where that is kept."""
        file = self.file(settings)
        return Played(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def played(runs: Sequence[Run], settings: Settings, workers: int) -> Iterator[tuple[Run, Played | str]]:
    """What came of each run, in some order; for one that could not be made, why not."""
    waiting: list[Run] = []
    for run in runs:
        known = run.known(settings)
        if known is None:
            waiting.append(run)
        else:
            yield run, known
    with pool(workers) as executor:
        futures: dict[Future[Played | str], Run] = {executor.submit(_play_and_keep, run, settings): run for run in waiting}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _play_and_keep(run: Run, settings: Settings) -> Played | str:
    """In a worker process; an error goes back as its text, as not every one can be sent from process to process."""
    try:
        found = play(run.policy, run.stream, year_for(run, settings))
    except (TidemillError, PeerError) as error:
        return f"{type(error).__name__}: {error}"
    file = run.file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".part")
    partial.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
    partial.replace(file)
    return found


def year_for(run: Run, settings: Settings) -> Year:
    """The stream of a run."""
    if run.stream == "flights":
        project = find_project(settings.project)
        return year_of(project, Databases(settings.home, settings.database_url), load_project(project).models[0].name)
    if run.stream == "employment":
        return employment(employment_folder())
    return changing(run.stream, run.seed, QUICK if run.quick else None)


def play(policy: str, stream: str, year: Year) -> Played:
    """Play one."""
    if policy == STATIC:
        return static(year)
    if policy == PERIODICALLY:
        return periodic(year, PERIODIC[stream])
    if policy == ADWIN:
        return adwin(year, river_adwin)
    if policy in LEARNERS:
        return river_learner(year, policy)
    return loop_ours.Loop(year).play()


@cache
def _digest(policy: str) -> str:
    """Of all code that a run follows from: ours from the library's, the others from their own and that of the streams."""
    files = list(_STREAM_FILES)
    if policy == OURS:
        folders = [Path(str(module.__file__)).parent for module in (drift, learning, loop, registry)]
        files += [Path(str(loop_ours.__file__)), *(file for folder in folders for file in folder.glob("*.py"))]
    if policy in LEARNERS:
        files += [Path(__file__).parent / "peers" / "loop" / "learn.py"]
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@cache
def _stamp(home: Path) -> str:
    """Of a finished demo: its folder, and when its databases were last written."""
    newest = max((file.stat().st_mtime_ns for file in home.glob("*.db")), default=0)
    return hashlib.sha256(f"{home.resolve()} {newest}".encode()).hexdigest()[:8]
