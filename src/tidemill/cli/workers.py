"""The processes of `tidemill serve --workers N`: uvicorn starts one anew that has died, here only as long as that helps."""

from __future__ import annotations

import logging
from collections import Counter
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
        self._failures = Counter[int]()  # by place, in a row

    def keep_subprocess_alive(self) -> None:
        """Start those anew that have died, or give up."""
        if self.should_exit.is_set():
            return
        self._look()
        before = list(self.processes)
        super().keep_subprocess_alive()
        if self.should_exit.is_set():  # uvicorn would end all where one says that it cannot begin
            self.should_exit.clear()
            self._start_dead()
        for place, (old, new) in enumerate(zip(before, self.processes, strict=True)):
            if old is not new:
                self._failures[place] = 0 if old.pid in self._serving else self._failures[place] + 1
        self._serving &= {process.pid for process in self.processes}
        if not self._serving and all(self._failures[place] >= _TRIES for place in range(len(self.processes))):
            logger.error("given up tries=%s", _TRIES)
            self.gave_up = True
            self.should_exit.set()

    def _start_dead(self) -> None:
        for place, process in enumerate(self.processes):
            if not process.process.is_alive():
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
