"""MLflow and Prefect as they are, behind the login: looking, searching, changing, and their own clients with a key of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
import urllib3
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from tests.behind_login import BehindLogin, behind_login
from tidemill.serving.console_scopes import CONSOLE_ROUTES, MLFLOW, PREFECT

READS = [route.removeprefix("POST ") for route, scope in CONSOLE_ROUTES.items() if route.startswith("POST") and scope == "read"]


@dataclass
class Site:
    """The server, where its consoles are, and keys."""

    behind: BehindLogin
    mlflow_uri: str
    prefect_api_url: str
    reader: str
    operator: str
    pool: urllib3.PoolManager

    def ask(self, method: str, url: str, key: str = "", told: object = None, accept: str = "*/*") -> tuple[int, bytes]:
        """Ask with a key, or nobody's."""
        headers = {"accept": accept, **({"authorization": f"Bearer {key}"} if key else {})}
        if told is not None:
            headers["content-type"] = "application/json"
        whole = url if url.startswith("http") else f"{self.behind.url}{url}"
        body = None if told is None else json.dumps(told).encode()
        answer = self.pool.request(method, whole, headers=headers, body=body, redirect=False)
        return answer.status, answer.data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str, prefect_api_url: str) -> Iterator[Site]:
    with behind_login(tmp_path_factory.mktemp("consoles"), mlflow_uri, prefect_api_url) as behind:
        pool = urllib3.PoolManager(retries=False, timeout=120)
        reader, operator = behind.key("guest", "read"), behind.key("ann", "read", "operate")
        yield Site(behind, mlflow_uri, prefect_api_url, reader, operator, pool)


def test_their_pages_and_files_come_as_they_are(site: Site) -> None:
    for page in ("/mlflow/", "/prefect/v2/", "/prefect/runs"):
        assert site.ask("GET", page)[0] == 401
        status, text = site.ask("GET", page, site.reader, accept="text/html")
        assert (status, b"<script" in text) == (200, True)
    script = re.search(rb'src="(static-files/[^"]+\.js)"', site.ask("GET", "/mlflow/", site.reader)[1])
    assert script is not None
    file = script[1].decode()
    assert site.ask("GET", f"/mlflow/{file}", site.reader) == site.ask("GET", f"{site.mlflow_uri}/{file}")
    root = site.prefect_api_url.removesuffix("/api")
    script = re.search(rb'src="(/prefect/v2/assets/[^"]+\.js)"', site.ask("GET", "/prefect/v2/", site.reader, accept="text/html")[1])
    assert script is not None
    assert site.ask("GET", script[1].decode(), site.reader) == site.ask("GET", f"{root}{script[1].decode()}")


def test_who_may_read_looks_and_searches_and_changes_nothing(site: Site) -> None:
    search, create = "/mlflow/ajax-api/2.0/mlflow/experiments/search", "/mlflow/ajax-api/2.0/mlflow/experiments/create"
    status, found = site.ask("POST", search, site.reader, {"max_results": 10})
    assert (status, b"Default" in found) == (200, True)
    assert site.ask("POST", create, site.reader, {"name": "behind-login"})[0] == 403
    assert site.ask("POST", create, site.operator, {"name": "behind-login"})[0] == 200
    assert b"behind-login" in site.ask("POST", search, site.reader, {"max_results": 1000})[1]

    variable = {"name": "behind_login", "value": 1}
    assert site.ask("POST", "/prefect/api/flows/filter", site.reader, {})[0] == 200
    assert site.ask("POST", "/prefect/api/variables/", site.reader, variable)[0] == 403
    assert site.ask("POST", "/prefect/api/variables/", site.operator, variable)[0] == 201
    assert b"behind_login" in site.ask("POST", "/prefect/api/variables/filter", site.reader, {})[1]
    assert site.ask("DELETE", "/prefect/api/variables/name/behind_login", site.reader)[0] == 403
    assert site.ask("DELETE", "/prefect/api/variables/name/behind_login", site.operator)[0] == 204
    acts = [(one.by, one.about, one.status) for one in site.behind.workspace.acts.recent(4) if one.status < 400]
    assert ("ann", create, 200) in acts or ("ann", "/prefect/api/variables/name/behind_login", 204) in acts


def test_every_question_that_is_named_is_one_of_theirs(site: Site) -> None:
    """After an upgrade: what is gone, or is asked in another way, should no longer be named."""
    document: dict[str, Any] = json.loads(site.ask("GET", f"{site.prefect_api_url}/openapi.json")[1])
    known = {re.sub(r"\{\w+\}", "{}", path.removeprefix("/api")) for path, ways in document["paths"].items() if "post" in ways}
    mine = {re.sub(r"\{\w+\}", "{}", path.removeprefix(f"{PREFECT}/api")) for path in READS if path.startswith(f"{PREFECT}/")}
    assert mine <= known, mine - known
    for path in READS:
        if path.startswith((f"{MLFLOW}/ajax-api/", f"{MLFLOW}/graphql")):  # those under `api` are the same
            assert site.ask("POST", f"{site.mlflow_uri}{path.removeprefix(MLFLOW)}", told={})[0] not in (404, 405), path


def test_mlflows_own_client_comes_in_with_a_key_of_ours(site: Site) -> None:
    with patch.dict("os.environ", {"MLFLOW_TRACKING_TOKEN": site.reader, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}):
        client = MlflowClient(f"{site.behind.url}/mlflow")
        assert "Default" in [experiment.name for experiment in client.search_experiments()]
        with pytest.raises(MlflowException, match="operate"):
            client.create_experiment("refused")
