"""`docs/client.md` runs as it stands, against a real server with the README's project; and the lines for the shell on the page are true."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from tests.held import hold_version, name_versions
from tests.served import serving
from tests.services import free_port
from tidemill.cli.main import app
from tidemill.errors import InputError
from tidemill.project import Workspace, example_curl, example_python, load_project, project_root
from tidemill.registry import Registry, snapshot
from tidemill.serving import Champions, create_app
from tidemill.settings import ServerSettings, Settings
from tidemill.streams import Entry

DAYS = 6


def blocks(page: str) -> str:
    """The Python of a page, one block after the other."""
    return "\n\n".join(re.findall(r"```python\n(.*?)```", (project_root() / page).read_text(encoding="utf-8"), re.DOTALL))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Workspace, str]]:
    folder = tmp_path_factory.mktemp("shop")
    (folder / "shop.py").write_text(blocks("README.md"), encoding="utf-8")
    workspace = Workspace.open(load_project(folder / "shop.py"), folder / "home")
    recording = workspace.project.recording
    assert recording is not None
    workspace.log.append([Entry(one.stream, one.payload, one.known_at_ms) for one in recording(days=DAYS).events()], 0)
    workspace.engine().drain(10_000)
    workspace.lake_writer().flush()
    hold_version(workspace, 1, snapshot(workspace, workspace.project.models[0]))
    name_versions(workspace, {"champion": 1, "frozen": 1})
    champions = Champions(workspace, Registry("http://127.0.0.1:9", workspace.home), "test")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        champions.refresh(0)  # else the first question might come before the thread has
        port = free_port()
        made = create_app(workspace, Settings(server=ServerSettings(open=True, port=port)), champions)
        with serving(made, port) as url:
            yield TestClient(made, base_url="http://127.0.0.1:8000"), workspace, url
    workspace.close()


def test_the_page_runs(shop: tuple[TestClient, Workspace, str], monkeypatch: pytest.MonkeyPatch) -> None:
    _, workspace, url = shop
    monkeypatch.setenv("TIDEMILL_CLIENT__URL", url)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks("docs/client.md"), "docs/client.md", "exec"), {"__name__": "page"})
    lines = printed.getvalue().splitlines()
    assert lines[0] == "1 0 ()"
    assert lines[1].endswith(" 1")
    assert {"amount", "spending__n_24h", "spending__mean_7d"} <= {line.split(" ")[0] for line in lines}
    assert "1000" in lines
    assert "0.amount" in lines and "('refund',)" in lines
    assert workspace.predictions.count("refund") == 1 + 1_000 + 20


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("notjson", "body: Invalid JSON: expected "),
        ("[]", "body: 0 requests; send 1 to "),
        ('{"amount": "much"}', "0.order_id: Field required;"),
    ],
)
def test_the_command_says_once_where_it_is_wrong(shop: tuple[TestClient, Workspace, str], asked: str, why: str) -> None:
    _, workspace, url = shop
    with patch.dict(os.environ, {"TIDEMILL_HOME": str(workspace.home), "TIDEMILL_CLIENT__URL": url}):  # a command sets more
        refused = CliRunner().invoke(app, ["predict", "refund", asked])
    assert isinstance(refused.exception, InputError) and str(refused.exception).startswith(why)


def test_the_line_for_the_shell_is_true(shop: tuple[TestClient, Workspace, str]) -> None:
    client, workspace, _ = shop
    model = workspace.project.models[0]
    words = shlex.split(example_curl(model, "http://127.0.0.1:8000"))
    assert words[:2] == ["curl", "-s"]
    headers = dict(word.split(": ", 1) for place, word in enumerate(words) if words[place - 1] == "-H")
    answer = client.post(words[2], content=words[words.index("-d") + 1], headers={**headers, "authorization": "Bearer x"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["prediction"] in (0, 1)
    assert json.loads(words[words.index("-d") + 1]) == {"order_id": "a", "customer": "a", "amount": 1}


def test_the_lines_of_python_are_true(shop: tuple[TestClient, Workspace, str]) -> None:
    _, workspace, url = shop
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example_python(workspace.project.models[0], url), "the page", "exec"), {"__name__": "page"})
    assert re.fullmatch(r"[01] 0\.\d+ 1\n", printed.getvalue())
