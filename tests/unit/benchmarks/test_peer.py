"""A peer runs in its own environment, apart from ours, and nothing of it is left when it has ended."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks import kafka
from benchmarks.cards import draw_payments
from benchmarks.kafka import answers
from benchmarks.kafka_setup import server_properties
from benchmarks.peer import PEERS, Limits, PeerError, PeerLimitError, prepare, run_peer, write_payments

LOCK = """\
version = 1
revision = 3
requires-python = ">=3.11"

[[package]]
name = "peer-of-the-tests"
version = "0"
source = { virtual = "." }
"""
PROJECT = """\
[project]
name = "peer-of-the-tests"
version = "0"
requires-python = ">=3.11"
dependencies = []

[tool.uv]
package = false
"""
Write = Callable[[str], None]


# a child that tells through a pipe when it has begun, and, should nobody end it, that it has survived
CHILD = """\
import subprocess, sys
code = "import time; pipe = open({pipe!r}, 'w'); print(flush=True); time.sleep(60); pipe.write('survived')"
child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE)
child.stdout.readline()
"""


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """uv may not ask the network, and need not."""
    monkeypatch.setenv("UV_OFFLINE", "1")


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of peers with one, `small`, that needs no package."""
    return new_peers(tmp_path_factory.mktemp("peers"))


