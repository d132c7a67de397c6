"""`make soak`: a server under load while what serves is swapped again and again, and then for an hour.

One `tidemill serve` with two versions of a model, asked one row at a time at random moments, 60 % as often as 16 connections could get
answered. First for `--minutes` while versions are promoted and rolled back by turns, `--swaps` times: no request may fail, and no
answer may name one version and tell another's probability, for each is held against what the estimator of that version said. Then for
`--hours` without swaps: resident memory may not grow by 2 %, from the first tenth of that time to the last.

For a look: ARGS="--minutes 2 --swaps 20 --hours 0". Beside other work ARGS="--rate 500": what 16 connections get answered in a quiet moment
says nothing of the next one, and 60 % of it may be more than can be answered.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cards import draw_payments
from benchmarks.closed_loop import press
from benchmarks.load import fill
from benchmarks.open_loop import Load, Sent, send_at_rate
from benchmarks.report import Report, show
from benchmarks.servers import Running, rss_mb, running
from benchmarks.serving_contenders import contenders, encoded
from benchmarks.serving_model import Registered, register
from benchmarks.serving_project import project
from tidemill.clock import MINUTE_MS, wall_ms

SHARE = 0.6
_MODEL = "/v1/models/alone"
_BODIES = 1_000
_NEAR = 1e-5  # what ONNX in float32 may differ by
_LOOK_S = 5.0
_LOOKS_A_LINE, _SWAPS_A_LINE = 12, 10  # of what is said meanwhile
_LARGEST_GROWTH = 0.02


@dataclass
class Answers:
    """Every answer held against what its version said where it was fitted.

    Args:
        registered: the versions.
        by_version: how many each has answered.
        wrong: answers whose version and probability disagree, the first one's words behind the number.
    """

    registered: Registered
    by_version: dict[int, int] = field(default_factory=dict)
    wrong: int = 0
    first_wrong: str = ""

    def hear(self, number: int, body: bytes) -> None:
        """One more answer, to the request of a number."""
        told = json.loads(body)
        version, place = told["model_version"], number % _BODIES
        self.by_version[version] = self.by_version.get(version, 0) + 1
        if abs(told["probability"] - self.registered.said[version][place]) > _NEAR:
            self.wrong += 1
            self.first_wrong = self.first_wrong or f"{told} of row {place}"


@dataclass
class Swaps:
    """Promotes and rolls back by turns, evenly spread over a time, in a thread of its own."""

    port: int
    n_swaps: int
    seconds: float
    took_ms: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def run(self) -> None:
        """All of them."""
        begin_s = time.monotonic()
        for number in range(self.n_swaps):
            time.sleep(max(0.0, begin_s + (number + 0.5) * self.seconds / self.n_swaps - time.monotonic()))
            asked: tuple[str, dict[str, Any]] = ("rollback", {}) if number % 2 else ("promote", {"version": 2})
            at_s = time.monotonic()
            status, told = self._ask(*asked)
            self.took_ms.append((time.monotonic() - at_s) * 1e3)
            if status != 200:
                self.failed.append(f"{asked[0]}: {status} {told[:300]!r}")
            if len(self.took_ms) % _SWAPS_A_LINE == 0:
                print(f"{len(self.took_ms)} of {self.n_swaps} swaps, {len(self.failed)} failed", file=sys.stderr)

    def _ask(self, act: str, body: dict[str, Any]) -> tuple[int, bytes]:
        link = HTTPConnection("127.0.0.1", self.port, timeout=240)
        try:
            link.request("POST", f"{_MODEL}/{act}", json.dumps(body), {"content-type": "application/json"})
            answer = link.getresponse()
            return answer.status, answer.read()
        except OSError as error:
            return 0, str(error).encode()
        finally:
            link.close()


@dataclass
class Memory:
    """Resident memory of a process, looked at every few seconds in a thread of its own."""

    pid: int
    seen_mb: list[float] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until told to stop."""
        while not self.stop.wait(_LOOK_S):
            self.seen_mb.append(rss_mb(self.pid))
            if len(self.seen_mb) % _LOOKS_A_LINE == 0:
                print(f"{len(self.seen_mb) * _LOOK_S / 60:.0f} minutes of load, {self.seen_mb[-1]:.0f} MB", file=sys.stderr)

    def growth(self) -> float:
        """From the median of the first tenth to that of the last, as a share; 0 where there were too few looks."""
        tenth = len(self.seen_mb) // 10
        return float(np.median(self.seen_mb[-tenth:]) / np.median(self.seen_mb[:tenth]) - 1) if tenth else 0.0


