"""The installed Chromium, headless, for as long as a block runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

PATIENCE_MS = 120_000  # for what takes a moment on a machine that is not busy
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


@contextmanager
def launched() -> Iterator[Browser]:
    """A missing browser is a failure, never a skip: a page nobody looked at is not tested."""
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("no chromium on PATH; `make test` installs it, or `apt-get install chromium`", pytrace=False)
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGS, timeout=PATIENCE_MS)
        yield browser
        browser.close()
