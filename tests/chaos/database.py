"""A PostgreSQL that can be killed and started again, and a way to it that can be disturbed."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.peer import debian_program
from tests.chaos.proxy import Proxy
from tests.databases import PostgresServer, new_database, postgres_program


class ProxiedDatabase(PostgresServer):
    """An empty database; `direct` is the way to it that nobody disturbs, `proxied` the other."""

    def __init__(self) -> None:
        try:
            postgres_program("initdb")
        except FileNotFoundError:
            debian_program("psql", "postgresql")  # the server comes with its client, which alone is in PATH
        # a folder that its own user can reach
        self._temporary = tempfile.TemporaryDirectory(prefix="tidemill-chaos-postgres-", ignore_cleanup_errors=True)
        super().__init__(Path(self._temporary.name))
        self.proxy = Proxy(self.port)
        self.direct = new_database(self.url)
        self.proxied = self.direct.replace(f":{self.port}/", f":{self.proxy.port}/")

    def close(self) -> None:
        """End all of it."""
        self.proxy.close()
        if self.pids():
            self.stop()
        self._temporary.cleanup()
