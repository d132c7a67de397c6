"""Keeping processes up side by side, with one log: honcho's manager, which here ends them in order and in their time.

```
 Ctrl-C, SIGTERM, a closed terminal, or one of them has ended
   └─► flows, server, engine: SIGTERM ──all gone, or killed──► prefect, mlflow: SIGTERM ──all gone, or killed──► exit code
```
A run that is given up tells Prefect so, an engine and a server ask MLflow to the last. What they ask therefore outlives them.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty
from typing import Any

from honcho.manager import Manager
from honcho.printer import Message, Printer
from honcho.process import Process

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_NOBODY_READS = (errno.EPIPE, errno.EIO, errno.EBADF)
_LOOK_S = 0.1


@dataclass(frozen=True)
class Stage:
    """Processes that are told to end at the same time, and how long they have for it before they are killed."""

    names: frozenset[str]
    patience_s: float


class Log(Printer):  # type: ignore[misc]  # honcho has no types
    """The lines of all, each with the name of whose it is; where nobody reads them any more, they go nowhere.

    `up | tee FILE`, whose `tee` ends at the same Ctrl-C, and a terminal that was closed are no reason to leave processes behind.
    """

    def write(self, message: Message) -> None:
        """Write one."""
        try:
            super().write(message)
        except OSError as error:
            if error.errno not in _NOBODY_READS:
                return  # a full disk, say, which may have room again
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.output.fileno())
            os.close(nowhere)


class Reader(Process):  # type: ignore[misc]  # honcho has no types
    """Reads the lines of one and passes them on, in a process of its own; it ends with it, also where nobody is left to pass them on to."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        """Start it, and read until it has ended."""
        reads_for = os.getppid()
        super().run(events, ignore_signals)
        if os.getppid() != reads_for:  # killed: what nobody reads any more would be waited for, for ever
            events.cancel_join_thread()


class Supervisor(Manager):  # type: ignore[misc]  # honcho has no types
    """Starts all of them, and ends all as soon as it is told to, or one of them has ended. Told a second time, it kills what is left.

    Args:
        commands: by name, a command for a shell.
        environ: what each of them has.
        stages: how they are ended, first to last; each has its place in one.
        note: told the name and the process id of each that has been started.
    """

    def __init__(
        self, commands: Mapping[str, str], environ: Mapping[str, str], stages: Sequence[Stage], note: Callable[[str, int], None]
    ) -> None:
        if sys.platform == "linux":  # who reads their lines must outlive a closed terminal as we do, which only a fork of ours does
            multiprocessing.set_start_method("fork", force=True)
        super().__init__(Log())
        self._process_ctor = Reader
        for name, command in commands.items():
            self.add_process(name, f"exec {command}", env=dict(environ))  # no shell in between, which knows nothing of how it ended
        self.returncode: int | None = None
        self._stages = stages
        self._note = note
        self._told: list[signal.Signals] = []
        self._heard = 0
        self._times_told = 0
        self._stage = -1
        self._until_s = 0.0
        self._sent: dict[str, signal.Signals] = {}

    def loop(self) -> None:
        """Run until all have ended; `returncode` is what to exit with."""
        for how in _ENDING:
            if how != signal.SIGHUP or signal.getsignal(how) != signal.SIG_IGN:  # as `nohup` has it
                signal.signal(how, lambda number, _: self._told.append(signal.Signals(number)))
        self._start()
        while not self._all_stopped():
            self._hear()
            self._take()
            self._go_on()

    def _hear(self) -> None:
        """A signal comes at any moment, in the middle of a line say: it is only noted then, and seen to here.

        Several at the same time are one: `timeout` tells the process, and then the group that it is in.
        """
        told = self._told[self._heard :]
        self._heard += len(told)
        self._times_told += bool(told)
        for how in told:
            self._system_print(f"{how.name} received\n")
            self.returncode = 128 + how if self.returncode is None else self.returncode

    def _take(self) -> None:
        try:
            message = self.events.get(timeout=_LOOK_S)
        except Empty:
            return
        if message.type == "line":
            self._printer.write(message)
        elif message.type == "start":
            self._processes[message.name]["pid"] = message.data["pid"]
            self._note(message.name, message.data["pid"])
            self._system_print(f"{message.name} started (pid={message.data['pid']})\n")
        else:
            self._note_end(message.name, message.data["returncode"])

    def _note_end(self, name: str, code: int) -> None:
        self._processes[name]["returncode"] = code
        self._system_print(f"{name} stopped (rc={code})\n")
        if self.returncode is None:  # none should: 0 would tell whoever started us that all is as it should be
            self.returncode = 128 - code if code < 0 else code or 1

    def _go_on(self) -> None:
        """Begin to end, once there is a reason; go on to the next stage, once nothing is left of this one."""
        if self.returncode is None:
            return
        while self._stage < 0 or (not self._left() and self._stage + 1 < len(self._stages)):
            self._stage += 1
            self._until_s = time.monotonic() + self._stages[self._stage].patience_s
        late = self._times_told > 1 or time.monotonic() > self._until_s
        for name in self._left():
            self._send(name, signal.SIGKILL if late else signal.SIGTERM)

    def _left(self) -> list[str]:
        names = self._stages[self._stage].names
        return [name for name, process in self._processes.items() if name in names and "returncode" not in process]

    def _send(self, name: str, how: signal.Signals) -> None:
        """To it and to all that it has started, once; one that is about to start is told when it has."""
        process: dict[str, Any] = self._processes[name]
        if "pid" not in process or self._sent.get(name) == how:
            return
        self._sent[name] = how
        self._system_print(f"sending {how.name} to {name} (pid {process['pid']})\n")
        end = self._procmgr.kill if how == signal.SIGKILL else self._procmgr.terminate
        end(process["pid"])
