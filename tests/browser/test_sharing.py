"""Pages of one browser share one stream, as it has six connections to an address; the one that holds it may go, or be stuck."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.site import Site
from tests.unit.ui.ferry import START_MS

MANY = 8
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site.open(tmp_path)
    yield made
    made.close()


@pytest.fixture
def listening(page: Page) -> list[Page]:
    """The pages that have asked for the stream, in that order."""
    found: list[Page] = []

    def heard(request: Request) -> None:
        if request.url.endswith("/ui/events"):
            found.append(request.frame.page)

    page.context.on("request", heard)
    return found


def opened(page: Page, site: Site, n: int, *, clock: bool = False) -> list[Page]:
    """So many pages of one browser, all live."""
    if clock:
        page.context.clock.install()
    pages = [page, *(page.context.new_page() for _ in range(n - 1))]
    for each in pages:
        each.goto(site.url)
    for each in pages:
        expect(each.locator("#stream")).to_have_text("live")
    return pages


def check_told(site: Site, pages: Sequence[Page], n: int) -> None:
    """What happens is shown on each of them."""
    site.ferry.leave(f"ferry{n}", START_MS)
    for each in pages:
        expect(each.locator("#stream-departures [data-label=Received]")).to_have_text(str(n))
        expect(each.locator("#stream")).to_have_text("live")


def test_eight_pages_have_one_stream_which_another_takes_over(site: Site, page: Page, listening: list[Page]) -> None:
    pages = opened(page, site, MANY)
    check_told(site, pages, 1)
    assert len(listening) == 1
    pages.remove(listening[0])
    listening[0].close()
    check_told(site, pages, 2)
    assert len(listening) == 2
    left = listening[1]
    left.evaluate(HIDE, True)
    check_told(site, [each for each in pages if each is not left], 3)
    assert len(listening) == 3 and listening[2] is not left
    left.evaluate(HIDE, False)
    check_told(site, pages, 4)
    assert len(listening) == 3, "it listens to the one that took over"


def test_a_page_alone_lets_go_of_its_stream_out_of_sight(site: Site, page: Page, listening: list[Page]) -> None:
    opened(page, site, 1)
    page.evaluate(HIDE, True)
    site.ferry.leave("ferry1", START_MS)
    page.evaluate(HIDE, False)
    check_told(site, [page], 2)
    assert listening == [page, page]
    page.evaluate(HIDE, True)
    site.server.stop()
    page.evaluate(HIDE, False)
    expect(page.locator("#stream")).to_have_text("reconnecting")
    expect(page.locator("#connection")).to_contain_text("The server does not answer")
    site.serve(port=int(site.url.rstrip("/").rpartition(":")[2]))


def test_the_stream_is_taken_from_a_page_that_is_stuck(site: Site, page: Page, listening: list[Page]) -> None:
    pages = opened(page, site, 3, clock=True)
    (stuck,) = listening
    stuck.evaluate("BroadcastChannel.prototype.postMessage = () => {}")
    pages.remove(stuck)
    for each in pages:
        each.clock.fast_forward(61_000)
    check_told(site, pages, 1)
    assert listening[1] in pages


def test_pages_whose_server_is_gone_all_say_so_and_are_all_live_again(site: Site, page: Page, listening: list[Page]) -> None:
    pages = opened(page, site, 3)
    site.server.stop()
    for each in pages:
        expect(each.locator("#stream")).to_have_text("reconnecting")
    site.serve(port=int(site.url.rstrip("/").rpartition(":")[2]))
    check_told(site, pages, 1)
    assert len(set(listening)) == 1


def test_where_a_browser_has_no_locks_each_page_has_a_stream(site: Site, page: Page, listening: list[Page]) -> None:
    """As by http from another machine."""
    page.context.add_init_script("Object.defineProperty(navigator, 'locks', { value: undefined })")
    check_told(site, opened(page, site, 3), 1)
    assert len(listening) == 3
