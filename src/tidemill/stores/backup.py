"""A backup of a home while everything runs, and a home made from one.

Each file is copied as it was at one moment, and the moments are taken in the order in which one file speaks of another:

```
 loop.db ─► serving.db ─► mlflow.db ─► state.db ─► lake ─► log.db          then prefect.db, and files
 decisions   predictions   versions      books      events   events
 name ...    name ...      name ...      at a       up to    at least up
                                         position   there    to there
```
What is named lies in what is taken after it, so nothing in a backup names something that is not there:

- the log reaches at least as far as the state's position; the rest waits in it, and the engine applies it when it goes on;
- the lake holds at least what the state says of it (`lake_token`), as it is only moved on after the lake was written, and at most what the
  state took: the lock of the lake's writer is held while state and tables are looked at, and nothing else writes there. A table is
  copied at the version seen then, so what is appended, compacted or (after an hour at least) vacuumed later does not matter;
- a prediction names a position and a model version that are there, a decision a prediction, an alarm's cursor an outcome.

All these moments lie within some tenths of a second, mostly spent on opening the lake's tables; then the lock is given back, and copying
takes what it takes. Transactions hold the moments, so no copy begins anew. Writers to our own files never wait, apart from the
lake's for those tenths; MLflow's database, a small one that is not in WAL mode, is copied first, and its writers wait for that.

Left out is what is made anew: tiles, rows and ids in `state.tables` (not trusted after a start of the machine anyway: the first engine
builds them from lake and log), the index of predictions by key, values cached for training, model files cached from MLflow, and the
output of the services. A restored home is like one whose machine went down at the moment of the backup.

Where the databases lie in PostgreSQL, all four are of one snapshot (`database_dump.py`), taken first and dumped whole, tiles and ids too.
Topics of Kafka are not copied: who is restored reads on in them after the position.

We put no secret into a home: addresses with passwords are settings, which live in the environment. Blocks and variables that someone has
stored in Prefect lie in its database.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tidemill.errors import ConflictError, InputError
from tidemill.stores.backup_manifest import FORMAT, Manifest, last_offset, verify_backup
from tidemill.stores.copy_progress import Progress, Tally, refuse_small_disk, said_plainly
from tidemill.stores.database_dump import DUMP, DatabaseSnapshot
from tidemill.stores.databases import Databases
from tidemill.stores.durable_copies import Contents, Snapshot, contents_of, copy_durably, is_database
from tidemill.stores.file_lock import file_lock
from tidemill.stores.lake_snapshot import LakeSnapshot, lake_snapshots
from tidemill.stores.staged_folder import staged_folder
from tidemill.streams import Position

LEFT_OUT = ("cache", "logs", "models", "serving_keys.db", "state.tables")
_IN_ORDER = ("loop.db", "serving.db", "mlflow.db", "state.db", "log.db")
_LAKE = "lake"
_NOT_STATE = ("-wal", "-shm", "-journal", ".lock")
_POSITION = "select token, known_at_ms, lake_token from position"
_LOG_END = "select log_offset from tail"
_NOWHERE = Position({}).token


def back_up(home: Path, folder: Path, progress: Progress, database: str | None = None) -> Manifest:
    """Write a backup of a home to a new folder, and verify it.

    Args:
        home: of a system, running or not.
        folder: where to; there only once the backup is whole.
        progress: told what is at work and how far it has come.
        database: the URL of the PostgreSQL that holds the databases, where no files do.

    Raises:
        InputError: there is nothing to back up in `home`.
        ConflictError: there is something in `folder`, or it lies in the home.
        NotReadyError: the disk is full, or what was to be copied is gone; nothing is left behind.
    """
    home, folder = home.resolve(), folder.resolve()
    databases = Databases(home, database)
    if not databases.exists("log") and not databases.exists("sources"):
        where = "TIDEMILL_DATABASE__URL" if database else "TIDEMILL_HOME"
        what = databases.called("log") if database else databases.path("log").name
        raise InputError(f"there is no {what}, so nothing to back up; is {where} right?", where=str(home))
    if folder.is_relative_to(home):
        raise ConflictError(f"{folder} lies in the home {home}; name a folder outside, best on another disk")
    with said_plainly("the backup"), staged_folder(folder) as staged, ExitStack() as held:
        moment = _Moment.take(home, database, held)
        rest = list(_rest(home))
        total = moment.n_bytes + sum(path.stat().st_size for path in rest if path.exists())
        refuse_small_disk(folder, total)
        about = moment.about()  # before the snapshots are let go
        files = _copy(home, staged, moment, Tally(progress, "copying", total))
        files |= _copy_rest(home, staged, rest, Tally(progress, "copying", total, sum(one.size for one in files.values())))
        left_out = tuple(name for name in LEFT_OUT if (home / name).exists())
        manifest = Manifest(**about, files=files, left_out=left_out)
        manifest.write(staged)
        verify_backup(staged, Tally(progress, "verifying", manifest.n_bytes))
    return manifest


@dataclass
class _Moment:
    """What a home was like at one moment, held until it is copied."""

    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    database: DatabaseSnapshot | None = None
    tables: list[LakeSnapshot] = field(default_factory=list)

    @classmethod
    def take(cls, home: Path, database: str | None, held: ExitStack) -> _Moment:
        """Look at everything in the order in which one file speaks of another."""
        moment = cls()
        (home / _LAKE).mkdir(parents=True, exist_ok=True)
        with file_lock(home / _LAKE / "writer.lock"):
            if database is not None:
                moment.database = held.enter_context(closing(DatabaseSnapshot(database)))
            for name in _IN_ORDER:
                if (home / name).exists():
                    moment.snapshots[name] = held.enter_context(closing(Snapshot(home / name)))
                if name == "state.db":
                    moment.tables = lake_snapshots(home / _LAKE)
        return moment

    @property
    def n_bytes(self) -> int:
        """What it takes to copy it."""
        files = (table.folder / name for table in self.tables for name in table.files)
        dumped = 0 if self.database is None else self.database.n_bytes
        return dumped + sum(snapshot.n_bytes for snapshot in self.snapshots.values()) + sum(path.stat().st_size for path in files)

    def about(self) -> dict[str, Any]:
        """Where the system stands, as a manifest says it."""
        position, known_at_ms, lake_position, log_end = self._standing()
        return {
            "format": FORMAT,
            "tidemill": version("tidemill"),
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "position": position,
            "lake_position": lake_position,
            "log_end": log_end,
            "known_at_ms": known_at_ms,
        }

    def _standing(self) -> tuple[Any, ...]:
        """Position, its time, how far the lake has come, and the log's last offset."""
        if self.database is not None:
            position, log_end = self.database.position, self.database.log_end
            return *position, last_offset(position[0]) if log_end is None else log_end
        state, log = self.snapshots.get("state.db"), self.snapshots.get("log.db")
        held = state.row(_POSITION) if state is not None else (_NOWHERE, 0, _NOWHERE)
        return *held, last_offset(str(held[0])) if log is None else log.row(_LOG_END)[0]


