"""A home made from a backup."""

from __future__ import annotations

from pathlib import Path

from tidemill.errors import InputError, RefusedError
from tidemill.stores.backup_manifest import Manifest, verify_backup
from tidemill.stores.copy_progress import Progress, Tally, refuse_small_disk, said_plainly
from tidemill.stores.database_dump import DUMP, load, refuse_held
from tidemill.stores.durable_copies import copy_durably
from tidemill.stores.prediction_ids import distrust_ids
from tidemill.stores.staged_folder import refuse_filled, staged_folder


def restore_home(folder: Path, home: Path, progress: Progress, database: str | None = None) -> Manifest:
    """Make a home from a backup, after every byte of it was checked.

    A home that a process has open is never empty, so one that is in use is refused like any that holds something.

    Args:
        folder: of the backup; it is not changed.
        home: to be made; there only once it is whole.
        progress: told what is at work and how far it has come.
        database: the URL of the empty PostgreSQL database to fill, where the backup is of one.

    Raises:
        ConflictError: there is something in `home`, or in the database.
        RefusedError: the backup is of the other profile.
        InputError: the backup is damaged, or none.
        NotReadyError: the disk is full; nothing is left behind.
    """
    home = home.resolve()
    refuse_filled(home)
    if database is not None:
        refuse_held(database)
    manifest = verify_backup(folder, Tally(progress, "verifying", Manifest.read(folder).n_bytes))
    _refuse_other_profile(folder, manifest, database)
    refuse_small_disk(home, manifest.n_bytes)
    tally = Tally(progress, "copying", manifest.n_bytes)
    with said_plainly("the home"), staged_folder(home) as staged:
        for name, held in manifest.files.items():
            if name != DUMP and copy_durably(folder / name, staged / name, tally) != held:
                raise InputError("it was changed while it was read; try again", where=str(folder / name))
        if "serving.db" in manifest.files:
            distrust_ids(staged / "serving.db")
        if database is not None:
            progress("filling the database", 0, 1)
            load(database, folder / DUMP)
    return manifest


def _refuse_other_profile(folder: Path, manifest: Manifest, database: str | None) -> None:
    if DUMP in manifest.files and database is None:
        fix = "set TIDEMILL_PROFILE=server and TIDEMILL_DATABASE__URL to an empty database"
        raise RefusedError(f"{folder} is of the server profile, with a dump of its PostgreSQL; {fix}")
    if DUMP not in manifest.files and database is not None:
        raise RefusedError(f"{folder} is of the embedded profile, whose state lies in files; leave TIDEMILL_PROFILE out")
