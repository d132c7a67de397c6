"""`tidemill keys` and `tidemill acts`: made once, listed without the secret, revoked, and written down."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from getpass import getuser
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from tests import tiny
from tidemill.cli.main import app
from tidemill.errors import ConflictError, InputError, NotFoundError
from tidemill.stores.api_key import prefix_of

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def home(tmp_path: Path) -> Iterator[Path]:
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(tmp_path), "TIDEMILL_PROJECT": str(tiny.FILE), "COLUMNS": "250"}):
        yield tmp_path


def said(*arguments: str) -> str:
    result = RUNNER.invoke(app, [*arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def test_a_key_is_shown_once_and_only_its_hash_is_kept(home: Path) -> None:
    text = said("keys", "create", "till", "--scope", "ingest", "--scope", "read")
    prefix = prefix_of(text)
    assert prefix is not None
    listed = said("keys", "list")
    assert f"tm_{prefix}" in listed
    assert text not in listed
    secret = text.rpartition("_")[2].encode()
    assert all(secret not in file.read_bytes() for file in home.rglob("*") if file.is_file())
    (one,) = json.loads(said("keys", "list", "--json"))
    assert (one["name"], one["scopes"], one["made_by"], one["stands"]) == ("till", ["ingest", "read"], getuser(), True)


def test_a_revoked_key_stays_on_the_list_and_its_name_is_free(home: Path) -> None:
    made = json.loads(said("keys", "create", "till", "--scope", "ingest", "--for", "90d", "--json"))
    with pytest.raises(ConflictError, match="take another name"):
        said("keys", "create", "till", "--scope", "read")
    assert "is revoked" in said("keys", "revoke", f"tm_{made['prefix']}")
    assert f"revoked by {getuser()}" in said("keys", "list")
    said("keys", "create", "till", "--scope", "read")
    assert len(json.loads(said("keys", "list", "--json"))) == 2
    acts = json.loads(said("acts", "--json"))
    assert [(act["act"], act["about"], act["by"], act["via"]) for act in acts] == [
        ("keys create", "till", getuser(), "cli"),
        ("keys revoke", "till", getuser(), "cli"),
        ("keys create", "till", getuser(), "cli"),
    ]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match="no scope 'write'; there is: ingest, operate, predict, read"):
        said("keys", "create", "till", "--scope", "write")
    with pytest.raises(InputError, match="is no name for a key"):
        said("keys", "create", "\x1b[31m", "--scope", "read")
    with pytest.raises(InputError, match="--for: '90 days' is not a duration"):
        said("keys", "create", "till", "--scope", "read", "--for", "90 days")
    with pytest.raises(InputError, match="--for: '9999999d' is more than a thousand years"):
        said("keys", "create", "till", "--scope", "read", "--for", "9999999d")
    with pytest.raises(NotFoundError, match="no key 'till'"):
        said("keys", "revoke", "till")
    assert "no key yet" in said("keys", "list")


def test_what_is_done_by_command_is_written_down() -> None:
    said("freeze", "late_order", "--reason", "a holiday")
    said("unfreeze", "late_order")
    assert [(act["act"], act["about"], act["detail"]) for act in json.loads(said("acts", "--json"))] == [
        ("unfreeze", "late_order", ""),
        ("freeze", "late_order", "a holiday"),
    ]
    assert "a holiday" in said("acts")
