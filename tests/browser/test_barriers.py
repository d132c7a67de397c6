"""Nobody is kept out: no serious finding of axe-core, nothing that sticks out, no complaint and no foreign request, on any page.

axe-core (tests/browser/axe) is run in the page by the browser's debugger, so the page's own policy stays as strict as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.site import Heard, Site

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
SIZES = {"desktop": (1280, 800), "phone": (390, 844), "narrow": (320, 700)}  # the last is a desktop at a zoom of 400 %
GROUND = {"light": "rgb(246, 247, 245)", "dark": "rgb(14, 21, 24)"}
# What reaches beyond the right edge and is not in a region that scrolls by itself.
STICKS_OUT = """[...document.querySelectorAll('body *')]
  .filter(each => !each.closest('.scroll, .u-over, .u-axis, svg, .unseen, nav') && each.getBoundingClientRect().right > innerWidth + 1)
  .map(each => each.outerHTML.slice(0, 120))"""


@pytest.fixture
def look(chromium: Browser, size: str, colours: str) -> Iterator[Page]:
    width, height = SIZES[size]
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=colours)  # type: ignore[arg-type]  # one of two
    context.set_default_timeout(120_000)
    yield context.new_page()
    context.close()


def barriers(page: Page) -> list[str]:
    """What axe-core calls serious or critical, and headings that leave a level out, with the first elements it is found in."""
    page.evaluate(AXE)
    told: dict[str, Any] = page.evaluate("axe.run(document)")
    assert len(told["passes"]) > 10, "it has looked"
    found: list[dict[str, Any]] = told["violations"]
    grave = [one for one in found if one["impact"] in ("serious", "critical") or one["id"] == "heading-order"]
    return [
        f"{one['id']}: {one['help']}: {node['html'][:160]} {node['failureSummary'][:300]}" for one in grave for node in one["nodes"][:3]
    ]


def check(page: Page, size: str) -> None:
    """Nothing sticks out at this width, and nothing keeps anybody out."""
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
    assert page.evaluate(STICKS_OUT) == []
    assert barriers(page) == []


def open_all(page: Page) -> None:
    """Unfold every detail, those within others too."""
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")


def full_page(page: Page, site: Site) -> None:
    page.goto(site.url)
    expect(page.locator(".plot canvas")).to_have_count(4)
    expect(page.locator(".part .strip").first).to_be_attached()
    open_all(page)


def refusal(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.get_by_text("Retrain, try, promote, roll back or freeze").click()
    form = page.get_by_role("form", name="Roll back late_ferry")
    form.get_by_label("Your name").fill("ann")
    form.get_by_role("checkbox").check()
    form.get_by_role("button").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Not done")


def failure(page: Page, site: Site) -> None:
    site.broken = True
    try:
        page.goto(site.url)
    finally:
        site.broken = False


def empty(page: Page, site: Site) -> None:
    page.goto(site.url)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Nothing has happened yet")
    open_all(page)


@pytest.mark.parametrize(
    ("state", "size", "colours"),
    [
        *((full_page, size, colours) for size in ("desktop", "phone") for colours in GROUND),
        (full_page, "narrow", "light"),
        (refusal, "phone", "light"),
        (failure, "desktop", "dark"),
    ],
)
def test_no_barrier(full: Site, look: Page, state: Callable[[Page, Site], None], size: str, colours: str) -> None:
    heard = Heard.of(look)
    state(look, full)
    check(look, size)
    assert look.evaluate("getComputedStyle(document.body).backgroundColor") == GROUND[colours]
    assert heard.hosts == {"127.0.0.1"}
    expected = "\0" if state is full_page else "status of 503"  # the browser tells of the answer itself
    assert [said for said in heard.complaints if expected not in said] == []


@pytest.mark.parametrize(("size", "colours"), [("phone", "light")])
def test_an_empty_line_has_no_barrier_either(tmp_path: Path, look: Page, size: str) -> None:
    site = Site.open(tmp_path)
    heard = Heard.of(look)
    empty(look, site)
    check(look, size)
    assert heard.hosts == {"127.0.0.1"}
    assert heard.complaints == []
    site.close()
