"""Files in S3, on a server that speaks it: found, read once, and new ones after them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import orjson
import pytest

from tests.feeds import project_of, taps
from tests.services import Server, free_port, program, running
from tidemill.project import Workspace
from tidemill.serving import Copier
from tidemill.sources import Files
from tidemill.streams import Position


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Moto's server; keys as any AWS client finds them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = Server("moto", [program("moto_server"), "-H", "127.0.0.1", "-p", str(port)], f"{url}/moto-api/", {}, tmp_path / "moto")
    with running(server):
        yield url


def put(client: Any, name: str, first: int, n: int) -> None:
    """An object with some taps, a line each."""
    client.put_object(Bucket="shop", Key=name, Body=b"".join(orjson.dumps(tap.model_dump()) + b"\n" for tap in taps(first, n)))


def test_objects_are_copied_once_and_new_ones_found(tmp_path: Path, endpoint: str) -> None:
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="shop")
    put(client, "in/1.jsonl", 0, 10)
    put(client, "in/deeper/0.jsonl", 90, 10)
    put(client, "in/2.csv", 90, 10)
    workspace = Workspace.open(project_of(Files("s3://shop/in/*.jsonl", endpoint=endpoint, look_every_s=0.01)), tmp_path / "home")
    for turn in range(2):
        with closing(Copier(workspace, workspace.project.streams[0], 1_000)) as copier:
            assert copier.step() == 10
            assert copier.step() == 0
        put(client, f"in/{turn + 2}.jsonl", 10 * (turn + 1), 10)
    records, _ = workspace.log.read(Position({}), 1_000)
    assert [orjson.loads(payload)["tap_id"] for payload in records.payloads] == [tap.tap_id for tap in taps(0, 20)]
    workspace.close()
