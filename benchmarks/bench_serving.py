"""`make bench NAME=serving`: how fast a model is served over HTTP, beside what else serves it, all in one run.

One model of 16 columns (a hundred trees), fitted once, behind each of these, each a real server on 127.0.0.1 with one worker process
(`--workers 2`: two):

- an empty FastAPI route, which reads and computes nothing: what HTTP in Python costs by itself;
- the scikit-learn pipeline in a FastAPI route, as one writes it by hand;
- `mlflow models serve` of the same trees in ONNX, asked with arrays (frames take it longer);
- BentoML, the same file, arrays too;
- ours, the model alone: all 16 values in the request; checked, scored, and as always the vector in the store before it is answered;
- ours, 5 views: the question has a payment's id, three keys and its amount; 15 values are read from five views, then the same.

Before anything is timed each has to say what the estimator says. Closed loop: `wrk` (C, one thread) with 1, 16 and 64 connections, one row
a request and 100; what it took of a core is told, and the empty route shows what it can send at least. On a machine with other work
the CPU time that a server took for a request compares better than requests a second, and stands beside. Open loop, of ours: requests
at random times, 60 % of what 16 connections got answered just before, timed from when they were due, once connections have been opened
for a second; and the empty route at the rate of the first of them, which shows what the client and the machine add. The servers run all
at once and are asked in turn, round by round, so that whatever else the machine does is shared by all; compare within a run only.

For a look in two minutes: ARGS="--quick".
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.beside import or_without
from benchmarks.cards import Payments, draw_payments
from benchmarks.closed_loop import Pressed, press
from benchmarks.load import fill
from benchmarks.open_loop import Load, Sent, send_at_rate
from benchmarks.peer import PEERS
from benchmarks.report import Report, show
from benchmarks.servers import Running, running
from benchmarks.serving_contenders import Contender, contenders, encoded
from benchmarks.serving_model import Registered, register
from benchmarks.serving_project import Question, project
from tidemill.clock import MINUTE_MS, wall_ms

ROWS = (1, 100)
CELLS = tuple((connections, rows) for rows in ROWS for connections in (1, 16, 64))
QUICK = ((1, 1), (16, 1), (64, 1), (16, 100))
OPEN_SHARE = 0.6  # of what 16 connections get answered
_WARM_S = 1.0
_LEFT_S = 2.0  # until what wrk asked last and did not wait for is answered: 64 times 100 rows
_BODIES = {1: 1_000, 100: 50}
_CHECKED = 20
_EMPTY, _OURS = "empty route", ("ours, model alone", "ours, 5 views")
Cell = tuple[str, int, int]  # who, connections, rows
_PACKAGES = ("tidemill", "fastapi", "uvicorn", "uvloop", "onnxruntime", "scikit-learn", "mlflow")


def main() -> int:
    """Run the benchmark; answers the exit code."""
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        registered = register(home)
        history = draw_payments(options.events, options.keys, span_ms=30 * MINUTE_MS, start_ms=wall_ms() - 30 * MINUTE_MS)
        fill(project, home, history)
        with ExitStack() as stack:
            asked = contenders(home, registered, peers=not options.no_peers, workers=options.workers)
            ports = _start(stack, asked)
            asked = {name: one for name, one in asked.items() if name in ports}
            for name, contender in asked.items():
                _check(name, contender, ports[name], registered)
            bodies = _write_bodies(home, asked, registered.rows, _questions(history))
            closed = _closed(asked, ports, bodies, options)
            opened = _open(asked, ports, bodies, options.seconds)
    _tell(closed, opened, _peer_versions() if "BentoML" in asked else {})
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000, help="payments applied before, in the half hour before")
    parser.add_argument("--keys", type=int, default=30_000, help="of each entity")
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement, whole seconds")
    parser.add_argument("--runs", type=int, default=3, help="rounds over all measurements")
    parser.add_argument("--workers", type=int, default=1, help="processes of each server")
    parser.add_argument("--no-peers", action="store_true", help="ours and the empty route alone")
    parser.add_argument("--quick", action="store_true", help="one round of two seconds each, few payments")
    found = parser.parse_args()
    if found.quick:
        found.events, found.keys, found.seconds, found.runs = 20_000, 2_000, 2, 1  # and fewer kinds of load, see QUICK
    return found


def _start(stack: ExitStack, asked: Mapping[str, Contender]) -> dict[str, Running]:
    """Start each server once; those of others that cannot run here say so and are left out."""
    started: dict[int, Running] = {}
    found: dict[str, Running] = {}
    for name, contender in asked.items():
        with or_without(name):
            if id(contender.command) not in started:
                started[id(contender.command)] = stack.enter_context(running(contender.command))
            found[name] = started[id(contender.command)]
    return found


def _check(name: str, contender: Contender, server: Running, registered: Registered) -> None:
    """A server has to say what the estimator says; of a question whose features are read only that it answers.

    Raises:
        RuntimeError: it does not.
    """
    rows = registered.rows.head(_CHECKED)
    if contender.said is None:
        return
    if contender.reads:
        rows = pd.DataFrame([Question(payment_id="p", card="c1", device="d1", merchant="m1", amount=1.0).model_dump()] * _CHECKED)
    link = HTTPConnection("127.0.0.1", server.port, timeout=60)
    link.request("POST", contender.path, encoded(contender, rows), {"content-type": "application/json"})
    answer = link.getresponse()
    told = answer.read()
    link.close()
    if answer.status != 200:
        raise RuntimeError(f"{name} answers {answer.status}: {told[:500]!r}")
    said = np.array(contender.said(json.loads(told)))
    if len(said) != len(rows) or not (contender.reads or np.allclose(said, registered.said[1][:_CHECKED], atol=1e-5)):
        raise RuntimeError(f"{name} says {said}, the estimator {registered.said[1][:_CHECKED]}")


def _questions(history: Payments) -> pd.DataFrame:
    """Questions whose keys are as frequent as they pay."""
    places = np.random.default_rng(0).integers(0, len(history), _BODIES[1] + max(ROWS) * _BODIES[100])
    keys = {entity: [f"{entity[0]}{number:08d}" for number in history.keys[entity][places].tolist()] for entity in history.keys}
    return pd.DataFrame({"payment_id": [f"q{place}" for place in range(len(places))], **keys, "amount": history.amount[places]})


def _write_bodies(
    home: Path, asked: Mapping[str, Contender], vectors: pd.DataFrame, questions: pd.DataFrame
) -> dict[tuple[str, int], Path]:
    """Files of bodies, one a line, by who is asked and how many rows a request has."""
    found = {}
    for place, (name, contender) in enumerate(asked.items()):
        of = questions if contender.reads else vectors
        for rows in ROWS:
            file = home / f"bodies-{place}-{rows}.ndjson"
            starts = range(0, rows * _BODIES[rows], rows)
            file.write_bytes(b"".join(encoded(contender, of.iloc[start : start + rows]) + b"\n" for start in starts))
            found[name, rows] = file
    return found


def _closed(
    asked: Mapping[str, Contender], ports: Mapping[str, Running], bodies: Mapping[tuple[str, int], Path], options: argparse.Namespace
) -> dict[Cell, list[Pressed]]:
    found: dict[Cell, list[Pressed]] = {}
    for _ in range(options.runs):
        for connections, rows in QUICK if options.quick else CELLS:
            for name, contender in asked.items():
                told = press(ports[name], contender.path, (bodies[name, rows], connections), options.seconds)
                found.setdefault((name, connections, rows), []).append(told)
                print(f"{name}, {connections} connections, {rows} rows: {told.per_s:,.0f} a second", file=sys.stderr)
    return found


def _open(
    asked: Mapping[str, Contender],
    ports: Mapping[str, Running],
    bodies: Mapping[tuple[str, int], Path],
    seconds: int,
) -> dict[str, Sent]:
    """Ours, one row a request, at a share of what it can do, as told just before; and the empty route at the same rate as the first.

    Raises:
        RuntimeError: an answer was none.
    """
    found = {}
    rates: dict[str, float] = {}
    for name in (*_OURS, _EMPTY):
        time.sleep(_LEFT_S)
        if name in _OURS:
            rates[name] = OPEN_SHARE * press(ports[name], asked[name].path, (bodies[name, 1], 16), seconds).per_s
        rate = rates.get(name, rates[_OURS[0]])
        load = Load(asked[name].path, bodies[name, 1].read_bytes().splitlines(), rate, 3 * seconds, warm_s=_WARM_S)
        found[name] = send_at_rate(ports[name].port, load)
        if found[name].failed[0]:
            raise RuntimeError(f"{name} at {rate:.0f} a second: {found[name].failed}")
    return found


def _tell(closed: Mapping[Cell, Sequence[Pressed]], opened: Mapping[str, Sent], peer_versions: Mapping[str, str]) -> None:
    rows = []
    figures: dict[str, Any] = {"closed": [], "open": []}
    for (name, connections, n_rows), runs in sorted(closed.items(), key=lambda item: (item[0][2], item[0][1])):
        middle = {what: median(getattr(one, what) for one in runs) for what in ("per_s", "p50_ms", "p99_ms", "client_share", "server_ms")}
        least, most = (pick(one.per_s for one in runs) for pick in (min, max))
        shown = (f"{middle['per_s']:,.0f}", f"{least:,.0f}–{most:,.0f}", f"{middle['p50_ms']:.1f}", f"{middle['p99_ms']:.1f}")
        used = f"{middle['server_ms']:.2f}", f"{middle['client_share']:.0%}"
        rows.append((name, str(connections), str(n_rows), *shown, *used))
        figures["closed"].append(
            {"who": name, "connections": connections, "rows": n_rows, **middle, "per_s_of_runs": [one.per_s for one in runs]}
        )
    for name, told in opened.items():
        p50, p99 = told.percentile(0.5), told.percentile(0.99)
        rows.append(
            (name, f"open, {OPEN_SHARE:.0%}", "1", f"{told.rate:,.0f}", "", f"{p50:.1f}", f"{p99:.1f}", "", f"{told.client_share:.0%}")
        )
        facts = {"rate": told.rate, "p50_ms": p50, "p99_ms": p99, "late_p99_ms": told.late_ms, "client_share": told.client_share}
        figures["open"].append({"who": name, **facts})
    ratios = _ratios(closed) | {f"{name}, open, p99 ms": told.percentile(0.99) for name, told in opened.items()}
    ratios |= {f"{name}, open, p99 ms of what the client itself was late": told.late_ms for name, told in opened.items()}
    header = ("server", "connections", "rows", "requests/s", "of the runs", "p50 ms", "p99 ms", "CPU ms", "client's core")
    notes = [f"{name}: {value:.2f}" for name, value in ratios.items()]
    show(Report("serving", _PACKAGES, figures, ratios, peer_versions), header, rows, notes)


def _ratios(closed: Mapping[Cell, Sequence[Pressed]]) -> dict[str, float]:
    """Ours over each other at 16 and at 64 connections: requests a second, and requests a second of CPU."""
    found = {}
    for many, rows in ((many, rows) for many in (16, 64) for rows in ROWS):
        runs = {name: told for (name, connections, n), told in closed.items() if (connections, n) == (many, rows)}
        per_s = {name: median(one.per_s for one in told) for name, told in runs.items()}
        cpu_ms = {name: median(one.server_ms for one in told) for name, told in runs.items()}
        for name in _OURS:
            for other in set(runs) - set(_OURS):
                found[f"{name} / {other}, {many} connections, {rows} rows"] = per_s[name] / per_s[other]
                found[f"{name} / {other}, {many} connections, {rows} rows, by CPU time"] = cpu_ms[other] / cpu_ms[name]
    return dict(sorted(found.items()))


def _peer_versions() -> dict[str, str]:
    """Of BentoML's own environment."""
    found = (PEERS / "serving" / ".venv").glob("lib/*/site-packages/*.dist-info")
    held = dict(path.name.removesuffix(".dist-info").split("-", 1) for path in found)
    return {f"serving: {name}": held[name] for name in ("bentoml", "onnxruntime")}


if __name__ == "__main__":
    sys.exit(main())