def main() -> int:
    """Run it; answers the exit code: 1 where a request failed, an answer was wrong, or memory grew."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        registered = register(home, n_versions=2)
        fill(project, home, draw_payments(20_000, 2_000, span_ms=30 * MINUTE_MS, start_ms=wall_ms() - 30 * MINUTE_MS))
        contender = contenders(home, registered, peers=False)["ours, model alone"]
        bodies = [encoded(contender, registered.rows.iloc[place : place + 1]) for place in range(_BODIES)]
        file = home / "bodies.ndjson"
        file.write_bytes(b"\n".join(bodies))
        with running(contender.command) as server:
            rate = options.rate or SHARE * press(server, contender.path, (file, 16), 5).per_s
            answers = Answers(registered)
            swaps, sent = _swap(server, Load(contender.path, bodies, rate, 60 * options.minutes, answers.hear), options.swaps)
            memory, held = _hold(server, Load(contender.path, bodies, rate, 3_600 * options.hours, answers.hear))
    return _tell(answers, swaps, [sent, *held], memory)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of swaps")
    parser.add_argument("--swaps", type=int, default=100, help="promotions and rollbacks, by turns")
    parser.add_argument("--hours", type=float, default=1.0, help="of load after that; 0 for none")
    parser.add_argument("--rate", type=float, help="requests a second (60 %% of what 16 connections get answered)")
    return parser.parse_args()


def _swap(server: Running, load: Load, n_swaps: int) -> tuple[Swaps, Sent]:
    swaps = Swaps(server.port, n_swaps, load.seconds)
    thread = threading.Thread(target=swaps.run)
    thread.start()
    sent = send_at_rate(server.port, load)
    thread.join()
    return swaps, sent


def _hold(server: Running, load: Load) -> tuple[Memory, list[Sent]]:
    """Load for a time, after a tenth of it (at most five minutes) that is not looked at: caches fill in it."""
    memory = Memory(server.pid)
    if not load.seconds:
        return memory, []
    warm_s = min(300.0, load.seconds / 10)
    held = [send_at_rate(server.port, Load(load.path, load.bodies, load.rate, warm_s, load.heard))]
    thread = threading.Thread(target=memory.run)
    thread.start()
    held.append(send_at_rate(server.port, load))
    memory.stop.set()
    thread.join()
    return memory, held


def _tell(answers: Answers, swaps: Swaps, sent: Sequence[Sent], memory: Memory) -> int:
    n_sent, n_failed = sum(len(one.took_ms) for one in sent), sum(one.failed[0] for one in sent)
    growth = memory.growth()
    figures = {
        "rate": sent[0].rate,
        "requests": n_sent,
        "failed": n_failed,
        "wrong": answers.wrong,
        "by_version": {str(version): count for version, count in sorted(answers.by_version.items())},
        "swaps": len(swaps.took_ms),
        "swaps_failed": len(swaps.failed),
        "swap_p50_ms": float(np.median(swaps.took_ms)),
        "swap_most_ms": max(swaps.took_ms),
        "p50_ms": sent[0].percentile(0.5),
        "p99_ms": sent[0].percentile(0.99),
        "rss_mb": memory.seen_mb[:: max(1, len(memory.seen_mb) // 60)],
        "rss_growth": growth,
    }
    rows = [(name, f"{value:,.4g}") for name, value in figures.items() if isinstance(value, int | float)]
    whys = [*(one.failed[1] for one in sent), answers.first_wrong, *swaps.failed[:3]]
    show(Report("soak", ("tidemill", "uvicorn", "onnxruntime"), figures), ("", ""), rows, [why for why in whys if why])
    return int(bool(n_failed or answers.wrong or swaps.failed or growth >= _LARGEST_GROWTH))


if __name__ == "__main__":
    sys.exit(main())
