"""A home made from a backup."""

from __future__ import annotations

from pathlib import Path

from tidemill.errors import InputError
from tidemill.stores.backup_manifest import Manifest, verify_backup
from tidemill.stores.copy_progress import Progress, Tally, refuse_small_disk, said_plainly
from tidemill.stores.durable_copies import copy_durably
from tidemill.stores.staged_folder import refuse_filled, staged_folder


def restore_home(folder: Path, home: Path, progress: Progress) -> Manifest:
    """Make a home from a backup, after every byte of it was checked.

    A home that a process has open is never empty, so one that is in use is refused like any that holds something.

    Args:
        folder: of the backup; it is not changed.
        home: to be made; there only once it is whole.
        progress: told what is at work and how far it has come.

    Raises:
        ConflictError: there is something in `home`.
        InputError: the backup is damaged, or none.
        NotReadyError: the disk is full; nothing is left behind.
    """
    home = home.resolve()
    refuse_filled(home)
    manifest = verify_backup(folder, Tally(progress, "verifying", Manifest.read(folder).n_bytes))
    refuse_small_disk(home, manifest.n_bytes)
    tally = Tally(progress, "copying", manifest.n_bytes)
    with said_plainly("the home"), staged_folder(home) as staged:
        for name, held in manifest.files.items():
            if copy_durably(folder / name, staged / name, tally) != held:
                raise InputError("it was changed while it was read; try again", where=str(folder / name))
    return manifest
