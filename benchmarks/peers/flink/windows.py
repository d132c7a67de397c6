"""How many payments a second Flink SQL turns into windowed aggregates: from a Kafka topic until the last aggregate is produced.

Three views (by card, device and merchant) of three windows each (10 minutes, 1 hour, 24 hours), count, sum and max of the amount: nine
`INSERT`s, one job, in a local cluster in one Java process (JobManager and TaskManager talk without a network). The job reads the topic to
its end and then finishes, which closes the last windows.

`window` is one of
- `tumbling`: one window of each length at a time, produced when it has closed. The least work, and values as old as a window is long.
- `hopping`: a window of each length every bucket of ours (15 s, 1 min, 1 h). Flink adds up slices that windows share, as our tiles are; but
  every window of every key is produced, 40 + 60 + 24 a payment at worst.
- `over`: the exact last 10 minutes, 1 hour and 24 hours up to each payment (`OVER ... RANGE`), nine rows a payment.

Settings: two subtasks (one a core here), state on the heap (Flink's docs: fastest, while it fits; `rocksdb` for more), a checkpoint every
5 s, object reuse on. Mini-batches stay off: these windows have buffers of their own, and with mini-batches the deduplication would send
updates, which costs more and which `over` refuses. The first run warms the JVM up and is not counted. The watermark is behind by our
stream's lateness of 1 hour, so values come out an hour late in exchange for late payments; those later still are dropped.
With `dedup` a payment sent twice counts once (by Flink's deduplication on `payment_id`, for 25 hours), as in ours; without, twice. The
values still have to reach a store that serves.

Arguments: bootstrap, payments (NDJSON, as the topic was filled with), topic, window, dedup, state (hashmap, rocksdb), parallelism, runs.
Figures: events_per_s, seconds (from handing the job over until it has finished), updates (aggregates produced).
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from answer import answer, arguments, versions
from check import check
from topics import topic_records

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
ENTITIES = ("card", "device", "merchant")
# our bucket, the window
WINDOWS = (("15 SECOND", "10 MINUTE"), ("1 MINUTE", "1 HOUR"), ("1 HOUR", "24 HOUR"))
_TAKEN = "COUNT(*), SUM(amount), MAX(amount)"


def main() -> None:
    """All runs in one Java process."""
    defaults = {"bootstrap": None, "payments": None, "topic": "payments", "window": "tumbling", "dedup": False, "state": "hashmap"}
    found = arguments({**defaults, "parallelism": 2, "runs": 3})
    if found["window"] not in ("tumbling", "hopping", "over") or found["state"] not in ("hashmap", "rocksdb"):
        raise SystemExit(f"window is {found['window']!r}, state {found['state']!r}; choose tumbling, hopping or over, hashmap or rocksdb")
    n_payments = topic_records(found["bootstrap"], found["topic"])
    name = f"flink-{uuid.uuid4().hex[:8]}"
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "job.sql"
        script.write_text(";\n".join(statements(found, name, Path(folder))) + ";\n", encoding="utf-8")
        took_s = run(script, Path(folder), found["runs"] + 1)
    runs = []
    for number, seconds in enumerate(took_s[1:], 1):
        updates = check(found, {entity: f"{name}-{number}-by-{entity}" for entity in ENTITIES})
        runs.append({"events_per_s": n_payments / seconds, "seconds": seconds, "updates": updates})
    packages = versions("apache-flink-libraries") | {"flink-sql-connector-kafka": connector_version()}
    answer(packages, found, runs, payments=n_payments, cold_s=took_s[0])


def statements(found: dict[str, Any], name: str, folder: Path) -> list[str]:
    """The configuration, the tables and the inserts."""
    settings = {
        "table.local-time-zone": "UTC",
        "parallelism.default": found["parallelism"],
        "state.backend.type": found["state"],
        "execution.checkpointing.interval": "5 s",
        # else a job that has read everything would wait for the next checkpoint before it finishes
        "execution.checkpointing.checkpoints-after-tasks-finish": "false",
        "execution.checkpointing.dir": f"file://{folder}/checkpoints",
        "io.tmp.dirs": folder,
        "pipeline.object-reuse": "true",
        "table.exec.state.ttl": "25 h",
        "rest.address": "127.0.0.1",
        "rest.bind-address": "127.0.0.1",
        "rest.bind-port": "0",
        "taskmanager.memory.managed.size": "512m",
    }
    link = f"'connector' = 'kafka', 'properties.bootstrap.servers' = '{found['bootstrap']}'"
    source = (
        "CREATE TABLE payments (payment_id STRING, paid_at BIGINT, card STRING, device STRING, merchant STRING, amount DOUBLE, "
        "taken AS PROCTIME(), ts AS TO_TIMESTAMP_LTZ(paid_at, 3), WATERMARK FOR ts AS ts - INTERVAL '1' HOUR) "
        f"WITH ({link}, 'topic' = '{found['topic']}', 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', "
        "'format' = 'json')"
    )
    first = "SELECT *, ROW_NUMBER() OVER (PARTITION BY payment_id ORDER BY taken) AS copy FROM payments"
    view = f"CREATE TEMPORARY VIEW once AS {f'SELECT * FROM ({first}) WHERE copy = 1' if found['dedup'] else 'SELECT * FROM payments'}"
    sinks = [
        f"CREATE TABLE by_{entity} (k STRING, `start` BIGINT, `end` BIGINT, n BIGINT, `sum` DOUBLE, `max` DOUBLE) WITH ({link}, "
        f"'topic' = '{name}-{{run}}-by-{entity}', 'key.format' = 'raw', 'key.fields' = 'k', 'value.format' = 'json')"
        for entity in ENTITIES
    ]
    inserts = [insert(found["window"], entity, bucket, window) for entity in ENTITIES for bucket, window in WINDOWS]
    return [*(f"SET {key} = {value}" for key, value in settings.items()), source, view, *sinks, *inserts]


def insert(window: str, entity: str, bucket: str, length: str) -> str:
    """One view over one window."""
    every, long = (f"INTERVAL '{amount}' {unit}" for amount, unit in (text.split() for text in (bucket, length)))
    if length == "24 HOUR":
        long = "INTERVAL '1' DAY"
    if window == "over":
        ends = "paid_at - {span}, paid_at".format(span={"10 MINUTE": 600_000, "1 HOUR": 3_600_000, "24 HOUR": 86_400_000}[length])
        taken = ", ".join(f"{part} OVER w" for part in _TAKEN.split(", "))
        over = f"WINDOW w AS (PARTITION BY {entity} ORDER BY ts RANGE BETWEEN {long} PRECEDING AND CURRENT ROW)"
        return f"INSERT INTO by_{entity} SELECT {entity}, {ends}, {taken} FROM once {over}"
    cut = f"TUMBLE(TABLE once, DESCRIPTOR(ts), {long})" if window == "tumbling" else f"HOP(TABLE once, DESCRIPTOR(ts), {every}, {long})"
    ends = ", ".join(f"1000 * UNIX_TIMESTAMP(CAST(window_{side} AS STRING))" for side in ("start", "end"))
    grouped = f"GROUP BY {entity}, window_start, window_end"
    return f"INSERT INTO by_{entity} SELECT {entity}, {ends}, {_TAKEN} FROM TABLE({cut}) {grouped}"


def run(script: Path, folder: Path, runs: int) -> list[float]:
    """Run the script; answer the seconds of each run.

    Raises:
        SystemExit: Flink failed; what it said is on stderr.
    """
    log4j = folder / "log4j2.properties"
    log4j.write_text("rootLogger.level = WARN\n", encoding="utf-8")
    library = Path(os.path.realpath(next((HERE / ".venv").glob("lib/python3*/site-packages/pyflink/lib"))))
    opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in ("java.util", "java.lang", "java.time", "java.nio", "java.net")]
    java = ["java", "-Xmx2g", "-XX:+UseG1GC", *opens, f"-Dlog4j2.configurationFile={log4j}", "-cp", f"{library}/*:{connector()}/*"]
    ran = subprocess.run([*java, str(HERE / "Runner.java"), str(script), str(runs)], stdout=subprocess.PIPE, text=True)
    took_s = [int(found) / 1000 for found in re.findall(r"^run \d+ took (\d+) ms$", ran.stdout, flags=re.MULTILINE)]
    if ran.returncode != 0 or len(took_s) != runs:
        raise SystemExit(f"Flink ended with code {ran.returncode} after {len(took_s)} of {runs} runs")
    return took_s


def connector() -> Path:
    """The folder of the Kafka connector, beside the environment's packages; Maven resolves it when the pom has changed or it is missing.

    Raises:
        SystemExit: Maven cannot.
    """
    jars = HERE / ".venv" / f"jars-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if not list(jars.glob("*.jar")):
        maven = ["mvn", "-B", "-q", "-f", str(POM), "dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
        if subprocess.run(maven, stdin=subprocess.DEVNULL, stdout=sys.stderr).returncode != 0:
            raise SystemExit("Maven could not resolve the Kafka connector")
    return jars


def connector_version() -> str:
    """As the jar's name has it."""
    return next(connector().glob("*.jar")).stem.removeprefix("flink-sql-connector-kafka-")


if __name__ == "__main__":
    main()
