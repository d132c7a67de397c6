"""What the way to PostgreSQL says of itself."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import create_engine

from tidemill.stores.postgres_errors import PlainPool


def test_a_pool_that_is_let_go_of_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="tidemill"):
        create_engine("postgresql+psycopg://127.0.0.1:1/nobody", poolclass=PlainPool).dispose()
    assert caplog.messages == []
