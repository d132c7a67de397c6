"""The system under chaos: a broker and, in the server profile, a database behind proxies, `tidemill work` and `tidemill serve`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from tests.chaos import project as chaos_project
from tests.chaos.broker import ProxiedBroker
from tests.chaos.clocks import Clock
from tests.chaos.database import ProxiedDatabase
from tests.chaos.proxy import Proxy
from tests.services import free_port, program
from tidemill.errors import NotReadyError
from tidemill.project import Workspace
from tidemill.settings import KafkaLogSettings, LogSettings

Profile = Literal["embedded", "server"]
PROJECT = Path(chaos_project.__file__).resolve()
N_CARDS = 40
SESSION_S = 6.0  # after which others take the partitions of an engine that is silent
PATIENCE_S = 900.0  # a machine with much else to do is no error
_ROOT = Path(__file__).parents[2]
_LOG_TAIL = 3_000
_LOOK_S = 0.1


class StuckError(RuntimeError):
    """The system does not go on by itself."""


class System:
    """What runs, and what was sent and acknowledged: by stream, the events by id.

    Embedded, log and state are files, and Kafka is a source. In the server profile Kafka is the log, and the state is in PostgreSQL.
    `workspace` looks on from beside the proxies, who sends over HTTP comes through `front`.
    """

    def __init__(self, folder: Path, profile: Profile) -> None:
        self.profile = profile
        self.folder = folder
        self.home = folder / "home"
        self.sent: dict[str, dict[str, str]] = {"taps": {}, "gates": {}}
        self.failed: list[BaseException] = []  # of its senders
        self.port = free_port()
        self._ending = ExitStack()
        try:
            self._log = self._ending.enter_context((folder / "system.log").open("ab"))
            self.broker = ProxiedBroker(folder / "kafka")
            self._ending.callback(self.broker.close)
            self.front = Proxy(self.port)
            self._ending.callback(self.front.close)
            self._environ = os.environ | {
                "TIDEMILL_HOME": str(self.home),
                "TIDEMILL_SERVER__PORT": str(self.port),
                "TIDEMILL_SERVER__OPEN": "true",
                chaos_project.BOOTSTRAP: self.broker.proxied,
            }
            self.workspace = self._on_servers() if profile == "server" else Workspace.open(chaos_project.project, self.home)
            self._ending.callback(self.workspace.close)
            self.worker, self.server = self.start("work"), self.start("serve")
        except BaseException:
            self._ending.close()
            raise

    def _on_servers(self) -> Workspace:
        """Open the log in Kafka, which makes its topics, and the state in a database of its own."""
        self.database = ProxiedDatabase()
        self._ending.callback(self.database.close)
        self._environ |= {
            "TIDEMILL_PROFILE": "server",
            "TIDEMILL_DATABASE__URL": self.database.proxied,
            "TIDEMILL_LOG__KIND": "kafka",
            "TIDEMILL_LOG__KAFKA__BOOTSTRAP": self.broker.proxied,
            "TIDEMILL_LOG__KAFKA__SESSION_S": str(SESSION_S),
        }
        log = LogSettings(kind="kafka", kafka=KafkaLogSettings(bootstrap=self.broker.bootstrap))
        return Workspace.open(chaos_project.project, self.home, database=self.database.direct, log=log)

    def start(self, command: str, clock: Clock | None = None) -> subprocess.Popen[bytes]:
        """`tidemill COMMAND`, which believes in the clock it is given."""
        return self._start([program("tidemill"), command], clock.environ if clock else {})

    def start_dying(self, command: str, act: str, nth: int) -> subprocess.Popen[bytes]:
        """`tidemill COMMAND`, which is killed when it does something for the nth time; see `dying.py`."""
        return self._start([sys.executable, "-m", "tests.chaos.dying", act, str(nth), command], {})

    def _start(self, line: Sequence[str], beside: dict[str, str]) -> subprocess.Popen[bytes]:
        line, environ = [*line, "--project", str(PROJECT)], self._environ | beside
        # a session of its own: who is stopped would else draw a SIGHUP upon all of us when the shell that started us ends
        return subprocess.Popen(
            line, cwd=_ROOT, env=environ, stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL, start_new_session=True
        )

    def applied(self, stream: str) -> int | None:
        """How many of its events the books say are applied; None while a server does not answer."""
        try:
            return self.workspace.books()[stream].applied
        except NotReadyError:
            return None

    def has_applied(self, counts: dict[str, int]) -> bool:
        """Whether of each stream so many events are applied."""
        return all((found := self.applied(name)) is not None and found >= count for name, count in counts.items())

    def goes_on(self) -> float:
        """Wait until of both streams events have been acknowledged after this moment, and are applied; answers the seconds.

        Applied alone says little: what was on its way may be durable, and nobody has been told.
        What has ended is started again meanwhile, as whoever watches over processes would.

        Raises:
            StuckError: not within a quarter of an hour.
        """
        begin_s, wanted = time.monotonic(), {name: len(events) + 1 for name, events in self.sent.items()}
        while not (all(len(self.sent[name]) >= count for name, count in wanted.items()) and self.has_applied(wanted)):
            self.revive()
            self.check()
            if time.monotonic() - begin_s > PATIENCE_S:
                applied = {name: self.applied(name) for name in wanted}
                raise StuckError(f"it does not go on: wanted {wanted}, applied {applied}; {self._manners()}\n{self.log_tail}")
            time.sleep(_LOOK_S)
        return time.monotonic() - begin_s

    def check(self) -> None:
        """Look whether events still come in.

        Raises:
            StuckError: a sender has failed.
        """
        if self.failed:
            raise StuckError(f"a sender has failed: {self.failed[0]!r}") from self.failed[0]

    def _manners(self) -> dict[str, str]:
        """What the proxies do."""
        proxies = {"front": self.front, "broker": self.broker.proxy}
        proxies |= {"database": self.database.proxy} if self.profile == "server" else {}
        return {name: proxy.manner for name, proxy in proxies.items()}

    @property
    def log_tail(self) -> str:
        """How the log of its processes ends."""
        return (self.folder / "system.log").read_text(errors="replace")[-_LOG_TAIL:]

    def revive(self) -> None:
        """Start again what has ended."""
        if self.profile == "server" and not self.database.pids():
            self.database.start()
        if self.worker.poll() is not None:
            self.worker = self.start("work")
        if self.server.poll() is not None:
            self.server = self.start("serve")

    def close(self) -> None:
        """End everything."""
        for process in (self.worker, self.server):
            _kill(process)
        self._ending.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process that may be stopped or gone."""
    for each in (signal.SIGKILL, signal.SIGCONT):
        if process.poll() is None:
            process.send_signal(each)
    process.wait()
