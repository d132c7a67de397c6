"""The page as a person sees it: a real server over a real workspace, in Chromium."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.site import Heard, Site, fill
from tests.unit.ui.ferry import START_MS
from tidemill.clock import wall_ms
from tidemill.stores import Alert

SETTLED = "() => { const now = document.querySelector('.plot canvas'); const same = now === window.was; window.was = now; return same }"
WRITTEN = """window.written = []; const canvases = [], write = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
  if (!canvases.includes(this.canvas)) canvases.push(this.canvas);
  if (/^-?[\\d.]+$/.test(text)) window.written.push([canvases.indexOf(this.canvas), text]);
  return write.call(this, text, ...rest);
}"""  # every number that a chart writes beside its lines
REFRESHED_MS = 120_000  # a change is told within seconds; a slow machine is no error


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site.open(tmp_path)
    yield made
    made.close()


def test_one_look_tells_how_it_stands(site: Site, page: Page) -> None:
    fill(site.ferry)
    heard = Heard.of(page)
    page.goto(site.url)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Worth a look: drift")
    lights = page.locator(".lights li")
    expect(lights).to_have_count(5)
    for number, text in enumerate(("Balanced", "v2", "Drifted", "Promoted", "All delivered")):
        expect(lights.nth(number)).to_contain_text(text)
    for name in ("Streams", "Models", "Drift", "Decisions", "Alerts", "Features"):
        expect(page.get_by_role("heading", name=name, level=2, exact=True)).to_be_visible()
    expect(page.get_by_role("region", name="Decisions")).to_contain_text("42.3")
    expect(page.get_by_role("link", name="Versions in MLflow")).to_have_attribute("href", "/mlflow/#/models/ferries.late_ferry")
    expect(page.locator(".plot canvas")).to_have_count(4)
    expect(page.get_by_role("region", name="How far to trust the estimate")).to_contain_text("Interval held")
    expect(page.locator("#stream")).to_have_text("live")
    assert heard.hosts == {"127.0.0.1"}
    assert heard.complaints == []


def test_the_page_refreshes_itself_and_keeps_what_a_person_does(site: Site, page: Page) -> None:
    fill(site.ferry)
    heard = Heard.of(page)
    page.goto(site.url)
    received = page.locator("#stream-departures [data-label=Received]")
    expect(received).to_have_text("864")
    page.get_by_text("Week by week").click()
    page.get_by_role("link", name="Evidently report").focus()
    page.evaluate("scrollTo(0, 700)")
    page.wait_for_function("scrollY === 700")
    expect(page.get_by_text("Older windows are being added")).to_have_count(0, timeout=REFRESHED_MS)
    page.wait_for_function(SETTLED, polling=3_000)  # the last window may still be on its way into the chart
    canvas = page.locator(".plot canvas").first.element_handle()

    site.ferry.leave("new", site.ferry.workspace.now_ms())

    expect(received).to_have_text("865", timeout=REFRESHED_MS)
    expect(page.locator("#weeks-late_ferry")).to_have_attribute("open", "")
    expect(page.get_by_role("link", name="Evidently report")).to_be_focused()
    assert page.evaluate("scrollY") == 700
    assert canvas is not None
    assert canvas.evaluate("canvas => canvas.isConnected")  # the chart was neither drawn anew nor lost
    assert heard.complaints == []


def test_feature_warnings_of_a_day_share_a_row_that_stays_open_while_it_grows(site: Site, page: Page) -> None:
    alerts = site.ferry.workspace.alerts
    alerts.raise_alert(Alert("outcomes:late_ferry:1", "late_ferry", "critical", "Errors rose", "20.1% were wrong", "", START_MS))

    def warn(column: str, at_ms: int) -> None:
        alerts.raise_alert(
            Alert(f"windows:late_ferry:1:{column}", "late_ferry", "warning", f"{column} has moved", "it warns only", "", at_ms)
        )

    for number in range(30):
        warn(f"column_{number}", START_MS + number)
    page.goto(site.url)
    rows = page.locator("#alerts tbody tr")
    expect(rows).to_have_count(2)
    expect(page.locator("strong", has_text="Errors rose")).to_be_visible()
    expect(rows.get_by_text("column_3 has moved", exact=True)).to_be_hidden()
    page.get_by_text("30 feature warnings").click()
    expect(rows.get_by_text("column_3 has moved", exact=True)).to_be_visible()

    warn("column_new", START_MS + 60_000)

    expect(rows.get_by_text("column_new has moved", exact=True)).to_be_visible(timeout=REFRESHED_MS)
    expect(page.get_by_text("31 feature warnings")).to_be_visible()
    expect(rows).to_have_count(2)


def test_a_person_silences_and_acknowledges_while_the_page_refreshes_itself(site: Site, page: Page) -> None:
    alerts = site.ferry.workspace.alerts
    alerts.raise_alert(Alert("outcomes:late_ferry:1", "late_ferry", "critical", "Errors rose", "20.1% were wrong", "", START_MS))
    site.ferry.leave("first", START_MS)
    heard = Heard.of(page)
    page.goto(site.url)
    section = page.get_by_role("region", name="Alerts")
    section.get_by_text("Acknowledge or silence").click()
    silence = section.locator("form[action='/ui/alerts/silence']")
    silence.get_by_label("because").fill("a migration")
    silence.locator("select[name=for]").select_option("24h")

    site.ferry.leave("second", START_MS)

    expect(page.locator("#stream-departures [data-label=Received]")).to_have_text("2", timeout=REFRESHED_MS)
    expect(silence.get_by_label("because")).to_have_value("a migration")
    expect(silence.locator("select[name=for]")).to_have_value("24h")
    silence.get_by_label("Your name").fill("ann")
    silence.get_by_role("button", name="Silence").click()
    expect(section.get_by_text("is silenced by ann until")).to_be_visible()
    (standing,) = site.ferry.workspace.alert_silences.standing(wall_ms())
    assert (standing.reason, standing.kind) == ("a migration", "outcomes")
    section.get_by_text("Acknowledge or silence").click()
    section.locator("form[action$=ack]").get_by_label("Your name").fill("bob")
    section.get_by_role("button", name="Acknowledge").click()
    expect(section.get_by_text("acknowledged by bob")).to_be_visible()
    section.get_by_text("End it").click()
    section.locator("form[action$=unsilence]").get_by_label("Your name").fill("ann")
    section.get_by_role("button", name="End the silence").click()
    expect(section.get_by_text("is silenced by ann until")).to_have_count(0)
    assert heard.complaints == []


def test_a_view_is_opened_for_its_features_and_stays_open_while_it_is_served(site: Site, page: Page) -> None:
    site.ferry.sail(2)
    heard = Heard.of(page)
    page.goto(site.url)
    section = page.get_by_role("region", name="Features")
    expect(section.get_by_text('mean("delay_min")')).to_be_hidden()
    section.locator("summary").filter(has_text="ports").focus()
    page.keyboard.press("Enter")
    expect(section.get_by_text('mean("delay_min")')).to_be_visible()
    expect(section).to_contain_text("late_ferry has no complete window yet")
    missing = page.locator("#feature-ports-mean_delay_3h [data-label=Missing]")
    expect(missing).to_have_text("0\u202f%")

    site.ferry.predict(["x", "y"], site.ferry.workspace.now_ms(), 1, ([0.2, 0.2], [0.2, 0.2]), port="nowhere")

    expect(missing).to_have_text("4\u202f%", timeout=REFRESHED_MS)
    expect(section.get_by_text('mean("delay_min")')).to_be_visible()
    assert heard.complaints == []


def test_a_new_week_is_drawn(site: Site, page: Page) -> None:
    site.ferry.sail(10)
    page.goto(site.url)
    legend = page.locator(".plot .u-legend").first
    expect(legend).to_contain_text("2026-01-08")
    site.ferry.sail(8, first_day=10)
    expect(legend).to_contain_text("2026-01-15", timeout=REFRESHED_MS)


def test_figures_of_a_small_unit_have_their_places(site: Site, page: Page) -> None:
    heard = Heard.of(page)

    def in_grams_of_tons(route: Route) -> None:
        answer = route.fetch()
        series = answer.json()
        for who in ("live", "frozen"):
            series[who] = {metric: [None if one is None else one / 1e6 for one in values] for metric, values in series[who].items()}
        route.fulfill(response=answer, json=series)

    site.ferry.sail(10)
    page.route("**/ui/series/**", in_grams_of_tons)
    page.goto(site.url)
    expect(page.locator(".plot .u-legend").first).to_contain_text(re.compile(r"live:? *0\.000000[1-9]\d"))
    assert heard.complaints == []


@pytest.mark.parametrize("times", [1e-4, 1.5, 2.1, 2.8, 40_000])
def test_ticks_are_as_far_apart_as_they_say(site: Site, page: Page, times: float) -> None:
    def scaled(route: Route) -> None:
        answer = route.fetch()
        series = answer.json()
        for who in ("live", "frozen"):
            series[who] = {metric: [None if one is None else one * times for one in values] for metric, values in series[who].items()}
        route.fulfill(response=answer, json=series)

    site.ferry.sail(20)
    page.add_init_script(WRITTEN)
    page.route("**/ui/series/**", scaled)
    page.goto(site.url)
    expect(page.locator(".plot canvas").first).to_be_visible()
    page.wait_for_function("() => window.written.length >= 3")
    charts: dict[int, set[float]] = {}
    for chart, text in page.evaluate("() => window.written"):
        charts.setdefault(chart, set()).add(float(text))
    for ticks in (sorted(found) for found in charts.values() if len(found) > 2):
        steps = [after - before for before, after in itertools.pairwise(ticks)]
        assert max(steps) == pytest.approx(min(steps)), ticks
    page.unroute_all(behavior="ignoreErrors")  # one may be under way


def test_an_empty_line_says_what_to_do(site: Site, page: Page) -> None:
    heard = Heard.of(page)
    page.goto(site.url)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Nothing has happened yet")
    expect(page.get_by_text("No champion yet: run tidemill train late_ferry")).to_be_visible()
    site.ferry.leave("first", START_MS)
    expect(page.get_by_role("heading", level=1)).to_contain_text("All is well", timeout=REFRESHED_MS)
    assert heard.complaints == []


def test_only_the_parts_that_changed_are_asked_for(site: Site, page: Page) -> None:
    site.ferry.leave("first", START_MS)
    page.goto(site.url)
    expect(page.locator("#stream")).to_have_text("live")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/ui/")[2]))
    site.ferry.workspace.alerts.raise_alert(Alert("a", "late_ferry", "critical", "Errors rose", "20.1% were wrong", "", START_MS))
    expect(page.locator("#alerts")).to_contain_text("Errors rose", timeout=REFRESHED_MS)
    expect(page.locator(".lights")).to_contain_text("Errors rose", timeout=REFRESHED_MS)
    assert {"parts/alerts", "parts/glance"} <= set(asked)
    assert not {"parts/models", "parts/drift", "parts/decisions", "parts/features", "overview"} & set(asked)


def test_a_page_whose_stream_breaks_says_so_and_is_live_again(site: Site, page: Page) -> None:
    page.goto(site.url)
    word = page.locator("#stream")
    expect(word).to_have_text("live")
    site.server.stop()
    expect(word).to_have_text("reconnecting")
    site.ferry.leave("first", START_MS)
    site.serve(port=int(site.url.rstrip("/").rpartition(":")[2]))
    expect(word).to_have_text("live")
    expect(page.locator("#stream-departures [data-label=Received]")).to_have_text("1", timeout=REFRESHED_MS)
    expect(page.locator("#connection")).to_be_hidden()


@pytest.mark.parametrize("script", ["vendor/hx-sse.min.js", "app.js"])
def test_a_script_that_comes_late_keeps_the_page_from_nothing(site: Site, page: Page, script: str) -> None:
    def late(route: Route) -> None:
        time.sleep(1.0)
        route.continue_()

    page.route(f"**/{script}*", late)
    page.goto(site.url)
    expect(page.locator("#stream")).to_have_text("live", timeout=10_000)


def test_without_a_stream_everything_is_asked_for_now_and_then(site: Site, page: Page) -> None:
    page.clock.install()
    site.changes.end()  # as a server does that is about to end: it takes no more streams
    page.goto(site.url)
    expect(page.locator("#stream")).to_have_text("reconnecting")
    site.ferry.leave("first", START_MS)
    page.clock.fast_forward(31_000)
    expect(page.locator("#stream-departures [data-label=Received]")).to_have_text("1", timeout=REFRESHED_MS)


def test_a_view_shows_its_features_now_beside_what_was_learnt_from(site: Site, page: Page) -> None:
    fill(site.ferry)
    heard = Heard.of(page)
    page.goto(site.url)
    section = page.get_by_role("region", name="Features")
    section.locator("summary").filter(has_text="ports").click()
    figure = page.locator("#shape-ports-mean_delay_3h-late_ferry")
    expect(figure.get_by_role("img")).to_be_visible()
    expect(figure).to_contain_text("in the reference")
    assert heard.complaints == []


def test_a_failing_store_keeps_the_last_good_state_and_says_so(site: Site, page: Page) -> None:
    site.ferry.leave("first", START_MS)
    page.goto(site.url)
    site.broken = True
    banner = page.locator("#connection")
    expect(banner).to_contain_text("The server cannot read its stores (OSError: unable to open the database file)", timeout=REFRESHED_MS)
    expect(page.locator("#stream-departures [data-label=Received]")).to_have_text("1")
    site.broken = False
    expect(banner).to_be_hidden(timeout=REFRESHED_MS)


def test_a_page_opened_while_the_store_fails_heals_itself(site: Site, page: Page) -> None:
    site.broken = True
    page.goto(site.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("The stores cannot be read right now")
    expect(page.locator("code").first).to_contain_text("OSError: unable to open the database file")
    site.broken = False
    expect(page.get_by_role("heading", level=1)).to_contain_text("Nothing has happened yet", timeout=REFRESHED_MS)


def test_a_server_that_is_gone_is_said(tmp_path: Path, page: Page) -> None:
    site = Site.open(tmp_path)
    page.goto(site.url)
    site.close()
    expect(page.locator("#connection")).to_contain_text("The server does not answer", timeout=REFRESHED_MS)


def test_the_keyboard_reaches_the_sections(site: Site, page: Page) -> None:
    page.goto(site.url)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the overview")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator(".lights a").first).to_be_focused()


def test_what_a_version_is_now_stands_together_on_a_phone(full: Site, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(full.url)
    chips = page.locator("#version-late_ferry-1 .chip")
    expect(chips).to_have_text(["previous", "frozen"])
    left, right = chips.nth(0).bounding_box(), chips.nth(1).bounding_box()
    assert left is not None and right is not None
    assert 0 < right["x"] - left["x"] - left["width"] < 12


@pytest.mark.parametrize("width", [660, 720, 900, 1050])
def test_no_cell_of_a_card_runs_into_the_next(full: Site, page: Page, width: int) -> None:
    """A tablet, and paper: below 66rem the rows of wide tables are cards, and a time with its zone was wider than its column."""
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(full.url)
    expect(page.locator("#version-late_ferry-1")).to_be_visible()
    cells = (
        "[...document.querySelectorAll('.stack td')].filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.innerText)"
    )
    assert page.evaluate(cells) == []
