"""A backup taken while others append, apply, move events to the lake and log predictions, and what a killed one leaves.

A nursery process imports everything once and forks a child for each piece of work; some of them are killed at a random moment.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tabled
from tidemill.errors import InputError
from tidemill.project import Workspace
from tidemill.stores import OFFSET, Lookup, Manifest, back_up, restore_home, verify_backup

ROOT = Path(__file__).parents[2]
AHEAD = 200  # of the engine, so many events at most are in the log
MOVED = 200  # so many events are applied between two backups
PATIENCE_S = 120.0
NURSERY = """
import itertools, json, os, resource, signal, sys, time
from itertools import chain, islice
from pathlib import Path
import numpy as np
from tests import tabled, tiny
from tests.forked import end_after
from tests.integration.test_backup import AHEAD
from tidemill.errors import TidemillError
from tidemill.project import Workspace
from tidemill.stores import Answered, back_up, restore_home
from tidemill.streams import Position

def append(work):
    workspace = Workspace.open(tabled.project, Path(work["home"]))
    days = (tiny.history(day, day + 1) for day in itertools.count())
    entries = chain(tabled.first_rows(), chain.from_iterable(days))
    while not Path(work["stop"]).exists():
        if workspace.is_behind(AHEAD):
            time.sleep(0.002)
        else:
            workspace.log.append(list(islice(entries, 20)), 0)

def apply(work):
    workspace = Workspace.open(tabled.project, Path(work["home"]))
    engine, lake = workspace.engine(), workspace.lake_writer()
    while not Path(work["stop"]).exists():
        engine.step(30)
        lake.step(every_s=0.05, every_events=150)
        reading = workspace.state.tiles.read([], workspace.now_ms())
        asked = (["o1"], ["{}"], np.zeros((1, 3)), {"champion": (1, np.array([0.5]))})
        workspace.predictions.write(Answered("late_order", 1, 1, workspace.state.position().token, "d", *asked))

def limited(work):
    if "limit" in work:
        resource.setrlimit(resource.RLIMIT_FSIZE, (work["limit"], work["limit"]))
    try:
        {"back_up": back_up, "restore": restore_home}[work["do"]](Path(work["from"]), Path(work["to"]), lambda *_: None)
    except TidemillError as error:
        print("refused", error, file=sys.stderr, flush=True)
        os._exit(1)

