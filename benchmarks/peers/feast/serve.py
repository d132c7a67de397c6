"""How long Feast's own feature server (`feast serve`) takes to answer over HTTP: one card of one view, of five views, and 100 cards of one.

The views are those of `online.py`, filled the same way. The server is a process of its own on loopback; it is asked over one connection
that stays open, one read at a time, cards as often as they pay, and the JSON of each answer is parsed.

Settings, chosen in Feast's favour: one worker, no access log, a registry that is not read again meanwhile, and no restart after the 1,000
requests it would restart at. Features are listed in the request: naming a feature service instead took three times as long for five views
(6.0 ms at the median instead of 2.0).

Arguments: payments (Parquet), store (sqlite, redis), reads (a run), runs.
Figures: for one_key, five_views and 100_keys each p50_us and p99_us.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from answer import answer, arguments, versions
from feature_views import COLUMNS, PACKAGES, current_rows, online_settings, open_store, read_payments, repo_settings
from online import fill
from redis_server import redis_server, redis_version

MANY = 100
_VIEWS = 5
_START_S = 90.0
_WARM_UP = 50


def main() -> None:
    """One server for all runs: reading changes nothing in it."""
    found = arguments({"payments": None, "store": "sqlite", "reads": 2000, "runs": 5})
    payments = read_payments(found["payments"])
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis_port = stack.enter_context(redis_server(folder)) if found["store"] == "redis" else 0
        online = online_settings(found["store"], folder, redis_port, skip_dedup=True)
        fill(open_store(folder, online), folder, current_rows(payments, "card"), _VIEWS, precompute=False)
        (folder / "feature_store.yaml").write_text(json.dumps(repo_settings(folder, online)), encoding="utf-8")  # JSON is YAML
        port = stack.enter_context(feature_server(folder))
        cards = np.random.default_rng(0).choice(payments["card"].to_numpy(), 10_000).tolist()
        runs = [read(port, cards, found["reads"]) for _ in range(found["runs"])]
        server = {"redis-server": redis_version(redis_port)} if redis_port else {}
    answer(versions(*PACKAGES) | server, found, runs, cards=int(payments["card"].nunique()))


@contextmanager
def feature_server(folder: Path) -> Iterator[int]:
    """`feast serve` of the repository in `folder`; answers its port.

    Raises:
        SystemExit: it does not answer within 90 s; what it said is on stderr.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    feast = [str(Path(sys.executable).parent / "feast"), "-c", str(folder), "serve", "-h", "127.0.0.1", "-p", str(port)]
    settings = ["--no-access-log", "-w", "1", "-r", "3600", "--max-requests", "1000000000", "--max-requests-jitter", "0"]
    environ = os.environ | {"FEAST_USAGE": "False"}
    server = subprocess.Popen([*feast, *settings], stdout=sys.stderr, stderr=sys.stderr, env=environ)
    try:
        deadline = time.monotonic() + _START_S
        while not answers(port):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("feast serve does not answer")
            time.sleep(0.2)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=30)


def answers(port: int) -> bool:
    """Whether the server says that it is well."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        link.request("GET", "/health")
        return link.getresponse().status == 200
    except OSError:
        return False
    finally:
        link.close()


def read(port: int, cards: list[str], reads: int) -> dict[str, float]:
    """One run of each kind of read."""
    link = http.client.HTTPConnection("127.0.0.1", port)
    one_view, five_views = ([f"card_{number}:{column}" for number in range(views) for column in COLUMNS] for views in (1, _VIEWS))
    kinds = {"one_key": (one_view, 1, reads), "five_views": (five_views, 1, reads), "100_keys": (one_view, MANY, reads // 10)}
    told = {}
    for kind, (features, n_keys, n_reads) in kinds.items():
        took_ns = np.empty(n_reads, dtype=np.int64)
        for number in range(-min(_WARM_UP, n_reads), n_reads):
            begin = number * 10 % (len(cards) - n_keys)
            own = cards[begin : begin + n_keys]
            at_ns = time.perf_counter_ns()
            found = ask(link, {"features": features, "full_feature_names": True, "entities": {"card": own}})
            took_ns[max(number, 0)] = time.perf_counter_ns() - at_ns
            if len(found["results"][-1]["values"]) != n_keys:
                raise SystemExit(f"{kind} of {own} answers {found}")
        told[f"{kind}_p50_us"], told[f"{kind}_p99_us"] = (float(value) / 1000 for value in np.percentile(took_ns, (50, 99)))
    link.close()
    return told


def ask(link: http.client.HTTPConnection, asked: dict[str, Any]) -> Any:
    """The answer to one request.

    Raises:
        SystemExit: the server refuses it.
    """
    link.request("POST", "/get-online-features", json.dumps(asked), {"content-type": "application/json"})
    reply = link.getresponse()
    told = reply.read()
    if reply.status != 200:
        raise SystemExit(f"feast serve answers {reply.status}: {told[:500]!r}")
    return json.loads(told)


if __name__ == "__main__":
    main()
