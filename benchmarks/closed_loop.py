"""Load by `wrk` (C, one thread): a number of connections, each of which asks again as soon as it is answered."""

from __future__ import annotations

import json
import resource
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peer import debian_program
from benchmarks.servers import Running

_SCRIPT = Path(__file__).with_name("closed_loop.lua")


@dataclass(frozen=True)
class Pressed:
    """What came of it.

    Args:
        per_s: requests answered a second.
        p50_ms: the median time of an answer.
        p99_ms: the 99th percentile.
        client_share: how much of one core wrk itself took, 0 to 1: near 1 it would be wrk that was measured.
        server_ms: CPU time of the server a request, all its processes together. Other work on the machine changes it little, so it
            compares servers where requests a second do not.
    """

    per_s: float
    p50_ms: float
    p99_ms: float
    client_share: float
    server_ms: float


def press(server: Running, path: str, load: tuple[Path, int], seconds: float) -> Pressed:
    """Ask as fast as it answers.

    Args:
        server: asked.
        path: POSTed to.
        load: a file of JSON bodies, one a line, asked in turn; and how many connections ask at the same time.
        seconds: how long.

    Raises:
        PeerError: there is no wrk, and Debian's package cannot be installed.
        RuntimeError: an answer was no 2xx, or a connection broke; a server that refuses is not fast.
    """
    bodies, connections = load
    url = f"http://127.0.0.1:{server.port}{path}"
    wrk = debian_program("wrk", "wrk")
    for longer in (1, 5, 30):  # beside much other work the first second may see no answer at all
        how = ["--threads", "1", "--connections", str(connections), "--duration", f"{max(1, round(seconds)) * longer}s", "--timeout", "60s"]
        before_s, server_s = _cpu_s(), server.cpu_s()
        done = subprocess.run([wrk, *how, "--script", str(_SCRIPT), url, "--", str(bodies)], capture_output=True, text=True, check=False)
        took_s, server_s = _cpu_s() - before_s, server.cpu_s() - server_s
        try:
            told = json.loads(done.stdout.strip().splitlines()[-1])
        except (IndexError, json.JSONDecodeError) as error:
            raise RuntimeError(f"wrk at {url} said {done.stdout[-500:]} {done.stderr[-500:]}") from error
        if told["requests"]:
            break
    if told["refused"] or told["broken"] or not told["requests"]:
        raise RuntimeError(f"{url} refused {told['refused']} of {told['requests']} requests, {told['broken']} connections broke")
    n, share = told["requests"], took_s / told["seconds"]
    return Pressed(n / told["seconds"], told["p50_us"] / 1e3, told["p99_us"] / 1e3, share, 1e3 * server_s / n)


def _cpu_s() -> float:
    """Of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