for line in sys.stdin:
    work = json.loads(line)
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(work["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        end_after({"append": append, "apply": apply, "back_up": limited, "restore": limited}[work["do"]], work)
    if work.get("beside"):
        print(pid, flush=True)
        continue
    if "after_s" in work:
        time.sleep(work["after_s"])
        os.kill(pid, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
Run = Callable[[dict[str, Any]], int]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Does one piece of work; answers the exit code, or with `beside` at once the process id."""
    said = str(tmp_path_factory.mktemp("said") / "stderr")
    with subprocess.Popen([sys.executable, "-c", NURSERY], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as nursery:
        assert nursery.stdin is not None and nursery.stdout is not None
        into, out = nursery.stdin, nursery.stdout

        def one(work: dict[str, Any]) -> int:
            into.write(json.dumps({"said": said, **work}) + "\n")
            into.flush()
            return int(out.readline())

        yield one
        into.close()
        assert nursery.wait(timeout=120) == 0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a past, and with files beside the databases."""
    home = tmp_path_factory.mktemp("past") / "home"
    workspace = Workspace.open(tabled.project, home)
    tabled.live(workspace, 0, 2)
    workspace.close()
    for place in range(50):
        file = home / "artifacts" / "1" / f"run{place}" / "report.html"
        file.parent.mkdir(parents=True)
        file.write_bytes(random.Random(place).randbytes(20_000))
    return home


def told(_what: str, done: int, total: int) -> None:
    """What is told of the progress makes sense."""
    assert 0 <= done <= total


def test_taken_in_the_middle_of_a_load_it_goes_on_as_if_nothing_had_happened(run: Run, tmp_path: Path) -> None:
    source, stop = tmp_path / "home", tmp_path / "stop"
    workspace = Workspace.open(tabled.project, source)
    said = {do: tmp_path / f"{do}.stderr" for do in ("append", "apply")}
    for do, text in said.items():
        run({"do": do, "home": str(source), "stop": str(stop), "said": str(text), "beside": True})

    def come_to(offset: int) -> None:
        """Wait until so much is applied."""
        deadline_s = time.monotonic() + PATIENCE_S
        while workspace.state.position().offset("orders") < offset:
            told_of = "".join(text.read_text() for text in said.values() if text.exists())
            assert "Traceback" not in told_of and time.monotonic() < deadline_s, f"the load does not go on: {told_of}"
            time.sleep(0.005)

    taken: list[Manifest] = []
    try:
        for place in range(4):
            come_to(MOVED + (taken[-1].offset if taken else 0))
            taken.append(back_up(source, tmp_path / f"backup{place}", told))
        come_to(taken[-1].offset + MOVED)
    finally:
        stop.touch()
        workspace.close()
    for place, manifest in enumerate(taken):
        assert restore_home(tmp_path / f"backup{place}", tmp_path / f"restored{place}", told) == manifest
        goes_on_like_its_twin(tmp_path / f"restored{place}", tmp_path / f"twin{place}", manifest)


def goes_on_like_its_twin(home: Path, beside: Path, manifest: Manifest) -> None:
    """What a restored home comes to is what comes of its log alone, applied from the first event on."""
    restored = Workspace.open(tabled.project, home)
    beside.mkdir()
    shutil.copy(home / "log.db", beside)
    twin = Workspace.open(tabled.project, beside)
    books = restored.books()
    assert all(of.balanced for of in books.values())
    assert sum(of.pending for of in books.values()) == manifest.log_end - manifest.offset
    assert max(restored.lake.held(stream) for stream in books) <= manifest.offset
    made_at = [json.loads(token)["orders"]["0"] if token != "{}" else 0 for token in restored.predictions.served("late_order").positions]
    assert max(made_at, default=0) <= manifest.offset, "a prediction from a position that is not there"
    for workspace in (restored, twin):
        workspace.engine().drain(100)
        workspace.lake_writer().flush()
    assert restored.books() == twin.books()
    assert restored.log.end() == twin.log.end() == twin.state.position()
    lookups = [Lookup(name, [*"abcde", None]) for name in ("by_shop", "shop_info")]
    got, want = (workspace.state.tiles.read(lookups, workspace.now_ms()) for workspace in (restored, twin))
    for column, values in want.values.items():
        np.testing.assert_equal(got.values[column], values, err_msg=column) if values.dtype == object else np.testing.assert_allclose(
            got.values[column], values, rtol=1e-9, err_msg=column
        )
    for stream in books:
        held = [workspace.lake.dataset(stream).to_table().sort_by(OFFSET).to_pylist() for workspace in (restored, twin)]
        assert held[0] == held[1], stream
    restored.close()
    twin.close()


@pytest.mark.parametrize("do", ["back_up", "restore"])
def test_killed_at_any_moment_it_leaves_nothing_or_a_whole_one(run: Run, home: Path, tmp_path: Path, do: str) -> None:
    source, target = home, tmp_path / "target"
    if do == "restore":
        source = tmp_path / "backup"
        back_up(home, source, told)
    work = {"do": do, "from": str(source), "to": str(target)}
    begin_s = time.monotonic()
    assert run(work) == 0
    longest_s, n_killed = time.monotonic() - begin_s, 0
    while n_killed < 8:
        shutil.rmtree(target, ignore_errors=True)
        if run({**work, "after_s": random.uniform(0, longest_s)}) == -9:
            n_killed += 1
        else:
            longest_s *= 0.8  # it was done before: the machine has become quicker
        if target.exists():
            whole(target, do)
    shutil.rmtree(target, ignore_errors=True)
    assert run(work) == 0, "what was left behind is in the way"
    whole(target, do)
    assert {path.name for path in tmp_path.iterdir()} <= {"backup", "target"}


def whole(target: Path, do: str) -> None:
    """It is there with all that belongs to it."""
    if do == "back_up":
        verify_backup(target, lambda _: None)
        return
    workspace = Workspace.open(tabled.project, target)
    assert workspace.engine().drain(1_000) == 0
    assert all(of.balanced and not of.pending for of in workspace.books().values())
    workspace.close()
    assert len(list((target / "artifacts").rglob("*.html"))) == 50


@pytest.mark.parametrize("do", ["back_up", "restore"])
def test_a_full_disk_is_said_plainly_and_leaves_nothing(run: Run, home: Path, tmp_path: Path, do: str) -> None:
    source = home
    if do == "restore":
        source = tmp_path / "backup"
        back_up(home, source, told)
    for limit in (1_000, 30_000, 300_000):
        said = tmp_path / "said"
        assert run({"do": do, "from": str(source), "to": str(tmp_path / "target"), "limit": limit, "said": str(said)}) == 1
        assert "was not made, and nothing is left of it" in said.read_text()
        assert {path.name for path in tmp_path.iterdir()} <= {"backup", "said"}


def test_a_flipped_byte_anywhere_is_found(home: Path, tmp_path: Path) -> None:
    folder, draw = tmp_path / "backup", random.Random()
    back_up(home, folder, told)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {"manifest.json", "log.db", "state.db"} < {path.name for path in files}
    for path in draw.sample(files, 25) + [folder / "manifest.json"] * 10:
        was = path.read_bytes()
        at = draw.randrange(len(was))
        path.write_bytes(was[:at] + bytes([was[at] ^ (1 << draw.randrange(8))]) + was[at + 1 :])
        with pytest.raises(InputError, match=path.name):
            restore_home(folder, tmp_path / "other", told)
        path.write_bytes(was)
    assert not (tmp_path / "other").exists()
    restore_home(folder, tmp_path / "other", told)
