"""What a person sees while something is being read: its place in its size, what it waits for, why it does not come, and that it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.site import Heard, Site
from tests.browser.test_barriers import GROUND, SIZES, check

DRAWN = ".plot, .part"  # what the page's script asks for: four charts and the heat map
PLACES = """() => [...document.querySelectorAll('.plot, .part')].map((each) => {
  const { top, height } = each.getBoundingClientRect();
  return [each.id, Math.round(top + scrollY), Math.round(height)];
})"""
BREATHING = "() => document.getAnimations().filter(({ animationName }) => animationName === 'breathe').length"


@dataclass
class Gate:
    """Stands before what is drawn: keeps it waiting, refuses it, or lets it through."""

    state: Literal["shut", "refused", "away", "open"] = "shut"
    held: list[Route] = field(default_factory=list)

    @classmethod
    def before(cls, page: Page, *addresses: str) -> Gate:
        """Put it up."""
        gate = cls()
        for address in addresses or ("**/ui/series/**", "**/ui/heat/**"):
            page.route(address, gate.pass_on)
        return gate

    def pass_on(self, route: Route) -> None:
        """What the browser asks for has come to the gate."""
        if self.state == "shut":
            self.held.append(route)
        elif self.state == "refused":
            route.fulfill(status=500)
        elif self.state == "away":
            route.abort("connectionrefused")
        else:
            route.continue_()

    def set(self, state: Literal["refused", "away", "open"]) -> None:
        """The same for what waits and for what comes."""
        self.state = state
        held, self.held = self.held, []
        for route in held:
            self.pass_on(route)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site.open(tmp_path)
    yield made
    made.close()


def wait_for_all(page: Page) -> None:
    """Everything is drawn, and nothing says that it is not."""
    expect(page.locator(".plot canvas")).to_have_count(4)
    expect(page.locator(".part .strip").first).to_be_attached()
    expect(page.locator(DRAWN).and_(page.locator("[aria-busy]"))).to_have_count(0)
    assert page.locator(".state").all_text_contents() == [""] * 5


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colours", GROUND)
def test_what_is_being_read_has_its_place_and_says_so(full: Site, page: Page, size: str, colours: Literal["light", "dark"]) -> None:
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=colours)
    heard, gate = Heard.of(page), Gate.before(page)
    page.goto(full.url)
    expect(page.locator(DRAWN).and_(page.locator("[aria-busy=true]"))).to_have_count(5)
    expect(page.get_by_text("Reading the chart…")).to_have_count(4)
    expect(page.get_by_text("Reading the columns over time…")).to_be_visible()
    expect(page.locator(".waiting").get_by_text("wind")).to_be_visible()
    check(page, size)
    places = page.evaluate(PLACES)
    gate.set("open")
    wait_for_all(page)
    assert page.evaluate(PLACES) == places, "nothing has moved"
    assert heard.complaints == []


def test_who_wants_no_motion_sees_none(full: Site, page: Page) -> None:
    Gate.before(page)
    page.goto(full.url)
    page.wait_for_function(f"{BREATHING} > 0")
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function(f"{BREATHING} === 0")
    expect(page.get_by_text("Reading the columns over time…")).to_be_visible()


def test_what_takes_long_says_so_and_is_asked_for_again(full: Site, page: Page) -> None:
    page.clock.install()
    gate = Gate.before(page)
    page.goto(full.url)
    expect(page.get_by_text("Reading the chart…")).to_have_count(4)
    page.clock.fast_forward(5_000)
    expect(page.get_by_text("Still reading the chart. This takes longer than usual…")).to_have_count(4)
    page.clock.fast_forward(26_000)
    expect(page.get_by_text("Could not read the chart: no answer within 30 seconds")).to_have_count(4)
    gate.held.clear()  # which the browser has given up
    gate.set("open")
    page.clock.fast_forward(6_000)
    wait_for_all(page)


@pytest.mark.parametrize(("state", "why"), [("refused", "the server answers with an error (500)"), ("away", "the server does not answer")])
def test_what_cannot_be_read_says_why_and_what_to_do_and_goes_on_by_itself(
    full: Site, page: Page, state: Literal["refused", "away"], why: str
) -> None:
    gate = Gate.before(page)
    page.goto(full.url)
    expect(page.get_by_text("Reading the chart…")).to_have_count(4)
    places = page.evaluate(PLACES)
    gate.set(state)
    told = f"{why}. It is tried again by itself; if this stays, tidemill doctor says what is wrong."
    expect(page.get_by_role("status").filter(has_text=told)).to_have_count(5)
    expect(page.locator(DRAWN).and_(page.locator("[aria-busy]"))).to_have_count(0)
    assert page.evaluate(PLACES) == places
    check(page, "desktop")
    gate.set("open")
    wait_for_all(page)


def test_a_chart_stays_while_a_newer_one_cannot_be_read(site: Site, page: Page) -> None:
    site.ferry.sail(10)
    gate = Gate.before(page)
    gate.set("open")
    page.goto(site.url)
    legend = page.locator(".plot .u-legend").first
    expect(legend).to_contain_text("2026-01-08")
    gate.set("refused")
    site.ferry.sail(8, first_day=10)
    expect(page.get_by_text("Not up to date; it is tried again.").first).to_be_visible()
    expect(legend).to_contain_text("2026-01-08")
    gate.set("open")
    expect(legend).to_contain_text("2026-01-15")
    expect(page.get_by_text("Not up to date; it is tried again.")).to_have_count(0)


def test_an_older_one_that_hangs_says_nothing_once_a_newer_one_is_there(site: Site, page: Page) -> None:
    page.clock.install()
    site.ferry.sail(10)
    gate = Gate.before(page)
    page.goto(site.url)
    expect(page.get_by_text("Reading the chart…").first).to_be_visible()
    gate.state = "open"  # for what comes; what waits hangs on
    site.ferry.sail(8, first_day=10)
    expect(page.locator(".plot .u-legend").first).to_contain_text("2026-01-15")
    expect(page.locator(".plot[aria-busy]")).to_have_count(0)
    page.clock.fast_forward(5_000)
    assert set(page.locator(".state").all_text_contents()) == {""}
    assert page.locator(".plot[aria-busy]").count() == 0


def test_a_part_that_is_read_anew_stays_and_says_so(site: Site, page: Page) -> None:
    site.ferry.leave("first", 0)
    gate = Gate.before(page, "**/ui/parts/streams")
    page.goto(site.url)
    received, part = page.locator("#stream-departures [data-label=Received]"), page.locator("#part-streams")
    expect(page.locator("#stream")).to_have_text("live")
    site.ferry.leave("second", 0)
    expect(part).to_have_attribute("aria-busy", "true")
    page.wait_for_function("() => getComputedStyle(document.getElementById('part-streams'), '::before').opacity === '1'")
    expect(received).to_have_text("1")
    gate.set("open")
    expect(received).to_have_text("2")
    expect(part).not_to_have_attribute("aria-busy", "true")
