"""One Chromium a file, and for who looks only one site a file that has seen everything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import PATIENCE_MS, launched
from tests.browser.site import Site, fill


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The installed Chromium, ended with the file: while one runs, no other test of the process can run an event loop, or a second one."""
    with launched() as browser:
        yield browser


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh page with no state of an earlier test, the size of a laptop screen."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site that has seen everything."""
    with patch.dict(os.environ, {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}):  # no registry is up, and nobody is to wait for one
        site = Site.open(tmp_path_factory.mktemp("full"))
        fill(site.ferry)
        yield site
        site.close()