def _copy(home: Path, staged: Path, moment: _Moment, tally: Tally) -> dict[str, Contents]:
    files: dict[str, Contents] = {}
    for name, snapshot in sorted(moment.snapshots.items(), key=lambda item: not item[1].blocks_writers):
        files[name] = snapshot.copy(staged / name, tally)
        snapshot.close()
    if moment.database is not None:
        moment.database.dump(staged / DUMP)
        files[DUMP] = contents_of(staged / DUMP, tally)
    for table in moment.tables:
        within = table.folder.relative_to(home)
        for name in table.files:
            files[str(within / name)] = copy_durably(table.folder / name, staged / within / name, tally)
    return files


def _copy_rest(home: Path, staged: Path, rest: list[Path], tally: Tally) -> dict[str, Contents]:
    files: dict[str, Contents] = {}
    for path in rest:
        name = str(path.relative_to(home))
        with suppress(FileNotFoundError):  # deleted since: an old report, say
            if is_database(path):
                with closing(Snapshot(path)) as snapshot:
                    files[name] = snapshot.copy(staged / name, tally)
            else:
                files[name] = copy_durably(path, staged / name, tally)
    return files


def _rest(home: Path) -> Iterator[Path]:
    """Every other file of a home: MLflow's artifacts, what Prefect keeps, and whatever anyone has put there."""
    for folder, folders, names in os.walk(home):
        top = Path(folder) == home
        folders[:] = sorted(set(folders) - {_LAKE, *LEFT_OUT}) if top else sorted(folders)
        for path in (Path(folder) / name for name in sorted(names)):
            if path.is_file() and not path.name.endswith(_NOT_STATE) and not (top and path.name in (*_IN_ORDER, *LEFT_OUT)):
                yield path
