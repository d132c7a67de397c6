"""One Chromium a session. A missing browser is a failure, never a skip: a page nobody looked at is not tested."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

_PATIENCE_MS = 120_000  # for what takes a moment on a machine that is not busy
# Quiet and offline: the browser of a test talks to the page under test and to nobody else. No sandbox, since it may run as root.
_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The installed Chromium, headless."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("no chromium on PATH; `make test` installs it, or `apt-get install chromium`", pytrace=False)
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGS, timeout=_PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh page with no state of an earlier test, the size of a laptop screen."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(_PATIENCE_MS)
    yield context.new_page()
    context.close()
