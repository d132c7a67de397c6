"""What `backup` and `restore` refuse, what they say, and what a backup is made of."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from tests import tiny
from tidemill.cli.main import app
from tidemill.errors import ConflictError, InputError, NotReadyError
from tidemill.project import Workspace
from tidemill.stores import OFFSET, Lake, Manifest, back_up, restore_home, verify_backup
from tidemill.stores.copy_progress import refuse_small_disk
from tidemill.stores.durable_copies import Snapshot
from tidemill.stores.lake_snapshot import LakeSnapshot
from tidemill.stores.staged_folder import staged_folder


def quiet(*_: object) -> None:
    """Told of the progress, says nothing."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a past of a day, and one event that nobody has applied."""
    home = tmp_path_factory.mktemp("past") / "home"
    workspace = Workspace.open(tiny.project, home)
    tiny.live(workspace, 0, 1)
    workspace.log.append(tiny.history(1, 2)[:1], 0)
    workspace.close()
    for name in ("cache/old.arrow", "logs/services.log", "models/1/model.onnx", "artifacts/1/model.onnx"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    for name, mode in (("mlflow.db", "delete"), ("prefect/prefect.db", "wal")):
        (home / name).parent.mkdir(exist_ok=True)
        with closing(sqlite3.connect(home / name, isolation_level=None)) as connection:
            connection.execute(f"pragma journal_mode = {mode}")
            connection.execute("create table runs as select 42 as answer")
    return home


@pytest.fixture
def folder(home: Path, tmp_path: Path) -> Path:
    """A backup of it."""
    back_up(home, tmp_path / "backup", quiet)
    return tmp_path / "backup"


def test_it_holds_what_cannot_be_made_anew(home: Path, folder: Path) -> None:
    manifest = verify_backup(folder, quiet)
    assert not [path.name for path in folder.rglob("*") if path.name.endswith(("-wal", "-shm", "-journal", ".lock"))]
    tops = {name.partition("/")[0] for name in manifest.files}
    assert tops == {"log.db", "state.db", "serving.db", "loop.db", "lake", "artifacts", "mlflow.db", "prefect"}
    for name in ("mlflow.db", "prefect/prefect.db"):
        with closing(sqlite3.connect(folder / name)) as connection:
            assert connection.execute("select answer from runs").fetchone() == (42,)
    assert manifest.left_out == ("cache", "logs", "models", "serving_keys.db", "state.tables")
    assert (manifest.log_end, manifest.offset) == (manifest.offset + 1, json.loads(manifest.position)["orders"]["0"])


def test_what_is_there_already_is_never_overwritten(home: Path, folder: Path, tmp_path: Path) -> None:
    for target in (folder, folder / "manifest.json"):
        with pytest.raises(ConflictError, match="is not empty; nothing is overwritten"):
            back_up(home, target, quiet)
        with pytest.raises(ConflictError, match="is not empty; nothing is overwritten"):
            restore_home(folder, target, quiet)
    (tmp_path / "empty").mkdir()
    restore_home(folder, tmp_path / "empty", quiet)
    assert (tmp_path / "empty" / "log.db").exists()


def test_a_home_in_use_is_not_empty(folder: Path, tmp_path: Path) -> None:
    workspace = Workspace.open(tiny.project, tmp_path / "used")
    with pytest.raises(ConflictError, match="used is not empty"):
        restore_home(folder, tmp_path / "used", quiet)
    workspace.close()


def test_nothing_to_back_up_and_nowhere_to_put_it(home: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no log\.db, so nothing to back up"):
        back_up(tmp_path / "nothing", tmp_path / "backup", quiet)
    with pytest.raises(ConflictError, match="name a folder outside"):
        back_up(home, home / "backup", quiet)
    with pytest.raises(InputError, match="no backup of tidemill"):
        verify_backup(home, quiet)
    assert not (tmp_path / "backup").exists()


def test_too_small_a_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    refuse_small_disk(tmp_path / "new", 1_000)
    with pytest.raises(NotReadyError, match=r"1,000,000,000,000 MB are to be written, and .* MB free; make room first"):
        refuse_small_disk(tmp_path / "new" / "newer", 10**18)


def test_one_at_a_time_writes_a_folder(tmp_path: Path) -> None:
    with staged_folder(tmp_path / "one") as staged:
        (staged / "file").write_text("mine")
        with pytest.raises(ConflictError, match="another process is at work"), staged_folder(tmp_path / "one"):
            pass
        assert (staged / "file").read_text() == "mine"
    assert (tmp_path / "one" / "file").read_text() == "mine"
    assert stat.S_IMODE((tmp_path / "one").stat().st_mode) == 0o700


def test_whoever_waited_at_the_door_while_it_got_its_name_leaves_it_alone(tmp_path: Path) -> None:
    def late(descriptor: int, how: int) -> None:
        if how & fcntl.LOCK_EX:
            (tmp_path / "one.unfinished").rename(tmp_path / "other")

    with patch("fcntl.flock", late), pytest.raises(ConflictError, match="another process"), staged_folder(tmp_path / "one"):
        pass


def test_files_that_come_or_go_are_found(folder: Path) -> None:
    (folder / "stray").write_text("?")
    with pytest.raises(InputError, match="stray: is there and was not written"):
        verify_backup(folder, quiet)
    (folder / "stray").unlink()
    (folder / "artifacts/1/model.onnx").unlink()
    with pytest.raises(InputError, match=r"model\.onnx: is missing"):
        verify_backup(folder, quiet)


def test_a_later_format_is_refused_with_the_version_that_reads_it(folder: Path) -> None:
    manifest = Manifest.read(folder)
    Manifest(**{**manifest.__dict__, "format": 2, "tidemill": "7.1"}).write(folder)
    with pytest.raises(InputError, match=r"tidemill 7\.1 wrote it; restore it with that version"):
        verify_backup(folder, quiet)
    (folder / "manifest.json").write_text('{"format": 2, "tidemill": "7.2", "digest": "", "files": {}, "more": 1}')
    with pytest.raises(InputError, match=r"tidemill 7\.2 wrote it"):
        verify_backup(folder, quiet)
    (folder / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="it is damaged"):
        verify_backup(folder, quiet)


def test_what_does_not_belong_together_is_found(folder: Path) -> None:
    manifest = Manifest.read(folder)
    Manifest(**{**manifest.__dict__, "log_end": 3}).write(folder)
    with pytest.raises(InputError, match="beyond the log's end 3"):
        verify_backup(folder, quiet)
    Manifest(**{**manifest.__dict__, "position": '{"orders":{"0":5}}'}).write(folder)
    with pytest.raises(InputError, match=r"holds events up to \d+, the state took those up to 5"):
        verify_backup(folder, quiet)


@pytest.mark.parametrize("way", ["link", "other/../of monday"])
def test_a_backup_is_read_by_whatever_way_leads_to_it(way: str, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "link").symlink_to(folder.rename(tmp_path / "of monday"))
    manifest = verify_backup(tmp_path / way, quiet)
    assert restore_home(tmp_path / way, tmp_path / "home", quiet) == manifest


def test_a_snapshot_does_not_see_what_is_written_later(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as writer:
        writer.execute("pragma journal_mode = wal")
        writer.execute("create table t (x)")
        with closing(Snapshot(tmp_path / "a.db")) as snapshot:
            assert not snapshot.blocks_writers
            for _ in range(3_000):
                writer.execute("insert into t values (randomblob(4000))")
            assert snapshot.copy(tmp_path / "b.db", quiet).size == (tmp_path / "b.db").stat().st_size == snapshot.n_bytes < 50_000
    with closing(sqlite3.connect(tmp_path / "b.db")) as copy:
        assert copy.execute("select count(*) from t").fetchone() == (0,)


def test_a_database_that_is_not_in_wal_mode_holds_up_its_writers_only_while_it_is_copied(home: Path) -> None:
    with closing(sqlite3.connect(home / "mlflow.db", isolation_level=None, timeout=0)) as writer:
        with closing(Snapshot(home / "mlflow.db")) as snapshot:
            assert snapshot.blocks_writers
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                writer.execute("insert into runs values (43)")
        writer.execute("insert into runs values (43)")
        writer.execute("delete from runs where answer = 43")


def test_a_table_is_copied_as_it_was_whatever_becomes_of_it(home: Path, tmp_path: Path) -> None:
    backup, target = tmp_path / "backup", tmp_path / "target"
    back_up(home, backup, quiet)
    restore_home(backup, target, quiet)
    workspace = Workspace.open(tiny.project, target)
    want = workspace.lake.dataset("orders").to_table().sort_by(OFFSET)
    seen = LakeSnapshot.of(target / "lake" / "orders")
    workspace.engine().drain(10)
    workspace.log.append(tiny.history(1, 2)[1:], 0)
    for _ in range(6):
        workspace.engine().step(300)
        workspace.lake_writer().flush()
    assert workspace.lake.compact("orders", min_files=2).replaced > 2  # and there is a checkpoint now
    copied = tmp_path / "copy" / "orders"
    for name in seen.files:
        (copied / name).parent.mkdir(parents=True, exist_ok=True)
        (copied / name).write_bytes((seen.folder / name).read_bytes())
    lake = Lake(tmp_path / "copy", [tiny.ORDERS])
    assert lake.dataset("orders").to_table().sort_by(OFFSET).equals(want)
    assert (lake.held("orders"), lake.version("orders")) == (seen.held, seen.version)
    back_up(target, tmp_path / "second", quiet)  # of a table with a checkpoint
    restore_home(tmp_path / "second", tmp_path / "third", quiet)
    again = Workspace.open(tiny.project, tmp_path / "third")
    assert again.lake.dataset("orders").count_rows() == workspace.lake.dataset("orders").count_rows() > len(want)
    workspace.close()
    again.close()


@pytest.fixture
def environ(home: Path) -> Iterator[None]:
    """The home of the commands."""
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(home), "COLUMNS": "200"}):
        yield


@pytest.mark.usefixtures("environ")
def test_the_commands_say_what_they_did(tmp_path: Path) -> None:
    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    folder = str(tmp_path / "backup")
    assert "1 events behind it wait in the log" in said("backup", folder)
    assert "is whole" in said("backup", folder, "--verify")
    assert json.loads(said("backup", folder, "--verify", "--json"))["waiting"] == 1
    os.environ["TIDEMILL_HOME"] = str(tmp_path / "new")
    assert f"new restored from {folder}" in said("restore", folder)
    assert (
        json.loads(said("backup", str(tmp_path / "again"), "--json"))["files"]
        == json.loads(said("backup", folder, "--verify", "--json"))["files"]
    )
