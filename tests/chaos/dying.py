"""`tidemill` as a process that ends as by kill -9, right before or after a named act.

`python -m tests.chaos.dying ACT NTH COMMAND ...`
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from typing import Any

from tidemill.cli.main import main
from tidemill.stores.kafka_log import KafkaLog
from tidemill.stores.kafka_writer import KafkaWriter
from tidemill.stores.lake import Lake
from tidemill.stores.mapped_state import MappedState
from tidemill.stores.row_ids import RowIds
from tidemill.stores.row_state import RowState
from tidemill.stores.row_tiles import RowTiles
from tidemill.stores.sql_log import SqlLog
from tidemill.stores.state import SqlState
from tidemill.stores.table_files import TableFiles

_ACTORS = (KafkaLog, KafkaWriter, Lake, MappedState, RowIds, RowState, RowTiles, SqlLog, SqlState, TableFiles)
_KINDS: dict[str, Any] = {kind.__name__: kind for kind in _ACTORS}


def die_at(act: str, nth: int) -> None:
    """Let this process end when it does something for the nth time.

    Args:
        act: `before KIND.METHOD` or `after KIND.METHOD`; after it means that it was done, and nobody told.
        nth: 1 for the first time.
    """
    when, _, name = act.partition(" ")
    kind, _, method = name.partition(".")
    does, times = getattr(_KINDS[kind], method), itertools.count(1)

    def done(*arguments: Any, **named: Any) -> Any:
        dies = next(times) == nth
        if dies and when == "before":
            _die()
        found = does(*arguments, **named)
        if dies:
            _die()
        return found

    setattr(_KINDS[kind], method, done)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    die_at(sys.argv[1], int(sys.argv[2]))
    sys.argv[1:3] = []
    main()
