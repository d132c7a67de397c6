"""Keys and sessions are kept alike on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tidemill.errors import ConflictError, NotFoundError
from tidemill.stores import ApiKey, Databases, KeyStore

TILL = ApiKey("abcdefghij", "till", ("ingest", "read"), "shop", "ann", made_wall_ms=10)


@pytest.fixture
def keys(databases: Databases) -> KeyStore:
    return KeyStore(databases, "shop")


def test_a_key_is_found_by_its_prefix_in_its_project_alone(keys: KeyStore, databases: Databases) -> None:
    keys.add(TILL, "hash")
    assert keys.find("abcdefghij") == (TILL, "hash")
    assert keys.find("jihgfedcba") is None
    assert KeyStore(databases, "other").find("abcdefghij") is None
    assert KeyStore(databases, "other").all() == []


def test_a_name_is_of_one_key_that_stands(keys: KeyStore) -> None:
    keys.add(TILL, "hash")
    with pytest.raises(ConflictError, match="tidemill keys revoke 'till'"):
        keys.add(replace(TILL, prefix="b" * 10), "hash")
    keys.revoke("till", "bob", 20)
    keys.add(replace(TILL, prefix="b" * 10, made_wall_ms=30), "hash")
    assert [(key.prefix, key.revoked_by, key.stands(30)) for key in keys.all()] == [("abcdefghij", "bob", False), ("b" * 10, "", True)]


def test_a_key_that_ended_by_itself_gives_its_name_back(keys: KeyStore) -> None:
    keys.add(replace(TILL, until_wall_ms=20), "hash")
    with pytest.raises(ConflictError):
        keys.add(replace(TILL, prefix="b" * 10, made_wall_ms=19), "hash")
    keys.add(replace(TILL, prefix="b" * 10, made_wall_ms=20), "hash")
    assert [key.stands(20) for key in keys.all()] == [False, True]


def test_revoking_ends_what_began_with_the_key(keys: KeyStore) -> None:
    keys.add(TILL, "hash")
    keys.begin_session("digest", TILL.prefix, 10, 100)
    assert keys.of_session("digest", 99) == TILL
    assert keys.of_session("digest", 100) is None
    keys.revoke(TILL.prefix, "bob", 20)
    assert keys.of_session("digest", 30) is None
    with pytest.raises(NotFoundError):
        keys.revoke("till", "bob", 30)


def test_a_session_that_is_over_is_forgotten(keys: KeyStore) -> None:
    keys.add(TILL, "hash")
    keys.begin_session("one", TILL.prefix, 10, 100)
    keys.begin_session("two", TILL.prefix, 100, 200)
    assert keys.of_session("one", 50) is None, "beginning the second has cleared it away"
    keys.end_session("two")
    assert keys.of_session("two", 150) is None
