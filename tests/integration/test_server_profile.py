"""The server profile: the same project file and the same commands on PostgreSQL say what they say on files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import NullPool, create_engine, text
from typer.testing import CliRunner

from tests import payments, tiny
from tests.databases import fresh_databases, postgres_server
from tests.payments import PLAIN
from tests.services import child_environ, log_tail
from tidemill.cli.main import app
from tidemill.clock import HOUR_MS
from tidemill.errors import NotFoundError
from tidemill.project import Forgotten, Workspace, forget_entity, look_for_entity, project_root
from tidemill.stores import Databases, Entity
from tidemill.streams import Entry

COMMANDS = [
    ("status", "--json"),
    ("deadletters", "orders", "--json"),
    ("features", "by_shop", "a", "--json"),
    ("features", "by_shop", "a", "--at", str(tiny.START_MS + 12 * HOUR_MS), "--json"),
    ("views", "--json"),
    ("views", "by_shop", "--key", "a", "--json"),
    ("parity", "late_order", "--json"),
    ("drift", "late_order"),
    ("audit", "late_order"),
    ("sources", "--json"),
    ("backfill", "by_shop"),
    ("freeze", "late_order", "--reason", "a holiday"),
    ("status", "--json"),
    ("unfreeze", "late_order"),
]
PATIENCE_S = 120.0
OURS = ["log", "loop", "serving", "state"]
VOLATILE = {"wall_age_ms"}


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[dict[str, dict[str, str]]]:
    """The environment of each profile, with half a day of the tiny project, one event of it no JSON."""
    home = tmp_path_factory.mktemp("profiles")
    with fresh_databases(postgres_url, home / "server") as server:
        environs = {}
        for name, databases in {"embedded": Databases(home / "embedded"), "server": server}.items():
            with closing(Workspace.open(tiny.project, databases.home, database=databases.url)) as workspace:
                workspace.log.append([*tiny.history(0, 1), Entry("orders", "{torn", tiny.START_MS + 24 * HOUR_MS)], 0)
                workspace.engine().drain(1_000)
                workspace.lake_writer().flush()
            environs[name] = {
                "TIDEMILL_HOME": str(databases.home),
                "TIDEMILL_PROJECT": str(tiny.FILE),
                "TIDEMILL_PROFILE": name,
                "TIDEMILL_DATABASE__URL": databases.url or "",
            }
        yield environs


def said(environ: dict[str, str], *arguments: str) -> Any:
    """What a command prints; an error of ours is raised as it is."""
    with patch.dict(os.environ, environ):
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return still(json.loads(result.stdout)) if "--json" in arguments else result.stdout


def still(value: Any) -> Any:
    """Without what differs from one moment to the next."""
    if isinstance(value, dict):
        return {key: still(item) for key, item in value.items() if key not in VOLATILE}
    return [still(item) for item in value] if isinstance(value, list) else value


def test_every_command_says_the_same_in_both_profiles(both: dict[str, dict[str, str]]) -> None:
    for command in COMMANDS:
        assert said(both["server"], *command) == said(both["embedded"], *command), command


def test_the_doctor_looks_at_the_tables_of_the_server(both: dict[str, dict[str, str]]) -> None:
    findings = {finding["what"]: finding["state"] for finding in said(both["server"], "doctor", "--json")}
    assert (findings["project"], findings["tiles"], findings["ids"]) == ("ok", "ok", "ok")


def rows_of(url: str) -> str:
    """Everything that a database holds, as text."""
    with create_engine(url.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool).connect() as connection:
        tables = connection.execute(text("select schemaname, tablename from pg_tables where schemaname = any(:ours)"), {"ours": OURS})
        everything = []
        for schema, table in tables.all():
            for row in connection.execute(text(f"select * from {schema}.{table}")):
                everything += [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in row]
    return "\n".join(everything)


def forgotten(databases: Databases) -> tuple[Forgotten, Forgotten]:
    """A card in a home with a past: what is found of it, and what became of that."""
    with closing(Workspace.open(payments.project, databases.home, database=databases.url)) as workspace:
        payments.fill(workspace, PLAIN, 120)
    with closing(Workspace.open(payments.project, databases.home, database=databases.url)) as workspace:
        looked = look_for_entity(workspace, Entity("card", PLAIN))
        with pytest.raises(NotFoundError, match="no field of a stream 'kard'"):
            forget_entity(workspace, Entity("kard", PLAIN), lambda _step: None)
        if databases.url:
            assert PLAIN in rows_of(databases.url)
        books = workspace.books()
        found = forget_entity(workspace, Entity("card", PLAIN), lambda _step: None)
        assert workspace.books() == books, "the books stay"
        assert forget_entity(workspace, Entity("card", PLAIN), lambda _step: None).log == {}
    return looked, found


def test_an_entity_is_forgotten_in_postgresql_as_in_files(tmp_path: Path, postgres_url: str) -> None:
    with fresh_databases(postgres_url, tmp_path / "server") as server:
        (looked, found), (looked_in_files, found_in_files) = forgotten(server), forgotten(Databases(tmp_path / "embedded"))
        assert server.url is not None and PLAIN not in rows_of(server.url)
    for got, want in ((looked, looked_in_files), (found, found_in_files)):
        assert (got.log, got.lake, got.dead_letters, got.keys) == (want.log, want.lake, want.dead_letters, want.keys)
        assert (got.outcomes, got.predictions, got.reactions) == (want.outcomes, want.predictions, want.reactions)
        assert got.built_anew == want.built_anew


def test_the_engine_goes_on_when_its_database_was_away(tmp_path: Path) -> None:
    entries, log = list(tiny.history(0, 2)), tmp_path / "work.log"
    with postgres_server() as server, log.open("wb") as output:
        ours = {
            "TIDEMILL_HOME": str(tmp_path / "home"),
            "TIDEMILL_PROJECT": str(tiny.FILE),
            "TIDEMILL_PROFILE": "server",
            "TIDEMILL_DATABASE__URL": server.url,
            "PYTHONPATH": str(project_root()),
        }
        workspace = Workspace.open(tiny.project, tmp_path / "home", database=server.url)
        command = [sys.executable, "-m", "tidemill.cli.main", "work"]
        process = subprocess.Popen(command, cwd=project_root(), env=child_environ() | ours, stdout=output, stderr=output)

        def wait_until(holds: Callable[[], bool]) -> None:
            until_s = time.monotonic() + PATIENCE_S
            while not holds():
                assert process.poll() is None and time.monotonic() < until_s, log_tail(log)
                time.sleep(0.1)

        def all_applied() -> bool:
            return workspace.log.behind(workspace.state.position()) == 0

        try:
            workspace.log.append(entries[:400], 0)
            wait_until(all_applied)
            server.stop()
            wait_until(lambda: "a server is away, and is tried again" in log.read_text())
            server.start()
            workspace.close()  # its connections of before; the next use opens new ones
            workspace.log.append(entries[400:800], 0)
            wait_until(all_applied)
            process.terminate()
            assert process.wait(PATIENCE_S) == 0, log_tail(log)
            books = workspace.books()
        finally:
            process.kill()
            process.wait(PATIENCE_S)
            workspace.close()
    with closing(Workspace.open(tiny.project, tmp_path / "twin")) as twin:
        twin.log.append(entries[:800], 0)
        twin.engine().drain(1_000)
        assert books == twin.books(), "nothing was lost or counted twice"
