"""Runs a peer: a system that ours is compared with, in a locked environment of its own under `benchmarks/peers/NAME`.

A peer never shares a process or a package with ours. It gets its arguments as one JSON object on the command line, reads the payments from
a file that `write_payments` made, and prints its figures as one JSON object on its last line. What peers share with each other lies in
`peers/shared`, which they can import. By hand: `python -m benchmarks.peer NAME SCRIPT JSON`.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.json as pa_json
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from benchmarks.cards import Payments

PEERS = Path(__file__).parent / "peers"
_ROOT = Path(__file__).parents[1]
_CHUNK = 500_000
_LOOK_S = 0.1
# of our own environment: a peer that saw them would look for its packages, or its coverage, in ours
_OURS = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "UV_PROJECT_ENVIRONMENT")
_SCHEMA = pa.schema(
    {"payment_id": pa.string(), "paid_at": pa.int64()}
    | {entity: pa.string() for entity in ("card", "device", "merchant")}
    | {"amount": pa.float64()}
)


class PeerError(RuntimeError):
    """A peer could not be set up, or failed; the message ends with what it said last."""


class PeerLimitError(PeerError):
    """A peer was ended because it reached a limit.

    Args:
        limit: `seconds` or `memory_mb`.
        seconds: how long it had run.
        peak_rss_mb: the most resident memory it was seen to hold, MiB.
    """

    def __init__(self, what: str, *, limit: str, seconds: float, peak_rss_mb: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self.peak_rss_mb = peak_rss_mb
        super().__init__(f"{what} reached the limit on {limit} after {seconds:.0f} s with {peak_rss_mb:.0f} MiB")


@dataclass(frozen=True)
class Limits:
    """When a peer is ended.

    Args:
        seconds: its longest life.
        memory_mb: the most resident memory of it and its children together, MiB, looked at ten times a second; None for no limit.
    """

    seconds: float = 900.0
    memory_mb: float | None = None


def run_peer(peer: str, script: str, arguments: Mapping[str, Any], limits: Limits | None = None, *, peers: Path = PEERS) -> dict[str, Any]:
    """Run a script of a peer, setting up its environment first when that is needed.

    Args:
        peer: the name of its folder.
        script: the name of a file in it.
        arguments: handed over as JSON.
        limits: on time and memory.
        peers: the folder of peers.

    Returns:
        The object of its last line, and under `process` its `seconds` and `peak_rss_mb`, children included.

    Raises:
        PeerLimitError: it took too long or too much memory.
        PeerError: there is no such peer, it cannot be set up, it failed, or its last line is no JSON object.
    """
    folder = peers / peer
    python = prepare(folder)
    if not (folder / script).is_file():
        raise PeerError(f"peer {peer} has no script {script}; it has {sorted(path.name for path in folder.glob('*.py'))}")
    with tempfile.TemporaryDirectory(prefix=f"peer-{peer}-") as scratch:
        said, told = Path(scratch) / "stdout", Path(scratch) / "stderr"
        with said.open("wb") as out, told.open("wb") as err:
            command = [str(python), str(folder / script), json.dumps(dict(arguments))]
            # a session of its own, so that what it starts ends with it
            process = subprocess.Popen(command, stdout=out, stderr=err, env=environment(scratch), start_new_session=True)
            seconds, peak_mb = _watch(process, f"peer {peer}: {script}", limits or Limits())
        if process.returncode != 0:
            raise PeerError(f"peer {peer}: {script} ended with code {process.returncode}: {_tail(told)}")
        return {**_last_object(said, told, f"peer {peer}: {script}"), "process": {"seconds": seconds, "peak_rss_mb": peak_mb}}


def prepare(folder: Path) -> Path:
    """Bring a peer's environment in step with its lock, and what it needs of Debian onto this machine; answer its Python.

    Raises:
        PeerError: the folder holds no locked project, or the setting up fails.
    """
    lock, project = folder / "uv.lock", folder / "pyproject.toml"
    if not (lock.is_file() and project.is_file()):
        raise PeerError(f"{folder} is no peer: it needs a pyproject.toml and a uv.lock")
    wanted = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {}).get("peer", {}).get("debian", {})
    for program, package in wanted.items():
        debian_program(program, package)
    stamp = folder / ".venv" / ".installed"
    digest = hashlib.sha256(lock.read_bytes() + project.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text(encoding="ascii") != digest:
        _run([_uv(), "sync", "--frozen", "--compile-bytecode", "--project", str(folder)], f"the environment of {folder.name}")
        stamp.write_text(digest, encoding="ascii")
    return folder / ".venv" / "bin" / "python"


def debian_program(program: str, package: str) -> str:
    """The path of a program, after installing Debian's package of it when it is missing.

    Raises:
        PeerError: it is missing and cannot be installed here.
    """
    if shutil.which(program) is None:
        if shutil.which("apt-get") is None:
            raise PeerError(f"there is no {program}; install it (Debian's package {package})")
        sudo = [] if os.geteuid() == 0 else ["sudo"]
        _run([*sudo, "apt-get", "update"], "apt-get update")
        _run([*sudo, "apt-get", "install", "-y", "--no-install-recommends", package], f"Debian's package {package}")
    found = shutil.which(program)
    if found is None:
        raise PeerError(f"Debian's package {package} brought no {program}")
    return found


def write_payments(payments: Payments, path: Path) -> None:
    """Write payments for peers, in order: `.ndjson` holds the very lines a source would send, `.parquet` the same as columns.

    Columns: payment_id, card, device, merchant (text), paid_at (int64 ms), amount (float64).

    Raises:
        ValueError: another suffix.
    """
    chunks = _chunks(payments.payloads())
    if path.suffix == ".ndjson":
        with path.open("w", encoding="utf-8") as lines:
            lines.writelines(chunks)
    elif path.suffix == ".parquet":
        options = pa_json.ParseOptions(explicit_schema=_SCHEMA)
        with pq.ParquetWriter(path, _SCHEMA) as columns:
            for chunk in chunks:
                columns.write_table(pa_json.read_json(io.BytesIO(chunk.encode()), parse_options=options))
    else:
        raise ValueError(f"{path} ends with neither .ndjson nor .parquet")


def _chunks(lines: Iterator[str]) -> Iterator[str]:
    while chunk := list(islice(lines, _CHUNK)):
        yield "\n".join(chunk) + "\n"


def _uv() -> str:
    own = _ROOT / ".tools" / "bin" / "uv"
    found = str(own) if own.is_file() else shutil.which("uv")
    if found is None:
        raise PeerError("there is no uv; `make install` brings it")
    return found


def _run(command: list[str], what: str) -> None:
    with tempfile.TemporaryFile() as output:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(None)).returncode
        if code != 0:
            output.seek(0)
            raise PeerError(f"{what} could not be set up ({' '.join(command)}): {output.read().decode(errors='replace')[-1000:]}")


def environment(scratch: str | None) -> dict[str, str]:
    """The variables a peer runs with: ours without what is only for us; `scratch`, where given, is its folder for temporary files."""
    kept = {name: value for name, value in os.environ.items() if name not in _OURS}
    running = {"TMPDIR": scratch, "PYTHONPATH": str(PEERS / "shared")} if scratch else {}
    return kept | {"DO_NOT_TRACK": "true", "UV_PYTHON_DOWNLOADS": "never"} | running


def _watch(process: subprocess.Popen[bytes], what: str, limits: Limits) -> tuple[float, float]:
    """Wait for the end; answer the seconds and the peak of resident memory, MiB."""
    begin, peak_mb = time.monotonic(), 0.0
    try:
        # WNOWAIT: until it is waited for below, no other process can get its id, nor its group's
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            peak_mb = max(peak_mb, _rss_mb(process.pid))
            seconds = time.monotonic() - begin
            reached = "seconds" if seconds > limits.seconds else "memory_mb" if peak_mb > (limits.memory_mb or peak_mb) else None
            if reached is not None:
                raise PeerLimitError(what, limit=reached, seconds=seconds, peak_rss_mb=peak_mb)
            time.sleep(_LOOK_S)
        return time.monotonic() - begin, peak_mb
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # and whatever it started and left behind
        process.wait()


def _rss_mb(pid: int) -> float:
    """Resident memory of a process and its children, MiB; pages they share are counted for each. 0 where there is no /proc."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except (OSError, IndexError):  # it has just ended
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20 + sum(_rss_mb(child) for child in children)


def _last_object(said: Path, told: Path, what: str) -> dict[str, Any]:
    lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    try:
        found = json.loads(lines[-1]) if lines else None
    except json.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise PeerError(f"{what} printed no JSON object as its last line, but {lines[-1:]}; on stderr: {_tail(told)}")
    return found


def _tail(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace").strip()[-1500:] or "nothing"


if __name__ == "__main__":
    print(json.dumps(run_peer(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))))
