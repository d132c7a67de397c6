"""What a client makes of a server's answers, and when it asks again: against a server that answers as it is told."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from tests.services import free_port
from tidemill import AsyncClient, Client
from tidemill.client import Rejection
from tidemill.client.reaching import Reach
from tidemill.errors import (
    BusyError,
    ConflictError,
    InputError,
    NotFoundError,
    NotReadyError,
    RefusedError,
    SettingsError,
    TidemillError,
    UnavailableError,
)

RECEIPT = {"accepted": 2, "duplicates": 1, "rejected": [{"index": 3, "reason": "late", "detail": "old"}], "since": "a later server"}
ANSWER = {"prediction_id": "1", "prediction": 1, "probability": 0.7, "model_version": 3, "position": "{}"}


@dataclass
class Script:
    """Answers in turn, the last one for ever: status, JSON, headers; an empty one breaks the connection."""

    answers: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    heard: list[tuple[str, str, bytes, str, str]] = field(default_factory=list)
    url: str = ""

    def says(self, *answers: tuple[int, Any] | tuple[int, Any, dict[str, str]]) -> None:
        self.answers = [(one[0], one[1], one[2] if len(one) == 3 else {}) for one in answers]
        self.heard.clear()


@pytest.fixture(scope="module")
def server() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            kinds = self.headers.get("content-type", ""), self.headers.get("authorization", "")
            script.heard.append((self.command, self.path, body, *kinds))
            status, told, headers = script.answers[0] if len(script.answers) == 1 else script.answers.pop(0)
            if status == 0:
                self.close_connection = True
                return
            content = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            for name, value in {"content-length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _serve

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    script.url = f"http://127.0.0.1:{running.server_port}"
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield script
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def client(server: Script) -> Iterator[Client]:
    with Client(server.url, "tm_key") as made:
        yield made


class Order(BaseModel):
    order_id: str
    placed_at: datetime


def error(where: str, what: str) -> dict[str, Any]:
    return {"error": {"where": where, "what": what}}


@pytest.mark.parametrize(
    ("status", "told", "kind", "words"),
    [
        (422, error("0.amount", "0.amount: Input should be a number"), InputError, "0.amount: Input should be"),
        (413, error("body", "9 bytes; send it in parts"), InputError, "send it in parts"),
        (404, error("nobody", "no model 'nobody'; there is: a, b"), NotFoundError, "there is: a, b"),
        (404, {"detail": "Not Found"}, RefusedError, "answered 404"),
        (409, error("NotReadyError", "no champion yet"), NotReadyError, "no champion"),
        (409, error("ConflictError", "somebody was first"), ConflictError, "was first"),
        (401, error("header Authorization", "no key that stands"), RefusedError, "TIDEMILL_CLIENT__KEY"),
        (403, error("key", "this asks for predict"), RefusedError, "asks for predict"),
        (500, b"<html>", RefusedError, "without saying why"),
        (200, b"not JSON", RefusedError, "without saying why"),
    ],
)
def test_a_refusal_is_raised_at_once_with_what_to_do(
    server: Script, client: Client, status: int, told: Any, kind: type[TidemillError], words: str
) -> None:
    server.says((status, told))
    with pytest.raises(kind, match=words) as raised:
        client.model("m")
    assert type(raised.value) is kind
    assert len(server.heard) == 1
    if isinstance(raised.value, NotFoundError):
        assert raised.value.known == ("a", "b")
    if isinstance(raised.value, InputError):
        assert raised.value.where in ("0.amount", "body")


def test_events_are_lines_and_sent_again_until_they_are_taken(server: Script, client: Client) -> None:
    server.says(
        (503, error("UnavailableError", "down")), (0, None), (429, error("BusyError", "behind"), {"retry-after": "0"}), (200, RECEIPT)
    )
    at = datetime(2026, 1, 1, tzinfo=UTC)
    receipt = client.send_events("orders", [{"order_id": "a", "placed_at": at}, Order(order_id="b", placed_at=at)])
    assert (receipt.accepted, receipt.duplicates, receipt.rejected) == (2, 1, (Rejection(3, "late", "old"),))
    assert len(server.heard) == 4 and len(set(server.heard)) == 1
    method, path, body, content_type, key = server.heard[0]
    assert (method, path, content_type, key) == ("POST", "/v1/streams/orders/events", "application/x-ndjson", "Bearer tm_key")
    assert [json.loads(line)["order_id"] for line in body.splitlines()] == ["a", "b"]
    assert json.loads(body.splitlines()[0])["placed_at"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.parametrize("broken", [(503, error("UnavailableError", "down")), (0, None)])
def test_a_prediction_that_may_have_been_taken_is_not_asked_again(server: Script, client: Client, broken: tuple[int, Any]) -> None:
    server.says(broken, (200, ANSWER))
    with pytest.raises(UnavailableError):
        client.predict("m", {"key": "a"})
    assert len(server.heard) == 1


def test_a_prediction_that_was_not_taken_is(server: Script, client: Client) -> None:
    server.says((429, error("BusyError", "too many wait"), {"retry-after": "0"}), (200, ANSWER))
    assert client.predict("m", {"key": "a"}).probability == 0.7
    assert len(server.heard) == 2


def test_it_gives_up_after_its_attempts(server: Script) -> None:
    server.says((429, error("BusyError", "behind"), {"retry-after": "0"}))
    with Client(server.url, attempts=3) as client, pytest.raises(BusyError, match="behind"):
        client.model("m")
    assert len(server.heard) == 3


def test_where_nobody_listens_the_error_says_how_to_start_one() -> None:
    with Client(f"http://127.0.0.1:{free_port()}", attempts=2) as client, pytest.raises(UnavailableError, match="tidemill serve"):
        client.predict("m", {"key": "a"})


def test_names_are_quoted_and_times_are_sent_as_milliseconds(server: Script, client: Client) -> None:
    told = {"view": "v", "key": "a/b,c", "at_ms": 1_000, "source": "lake", "position": "{}", "values": {"n": None}}
    server.says((200, [told]))
    found = client.features("v", "a/b,c", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    assert (found.key, found.values, found.at_ms) == ("a/b,c", {"n": None}, 1_000)
    assert server.heard[0][:3] == ("POST", "/v1/features/v", b'{"keys":["a/b,c"],"at":1000}')
    with pytest.raises(InputError, match="no time zone"):
        client.features("v", "a", datetime(1970, 1, 1))
    with pytest.raises(InputError, match="no events"):
        client.send_events("orders", [])
    with pytest.raises(InputError, match="amount: nan; send None for a missing value"):
        client.send_events("orders", [{"order_id": "a", "amount": 1.0}, {"order_id": "b", "amount": float("nan")}])
    with pytest.raises(InputError, match="hand in a list of keys"):
        client.features_of("v", "abc")
    with pytest.raises(InputError, match="send texts"):
        client.predict("m", {"key": object()})


def test_numbers_of_numpy_are_sent_as_they_are(server: Script, client: Client) -> None:
    server.says((200, [{"prediction_id": "1", "prediction": 1, "probability": 0.5, "model_version": 1, "position": "{}"}]))
    client.predict("m", [{"n": np.int64(3), "amount": np.float32(1.5), "fee": np.float64(0.1), "late": np.bool_(True)}])
    assert json.loads(server.heard[0][2]) == [{"n": 3, "amount": 1.5, "fee": 0.1, "late": True}]


def test_what_cannot_be_sent_is_refused_with_its_place(server: Script, client: Client) -> None:
    heard = list(server.heard)
    refused: tuple[tuple[Any, str, str], ...] = (
        ([{"amount": 1.0}, {"amount": float("nan")}], "1.amount", "send None"),
        ([{"amount": 1.0}, {"amount": np.float32("nan")}], "1.amount", "send None"),
        ([{"amount": 1.0}, {"amount": {1}}], "1", "send texts"),
        ("abc", "0", "'a' cannot be sent"),
        (None, "0", "None cannot be sent"),
    )
    for asked, where, why in refused:
        with pytest.raises(InputError, match=why) as raised:
            client.predict("m", asked)
        assert raised.value.where == where
    one: Any = {"order_id": "a"}
    with pytest.raises(InputError, match="one event; hand in a list of them"):
        client.send_events("orders", one)
    assert server.heard == heard


def test_the_other_client_does_the_same(server: Script) -> None:
    async def ask() -> list[float | None]:
        async with AsyncClient(server.url) as client:
            one = await client.predict("m", {"key": "a"}, explain=True)
            many = await asyncio.gather(*(client.predict("m", {"key": str(place)}) for place in range(5)))
            assert (await client.model("m")).versions == {"champion": 3}
            return [one.probability, *(each.probability for each in many)]

    state = {"model": "m", "registered_name": "p.m", "versions": {"champion": 3}, "task": "binary", "columns": {}, "predictions": 1}
    server.says((429, error("BusyError", "behind"), {"retry-after": "0"}), *[(200, ANSWER)] * 6, (200, state))
    assert asyncio.run(ask()) == [0.7] * 6
    assert "explain=true" in server.heard[0][1]
    server.says((404, error("m", "no model 'm'; there is: x")))

    async def wrong() -> None:
        async with AsyncClient(server.url) as client:
            await client.decisions("m")

    with pytest.raises(NotFoundError):
        asyncio.run(wrong())


def test_a_key_that_is_none_is_not_told_to_logs(tmp_path: Path) -> None:
    for key in ("tm_s3cret\u201d", "tm_s3cret\nx"):
        with pytest.raises(SettingsError) as raised:
            Client("http://127.0.0.1:1", key)
        assert "s3cret" not in str(raised.value)


def test_json_of_another_server_is_no_answer(server: Script, client: Client) -> None:
    others: tuple[object, ...] = ([], {"hello": "world"}, 5)
    for told in others:
        server.says((200, told))
        with pytest.raises(RefusedError, match="is it the right server"):
            client.predict("m", {"key": "a"})


def test_the_environment_says_where_and_with_which_key(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("tm_filed\n")
    environ = {"TIDEMILL_CLIENT__URL": "https://mill.example/", "TIDEMILL_CLIENT__KEY": "tm_told"}
    reach = Reach.of(None, None, 1.0, 1, environ)
    assert (reach.url, reach.key) == ("https://mill.example", "tm_told")
    assert "tm_told" not in repr(reach)
    assert Reach.of(None, None, 1.0, 1, {"TIDEMILL_CLIENT__KEY_FILE": str(tmp_path / "key")}).key == "tm_filed"
    assert Reach.of("http://h:1", "tm_mine", 1.0, 1, environ).key == "tm_mine"
    assert Reach.of(None, None, 1.0, 1, {}).options()["base_url"] == "http://127.0.0.1:8000"
    with pytest.raises(SettingsError, match="cannot be read"):
        Reach.of(None, None, 1.0, 1, {"TIDEMILL_CLIENT__KEY_FILE": str(tmp_path / "gone")})
    with pytest.raises(SettingsError, match="no URL"):
        Reach.of("mill.example", None, 1.0, 1, {})
    for url in ("http://", "http://mill.example:port", "http://mill.example:0", "ftp://mill.example"):
        with pytest.raises(SettingsError, match="no URL"):
            Reach.of(url, None, 1.0, 1, {})
    with pytest.raises(SettingsError, match="once at least"):
        Reach.of(None, None, 1.0, 0, {})
    for timeout_s in (0.0, -1.0, float("nan")):
        with pytest.raises(SettingsError, match="more than 0 seconds"):
            Reach.of(None, None, timeout_s, 1, {})


def test_a_file_of_certificates_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("none\n")
    for file in (empty, tmp_path / "gone.pem"):
        monkeypatch.setenv("TIDEMILL_CLIENT__CA_FILE", str(file))
        with pytest.raises(SettingsError, match=f"{file.name} is no file of PEM certificates"):
            Client("https://127.0.0.1:1")


def test_why_there_is_no_connection_is_said(server: Script) -> None:
    with (
        Client(server.url.replace("http:", "https:"), attempts=1) as client,
        pytest.raises(UnavailableError, match=r"no server answers at https://.*\(\[SSL: "),
    ):
        client.model("m")
