"""Who shows a key: proved once, looked up again, and gone soon after it was revoked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tidemill.serving import keyring as module
from tidemill.serving.keyring import SESSION_MS, Keyring
from tidemill.stores import ApiKey, Databases, KeyStore
from tidemill.stores.api_key import hash_of, is_of, new_text, prefix_of


class Ring:
    """A keyring on a clock that stands still, and how often it has computed a hash."""

    def __init__(self, home: Path) -> None:
        self.keys = KeyStore(Databases(home), "shop")
        self.now_ms, self.proofs = 1_000, 0
        self.ring = Keyring(self.keys, lambda: self.now_ms, lambda: self.now_ms / 1_000)

    def make(self, name: str = "till", until_ms: int | None = None) -> str:
        text = new_text()
        key = ApiKey(prefix_of(text) or "", name, ("read",), "shop", "ann", self.now_ms, until_ms)
        self.keys.add(key, hash_of(text))
        return text

    def name(self, text: str) -> str | None:
        caller = asyncio.run(self.ring.of_key(text))
        return caller.name if caller else None


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ring]:
    made, proved = Ring(tmp_path), is_of

    def counted(text: str, hashed: str) -> bool:
        made.proofs += 1
        return proved(text, hashed)

    monkeypatch.setattr(module, "is_of", counted)
    yield made
    made.keys.close()


def test_a_key_is_proved_once_for_all_who_wait_for_it(ring: Ring) -> None:
    text = ring.make()

    async def at_once() -> list[str]:
        return [caller.name for caller in await asyncio.gather(*(ring.ring.of_key(text) for _ in range(20))) if caller]

    assert asyncio.run(at_once()) == ["till"] * 20
    ring.now_ms += 60_000
    assert ring.name(text) == "till"
    assert ring.proofs == 1, "what is looked up again is the row, which costs no hash"


def test_a_revoked_key_opens_nothing_two_seconds_later(ring: Ring) -> None:
    text = ring.make()
    assert ring.name(text) == "till"
    ring.keys.revoke("till", "ann", ring.now_ms)
    ring.now_ms += 2_000
    assert ring.name(text) is None
    assert ring.name(text) is None


def test_a_key_that_ends_by_itself_does_so_to_the_millisecond(ring: Ring) -> None:
    text = ring.make(until_ms=1_500)
    ring.now_ms = 1_499
    assert ring.name(text) == "till"
    ring.now_ms = 1_500
    assert ring.name(text) is None


def test_another_secret_of_a_known_prefix_is_no_key(ring: Ring) -> None:
    text = ring.make()
    forged = text[:-1] + ("A" if text[-1] != "A" else "B")
    assert ring.name(forged) is None
    assert ring.name(text) == "till"


@pytest.mark.parametrize("text", ["", "secret", "tm_", "tm_abcdefghij_short", "tm_abcdefghij_" + "A" * 43, "\x00" * 60])
def test_what_is_no_key_costs_no_hash(ring: Ring, text: str) -> None:
    assert ring.name(text) is None
    assert ring.proofs == 0


def test_a_session_lasts_as_long_as_it_is_said_and_its_key_stands(ring: Ring) -> None:
    text = ring.make()
    token, other = asyncio.run(ring.ring.sign_in(text)), asyncio.run(ring.ring.sign_in(text))
    assert token and other and token != other

    def name(of: str) -> str | None:
        caller = asyncio.run(ring.ring.of_session(of))
        return caller.name if caller and caller.signed_in else None

    assert (name(token), name(other), name("made up")) == ("till", "till", None)
    asyncio.run(ring.ring.sign_out(other))
    assert (name(token), name(other)) == ("till", None)
    ring.now_ms += SESSION_MS
    assert name(token) is None
    assert asyncio.run(ring.ring.sign_in("wrong")) is None
