"""What a person sees of keys: the page asks for one, takes it, and gives way once they sign out or it is revoked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.site import Heard, Server
from tests.browser.test_barriers import GROUND, SIZES, barriers, check
from tests.unit.ui.ferry import Ferry
from tidemill.clock import wall_ms
from tidemill.registry import Registry
from tidemill.serving import Champions, Keyring, create_app
from tidemill.settings import Settings
from tidemill.stores import ApiKey
from tidemill.stores.api_key import hash_of, new_text, prefix_of
from tidemill.ui import OverviewReader, Shown, alert_router, login_router, page_router, watch_page

# What Swagger UI's own file does not do, by the rules of axe-core: nothing else may be found, and what is found no more is taken off.
SWAGGER_UI = {"color-contrast", "heading-order", "nested-interactive", "select-name"}


@dataclass
class Site:
    """The whole application, keys asked for, and one that opens the page."""

    ferry: Ferry
    url: str
    key: str


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    ferry, key = Ferry.open(tmp_path), new_text()
    workspace = ferry.workspace
    made = ApiKey(prefix_of(key) or "", "ann", ("operate", "read"), workspace.project.name, "test", wall_ms())
    workspace.keys.add(made, hash_of(key))
    reader, keyring = OverviewReader(workspace, Settings()), Keyring(workspace.keys)
    shown = Shown()
    changes = watch_page(workspace, reader, shown)
    pages = page_router(reader.read, changes, shown)
    pages.include_router(alert_router(workspace, reader.forget))
    pages.include_router(login_router(keyring))
    champions = Champions(workspace, Registry("http://127.0.0.1:9", tmp_path), "test")
    app = create_app(workspace, Settings(), champions, pages, keyring)
    server = Server.of(app, changes.end)  # without a lifespan, so that nothing asks the registry
    yield Site(ferry, server.url, key)
    server.stop()
    ferry.close()


def test_what_can_be_asked_is_shown_by_this_server_alone(site: Site, page: Page) -> None:
    heard = Heard.of(page)
    page.goto(f"{site.url}ui/login?to=/docs")
    page.get_by_label("API key").fill(site.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_title("API · tidemill")
    page.get_by_text("Predict: one request object, or an array of them").first.click()
    expect(page.get_by_text("One request object is answered by one object").first).to_be_visible()
    assert {found.partition(":")[0] for found in barriers(page)} == SWAGGER_UI
    assert heard.hosts <= {"127.0.0.1", ""}, "its scripts are ours: whatever they do, the person who signed in does"
    assert heard.complaints == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("colours", GROUND)
def test_nobody_is_kept_out_at_the_door(site: Site, page: Page, size: str, colours: Literal["light", "dark"]) -> None:
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=colours)
    page.goto(site.url)
    expect(page).to_have_title("Sign in · tidemill")
    check(page, size)
    page.get_by_label("API key").fill("tm_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("No such key stands")
    check(page, size)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == GROUND[colours]


def test_a_person_signs_in_and_out(site: Site, page: Page) -> None:
    heard = Heard.of(page)
    page.goto(site.url)
    expect(page).to_have_title("Sign in · tidemill")
    page.get_by_label("API key").fill("tm_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("No such key stands")
    page.get_by_label("API key").fill(site.key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Alerts")).to_be_visible()
    expect(page.locator(".signed")).to_contain_text("ann")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · tidemill")
    page.goto(site.url)
    expect(page).to_have_title("Sign in · tidemill")
    assert heard.hosts == {"127.0.0.1"}
    assert [said for said in heard.complaints if "status of 403" not in said] == [], "but for the answer to a wrong key, of which it tells"


def test_a_link_from_elsewhere_comes_in_and_a_form_from_elsewhere_does_not(site: Site, page: Page) -> None:
    page.goto(site.url)
    page.get_by_label("API key").fill(site.key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("region", name="Alerts")).to_be_visible()
    page.goto(f"data:text/html,<a href='{site.url}'>a mail</a><form method='post' action='{site.url}ui/logout'><button>out</button></form>")
    page.get_by_role("button", name="out").click()
    expect(page.get_by_text("error")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="a mail").click()
    expect(page.get_by_role("region", name="Alerts")).to_be_visible()


def test_pages_that_are_open_when_their_key_is_revoked_ask_for_another(site: Site, page: Page) -> None:
    page.goto(site.url)
    page.get_by_label("API key").fill(site.key)
    page.get_by_role("button", name="Sign in").click()
    pages = [page, page.context.new_page(), page.context.new_page()]
    for each in pages:
        each.goto(site.url)
        expect(each.get_by_role("region", name="Alerts")).to_be_visible()
        expect(each.locator("#stream")).to_have_text("live")
    site.ferry.workspace.keys.revoke("ann", "test", wall_ms())
    for each in pages:
        expect(each).to_have_title("Sign in · tidemill")
