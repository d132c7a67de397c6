"""`backup` and `restore`: the whole state in a folder, taken while everything runs, and a home made from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from tidemill.cli.moments import moment
from tidemill.cli.options import AsJson, print_json
from tidemill.cli.terminal import terminal
from tidemill.settings import read_settings

if TYPE_CHECKING:
    from tidemill.stores import Manifest
    from tidemill.stores.copy_progress import Progress as Told

Folder = Annotated[Path, typer.Argument(help="The folder of the backup.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(backup)
    app.command()(restore)


def backup(
    folder: Folder,
    verify: Annotated[bool, typer.Option("--verify", help="Write nothing: check every byte of a backup that is there.")] = False,
    json_: AsJson = False,
) -> None:
    """Write the whole state to a new folder while everything runs: log, state, lake, predictions, decisions, MLflow, Prefect.

    It is of one moment and verified after it was written. Tiles are left out: an engine builds them anew from lake and log. In the server
    profile pg_dump writes what lies in PostgreSQL, tiles too; topics of Kafka are not copied.
    """
    from tidemill.stores import back_up, verify_backup
    from tidemill.stores.copy_progress import Tally

    settings, begin_s = read_settings(), time.monotonic()
    home, database = settings.home.resolve(), settings.database_url
    with _shown(quiet=json_) as told:
        manifest = verify_backup(folder, Tally(told, "verifying", 0)) if verify else back_up(home, folder, told, database)
    _say(manifest, f"backup in {folder} {'is whole' if verify else f'of {home}'}", time.monotonic() - begin_s, as_json=json_)


def restore(folder: Folder, json_: AsJson = False) -> None:
    """Make the home (TIDEMILL_HOME) from a backup, once every byte of it is checked; what is in a home is never overwritten.

    In the server profile pg_restore fills the database (TIDEMILL_DATABASE__URL), which must be empty.
    """
    from tidemill.stores import restore_home

    settings, begin_s = read_settings(), time.monotonic()
    home = settings.home.resolve()
    with _shown(quiet=json_) as told:
        manifest = restore_home(folder, home, told, settings.database_url)
    _say(manifest, f"{home} restored from {folder}", time.monotonic() - begin_s, as_json=json_)
    if not json_:
        tiles = "" if settings.database_url else "builds the tiles anew and "
        terminal().print(f"the next `tidemill up` or `tidemill work` {tiles}goes on from there", soft_wrap=True)


def _say(manifest: Manifest, what: str, took_s: float, *, as_json: bool) -> None:
    waiting = max(0, manifest.log_end - manifest.offset)
    if as_json:
        about: dict[str, Any] = {
            "made_at": manifest.made_at,
            "tidemill": manifest.tidemill,
            "offset": manifest.offset,
            "log_end": manifest.log_end,
            "waiting": waiting,
            "known_at_ms": manifest.known_at_ms,
            "files": len(manifest.files),
            "bytes": manifest.n_bytes,
            "left_out": manifest.left_out,
            "seconds": round(took_s, 2),
        }
        print_json(about)
        return
    console = terminal()
    console.print(f"{what}: {manifest.n_bytes / 1e6:,.0f} MB in {len(manifest.files):,} files, {took_s:.1f} s", soft_wrap=True)
    stood = f", stream time {moment(manifest.known_at_ms, seconds=True)}" if manifest.known_at_ms else ""
    console.print(
        f"made {manifest.made_at} by tidemill {manifest.tidemill}; position {manifest.offset:,}{stood}; "
        f"{waiting:,} events behind it wait in the log",
        highlight=False,
        soft_wrap=True,
    )


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Told]:
    """A bar on stderr for each thing that is at work."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=terminal(stderr=True), transient=True, disable=quiet) as bars:
        tasks = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        yield told