@pytest.fixture
def write(peers: Path) -> Write:
    """Writes the script `go.py` of the peer."""

    def written(script: str) -> None:
        (peers / "small" / "go.py").write_text(script, encoding="utf-8")

    return written


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The name of a pipe, and its end to read from."""
    name = str(tmp_path / "pipe")
    os.mkfifo(name)
    end = os.open(name, os.O_RDONLY | os.O_NONBLOCK)
    yield name, end
    os.close(end)


def test_it_gets_its_arguments_and_answers_its_last_line(peers: Path, write: Write) -> None:
    write("import json, sys\nprint('warming up')\nprint(json.dumps({'got': json.loads(sys.argv[1])}))\n")
    answer = run_peer("small", "go.py", {"n": 3, "name": "a b"}, peers=peers)
    assert answer["got"] == {"n": 3, "name": "a b"}
    assert answer["process"]["seconds"] > 0
    assert answer["process"].keys() == {"seconds", "peak_rss_mb"}


def test_it_runs_in_its_own_environment_and_sees_nothing_of_ours(peers: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3] / "src"))
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    write(
        "import importlib.util, json, os, sys, tempfile\n"
        "print(json.dumps({'prefix': sys.prefix, 'ours': importlib.util.find_spec('tidemill') is not None,\n"
        "                  'env': os.environ.get('VIRTUAL_ENV'), 'tmp': tempfile.gettempdir()}))\n"
    )
    answer = run_peer("small", "go.py", {}, peers=peers)
    assert answer["prefix"] == str(peers / "small" / ".venv")
    assert not answer["ours"]
    assert answer["env"] is None
    assert not Path(answer["tmp"]).exists()  # what it left in its temporary folder went with it


def test_the_environment_is_set_up_once_for_each_lock(tmp_path: Path) -> None:
    small = new_peers(tmp_path) / "small"
    python = prepare(small)
    stamp = small / ".venv" / ".installed"
    first = stamp.stat().st_mtime_ns
    assert prepare(small) == python
    assert stamp.stat().st_mtime_ns == first
    (small / "uv.lock").write_text(LOCK + "\n", encoding="utf-8")
    prepare(small)
    assert stamp.stat().st_mtime_ns > first


def test_a_peer_that_fails_says_why(peers: Path, write: Write) -> None:
    write("raise SystemExit('there is no broker')")
    with pytest.raises(PeerError, match=r"peer small: go\.py ended with code 1: there is no broker"):
        run_peer("small", "go.py", {}, peers=peers)


@pytest.mark.parametrize("last", ["print('done')", "print('[1]')", "print('NaN ')", "pass"])
def test_a_peer_whose_last_line_is_no_object_is_an_error(peers: Path, write: Write, last: str) -> None:
    write(f"import sys\nsys.stderr.write('half way')\n{last}\n")
    with pytest.raises(PeerError, match=r"no JSON object as its last line.*half way"):
        run_peer("small", "go.py", {}, peers=peers)


def test_an_unknown_peer_or_script_is_named(peers: Path, write: Write) -> None:
    with pytest.raises(PeerError, match="nobody is no peer"):
        run_peer("nobody", "go.py", {}, peers=peers)
    write("")
    with pytest.raises(PeerError, match=r"has no script gone\.py; it has \['go\.py'\]"):
        run_peer("small", "gone.py", {}, peers=peers)


def test_a_lock_that_does_not_fit_is_an_error_of_setting_up(tmp_path: Path) -> None:
    small = new_peers(tmp_path) / "small"
    (small / "uv.lock").write_text("no lock", encoding="utf-8")
    with pytest.raises(PeerError, match="the environment of small could not be set up"):
        prepare(small)
    assert not (small / ".venv" / ".installed").exists()


def test_at_the_limit_on_time_it_ends_with_what_it_has_started(peers: Path, write: Write, pipe: tuple[str, int]) -> None:
    name, end = pipe
    write(CHILD.format(pipe=name) + "child.wait()\n")
    with pytest.raises(PeerLimitError, match="limit on seconds") as reached:
        run_peer("small", "go.py", {}, Limits(seconds=2), peers=peers)
    assert (reached.value.limit, reached.value.seconds >= 2) == ("seconds", True)
    assert said(end) == b""


def test_what_a_finished_peer_has_left_running_ends(peers: Path, write: Write, pipe: tuple[str, int]) -> None:
    name, end = pipe
    write(CHILD.format(pipe=name) + "print('{}')\n")
    assert run_peer("small", "go.py", {}, peers=peers).keys() == {"process"}
    assert said(end) == b""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_the_limit_on_memory_counts_children(peers: Path, write: Write) -> None:
    write("import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import time; held = bytearray(300 << 20); time.sleep(600)'])\n")
    with pytest.raises(PeerLimitError) as reached:
        run_peer("small", "go.py", {}, Limits(seconds=500, memory_mb=200), peers=peers)
    assert reached.value.limit == "memory_mb"
    assert reached.value.peak_rss_mb > 200


def test_payments_are_written_alike_in_both_forms(tmp_path: Path) -> None:
    payments = draw_payments(1000, 50)
    for name in ("p.ndjson", "p.parquet"):
        write_payments(payments, tmp_path / name)
    lines = [json.loads(line) for line in (tmp_path / "p.ndjson").read_text(encoding="utf-8").splitlines()]
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.to_pylist() == lines
    assert lines[0].keys() == {"payment_id", "paid_at", "card", "device", "merchant", "amount"}
    assert np.array_equal(table["amount"].to_numpy(), payments.amount)
    with pytest.raises(ValueError, match=r"neither \.ndjson nor \.parquet"):
        write_payments(payments, tmp_path / "p.csv")


PEER_FOLDERS = sorted(path.parent.name for path in PEERS.glob("*/pyproject.toml"))


@pytest.mark.parametrize("peer", PEER_FOLDERS)
def test_every_peer_is_locked(peer: str) -> None:
    wanted = tomllib.loads((PEERS / peer / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    locked = {package["name"]: package for package in tomllib.loads((PEERS / peer / "uv.lock").read_text(encoding="utf-8"))["package"]}
    assert "virtual" in locked[wanted["name"]]["source"]
    for dependency in wanted["dependencies"]:
        name, exact = dependency.split("==")
        assert locked[name.split("[")[0]]["version"] == exact


@pytest.mark.parametrize("script", sorted(PEERS.glob("*/*.py")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_peer_imports_ours(script: Path) -> None:
    imported = [
        name
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8")))
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None)])
        if isinstance(node, ast.Import | ast.ImportFrom) and name
    ]
    assert not {name.split(".")[0] for name in imported} & {"tidemill", "benchmarks"}


def test_there_are_peers() -> None:
    assert {"feast", "quix", "flink"} <= set(PEER_FOLDERS)


def test_the_broker_listens_on_loopback_only() -> None:
    settings = dict(line.split("=", 1) for line in server_properties(Path("/data"), port=19092, controller=19093).splitlines())
    assert settings["listeners"] == "PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:19092"
    assert settings["log.retention.ms"] == "-1"
    assert kafka.VERSION in kafka.POM.read_text(encoding="utf-8")


def test_a_port_without_a_broker_does_not_answer() -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); s.accept()",
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as deaf:
        assert deaf.stdout is not None
        assert not answers(int(deaf.stdout.readline()))  # it takes the request, and hangs up
    assert not answers(1)


def new_peers(folder: Path) -> Path:
    """`folder` as a folder of peers, with the peer `small`."""
    (folder / "small").mkdir()
    (folder / "small" / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (folder / "small" / "uv.lock").write_text(LOCK, encoding="utf-8")
    return folder


def said(end: int) -> bytes:
    """What was written to a pipe until its last writer had ended."""
    os.set_blocking(end, True)
    return os.read(end, 100)
