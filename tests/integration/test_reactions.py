"""Reactions reach a real webhook whatever dies in between: each event exactly once by its key, none forgotten.

A nursery process imports everything once and forks a child for each round; the child applies, looks and sends until it is done, or
until it kills itself at the step it was told.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.property.test_reactions import BY_LINE, N, Tapped, naive_reactions
from tests.receiver import Receiver, receiving
from tests.unit.events.taps import T0, TAPS, entry
from tidemill.clock import MINUTE_MS
from tidemill.features import Reaction, col, on
from tidemill.project import Project, Workspace
from tidemill.serving.reactions import ReactionWatch

ROOT = Path(__file__).parents[2]
BATCH = 10
STEPS = ["before take", "inside take", "after take", "before send", "after send", "inside mark", "after mark"]
Run = Callable[[Path, str, str, int], int]

NURSERY = """
import json, os, signal, sys
from pathlib import Path
from sqlalchemy import event
import tidemill.serving.reactions
from tests.forked import end_after
from tests.integration.test_reactions import BATCH, project_with
from tidemill.cli.reacting import Reacting
from tidemill.clock import wall_ms
from tidemill.project import Workspace
from tidemill.serving.reactions import ReactionWatch
from tidemill.stores import ReactionStore

hits = {}

def hit(step):
    hits[step] = hits.get(step, 0) + 1
    if (step, hits[step]) == (asked["step"], asked["nth"]):
        os.kill(os.getpid(), signal.SIGKILL)

class DyingStore(ReactionStore):
    inside = ""
    def take(self, before, after, matches):
        hit("before take")
        self.inside = "inside take"
        super().take(before, after, matches)
        self.inside = ""
        hit("after take")
    def mark_sent(self, waiting, wall_ms):
        hit("after send")
        self.inside = "inside mark"
        super().mark_sent(waiting, wall_ms)
        self.inside = ""
        hit("after mark")
    def due(self, *arguments):
        for waiting in super().due(*arguments):
            hit("before send")
            yield waiting

def live():
    workspace = Workspace.open(project_with(asked["url"]), Path(asked["home"]))
    tidemill.serving.reactions._BATCH = BATCH
    store = DyingStore(workspace.reactions._engine)
    event.listen(workspace.reactions._engine, "after_cursor_execute", lambda *_: store.inside and hit(store.inside))
    object.__setattr__(workspace, "reactions", store)
    watch, reacting, engine = ReactionWatch(workspace), Reacting(workspace, None, {}), workspace.engine()
    while engine.step(BATCH):
        workspace.lake_writer().flush()
        watch.step()
        while reacting.step("dear", wall_ms()).sent:
            pass
    watch.step()
    while reacting.step("dear", wall_ms()).sent:
        pass
    workspace.close()

for line in sys.stdin:
    asked = json.loads(line)
    pid = os.fork()
    if pid == 0:
        end_after(live)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def project_with(url: str) -> Project:
    """A project with one reaction to dear taps of a busy line."""
    return Project("tides", streams=[TAPS], views=[BY_LINE], reactions=[reaction_with(url)])


def reaction_with(url: str) -> Reaction:
    told = {"where": "line", "n": N}
    return on(
        TAPS,
        name="dear",
        when=(col("fare") >= 2) & (col(N) >= 1),
        features=[BY_LINE],
        webhook=url,
        once_per=("line",),
        within="1min",
        parameters=told,
    )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Runs one child to its end; answers its exit code, -9 when it was killed."""
    with subprocess.Popen([sys.executable, "-c", NURSERY], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None and nursery.stdout is not None
        into, out = nursery.stdin, nursery.stdout

        def one(home: Path, url: str, step: str, nth: int) -> int:
            into.write(json.dumps({"home": str(home), "url": url, "step": step, "nth": nth}) + "\n")
            into.flush()
            return int(out.readline())

        yield one
        into.close()
        assert nursery.wait(timeout=120) == 0


def fill(home: Path, url: str, n_events: int) -> list[str]:
    """A home whose log waits, with copies among the events; answers whom a loop over them reacts to."""
    rng = random.Random(7)
    workspace = Workspace.open(project_with(url), home)
    ReactionWatch(workspace)  # declared before the first event
    known_ms, tapped = T0, list[tuple[int, Tapped]]()
    for place in range(n_events):
        known_ms += rng.randrange(MINUTE_MS // 3)
        number = rng.randrange(max(0, place - 10), place + 1)
        tapped.append((known_ms, Tapped(number, rng.choice("abcd"), float(rng.randrange(5)), 0, 0, False)))
    workspace.log.append([entry(f"t{one.number}", at_ms, at_ms, line=one.line, fare=one.fare) for at_ms, one in tapped], 0)
    workspace.close()
    return [event_id for event_id, _ in naive_reactions(reaction_with(url), [[one] for one in tapped])]


def test_killed_at_every_step_each_event_is_told_once_by_its_key(run: Run, receiver: Receiver, tmp_path: Path) -> None:
    wanted = fill(tmp_path, receiver.url, 200)
    for step, nth in [*((step, 1) for step in STEPS), ("inside take", 3), ("after send", 3), ("inside mark", 3)]:
        assert run(tmp_path, receiver.url, step, nth) == -9, f"{step} was never reached"
    assert run(tmp_path, receiver.url, "", 0) == 0
    keys: dict[str, set[str]] = {}
    for one in receiver.received:
        keys.setdefault(str(one.body["event_id"]), set()).add(one.key)
    assert sorted(keys) == sorted(wanted)
    assert {len(several) for several in keys.values()} == {1}
    assert len({key for several in keys.values() for key in several}) == len(wanted)
    repeated = len(receiver.received) - len(wanted)
    assert 0 < repeated <= 4, "only what was killed after it was sent and before that was noted is sent again"
    workspace = Workspace.open(project_with(receiver.url), tmp_path)
    standing = workspace.reactions.standing()["dear"]
    workspace.close()
    assert (standing.matches, standing.sent, standing.waiting) == (len(wanted), len(wanted), 0)
