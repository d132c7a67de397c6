"""The processes of `tidemill serve --workers N`: uvicorn starts one anew that has died, here only as long as that helps."""

from __future__ import annotations

import logging
from socket import socket

from uvicorn import Config
from uvicorn.supervisors import Multiprocess, multiprocess

from tidemill.errors import NotReadyError

logger = logging.getLogger(__name__)

_TRIES = 3  # of each process


class Workers(Multiprocess):
    """Processes that share a socket. Where none of them serves, and each has died some times before it served, they are given up.

    One that died while others serve is started anew as often as it takes: what it lacks may come back, and callers are answered meanwhile.
    """

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self.gave_up = False
        self._serving: set[int | None] = set()  # by process id, those that have come up
        self._failures = 0  # since one served last

    def keep_subprocess_alive(self) -> None:
        """Start those anew that have died, or give up."""
        if self.should_exit.is_set():
            return
        self._look()
        before = list(self.processes)
        super().keep_subprocess_alive()
        if self.should_exit.is_set():  # by uvicorn itself: one of them said that it cannot begin
            self._serving &= {process.pid for process in self.processes if process.process.is_alive()}
            if not self._serving:
                self.gave_up = True
                return
            self.should_exit.clear()
            self._start_dead()
        self._failures += sum(old is not new and old.pid not in self._serving for old, new in zip(before, self.processes, strict=True))
        self._serving &= {process.pid for process in self.processes}
        if self._serving:
            self._failures = 0  # of what serves now, each try to come up is still to be made
        elif self._failures >= _TRIES * self.processes_num:
            logger.error("given up failures=%s", self._failures)
            self.gave_up = True
            self.should_exit.set()

    def _start_dead(self) -> None:
        for place, process in enumerate(self.processes):
            if not process.process.is_alive():
                logger.warning("a process could not begin, others serve, and it is started anew pid=%s", process.pid)
                self.processes[place] = anew = multiprocess.Process(self.config, self.sockets)
                anew.start()

    def _look(self) -> None:
        patience_s = self.config.timeout_worker_healthcheck  # no less, or what one said too late would be taken for its next answer
        for process in self.processes:
            process.child_conn.close()  # its own end is open: with ours too, whoever waits for one that has just died waits to the last
            if process.pid not in self._serving and process.process.is_alive() and process.is_ready(patience_s):
                self._serving.add(process.pid)


def run_workers(config: Config) -> None:
    """Serve by several processes until told to end.

    Raises:
        NotReadyError: they do not come up.
    """
    workers = Workers(config, [config.bind_socket()])
    workers.run()
    if workers.gave_up:
        raise NotReadyError("no process of the server comes up; what each of them said before it ended stands above")
