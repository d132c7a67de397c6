"""What a person does about a model, as they see it: a fold, what will happen, a tick, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Page, expect

from tests.browser.site import Heard, Site
from tests.unit.ui.ferry import START_MS
from tests.unit.ui.file_registry import NAME, file_registry
from tidemill.clock import HOUR_MS, wall_ms
from tidemill.drift import ColumnChange, Heat
from tidemill.registry import Registry


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    with file_registry(tmp_path) as made:
        yield made


@pytest.fixture
def site(tmp_path: Path, registry: Registry) -> Iterator[Site]:
    made = Site.open(tmp_path, registry)
    made.ferry.sail(2)
    yield made
    made.close()


def test_a_person_freezes_goes_back_and_asks_for_a_retrain(site: Site, registry: Registry, page: Page) -> None:
    heard = Heard.of(page)
    page.goto(site.url)
    fold = page.get_by_text("Retrain, try, promote, roll back or freeze")
    fold.click()
    freeze = page.get_by_role("form", name="Freeze late_ferry")
    freeze.get_by_label("because").fill("strike")
    freeze.get_by_label("Your name").fill("ann")
    freeze.get_by_role("button", name="Freeze").click()
    expect(freeze.locator("input:invalid")).to_have_attribute("name", "sure")
    assert site.ferry.workspace.decisions.frozen("late_ferry") is None, "not without the tick"
    freeze.get_by_role("checkbox", name="nothing retrains it from now on").check()
    freeze.get_by_role("button", name="Freeze").click()
    expect(page.get_by_text("Retraining is frozen by ann: strike")).to_be_visible()

    fold.click()
    back = page.get_by_role("form", name="Roll back late_ferry")
    back.get_by_label("Your name").fill("ann")
    back.get_by_role("button").click()
    assert registry.alias(NAME, "champion") == 2, "not without the tick"
    back.get_by_role("checkbox", name="version 1 answers from now on").check()
    site.ferry.leave("another", site.ferry.workspace.now_ms())
    expect(page.locator("#stream-departures [data-label=Received]")).to_have_text("49")
    expect(back.get_by_role("checkbox")).to_be_checked()
    back.get_by_role("button").click()
    done = page.locator(".timeline > li:target")
    expect(done).to_contain_text("rolled back")
    expect(done).to_contain_text("v2 → v1")
    expect(done).to_be_in_viewport()
    assert registry.alias(NAME, "champion") == 1

    fold.click()
    retrain = page.get_by_role("form", name="Retrain late_ferry")
    retrain.get_by_label("because").fill("a new timetable")
    retrain.get_by_label("Your name").fill("ann")
    retrain.get_by_role("button", name="Retrain").click()
    expect(retrain.locator("input:invalid")).to_have_attribute("name", "sure")
    assert {decision.act for decision in site.ferry.workspace.decisions.recent()} == {"rollback"}, "not without the tick"
    retrain.get_by_role("checkbox", name="a challenger is fitted now").check()
    retrain.get_by_role("button", name="Retrain").click()
    expect(page.locator(".timeline > li:target")).to_contain_text("asked for")
    expect(page.locator(".timeline > li:target")).to_contain_text("a new timetable")
    assert heard.complaints == []


def test_a_person_unfreezes_what_was_frozen(site: Site, page: Page) -> None:
    site.ferry.workspace.decisions.freeze("late_ferry", "ann", "strike", wall_ms())
    heard = Heard.of(page)
    page.goto(site.url)
    frozen = page.get_by_text("Retraining is frozen by ann: strike")
    expect(frozen).to_be_visible()
    fold = page.get_by_text("Retrain, try, promote, roll back or freeze")
    fold.click()
    unfreeze = page.get_by_role("form", name="Unfreeze late_ferry")
    unfreeze.get_by_label("Your name").fill("bob")
    unfreeze.get_by_role("button", name="Unfreeze").click()
    expect(unfreeze.locator("input:invalid")).to_have_attribute("name", "sure")
    assert site.ferry.workspace.decisions.frozen("late_ferry"), "not without the tick"
    unfreeze.get_by_role("checkbox", name="alarms and schedules may retrain it from now on").check()
    unfreeze.get_by_role("button", name="Unfreeze").click()
    expect(page.locator("#model-late_ferry-title")).to_be_in_viewport()
    expect(frozen).to_have_count(0)
    fold.click()
    expect(page.get_by_role("form", name="Freeze late_ferry")).to_be_visible()
    assert site.ferry.workspace.decisions.frozen("late_ferry") is None
    assert heard.complaints == []


def test_a_person_promotes_a_version_that_they_chose(site: Site, registry: Registry, page: Page) -> None:
    heard = Heard.of(page)
    page.goto(site.url)
    fold = page.get_by_text("Retrain, try, promote, roll back or freeze")
    fold.click()
    promote = page.get_by_role("form", name="Promote a version of late_ferry")
    promote.get_by_role("combobox").select_option("1")
    promote.get_by_label("Your name").fill("ann")
    promote.get_by_role("button", name="Promote").click()
    expect(promote.locator("input:invalid")).to_have_attribute("name", "sure")
    assert registry.alias(NAME, "champion") == 2, "not without the tick"
    promote.get_by_role("checkbox", name="it answers from now on").check()
    promote.get_by_role("button", name="Promote").click()
    done = page.locator(".timeline > li:target")
    expect(done).to_contain_text("promoted")
    expect(done).to_contain_text("v2 → v1")
    expect(done).to_be_in_viewport()
    assert (registry.alias(NAME, "champion"), registry.alias(NAME, "previous")) == (1, 2)
    assert heard.complaints == []


def test_a_person_tries_a_version_and_ends_the_trial(site: Site, registry: Registry, page: Page) -> None:
    heard = Heard.of(page)
    page.goto(site.url)
    fold = page.get_by_text("Retrain, try, promote, roll back or freeze")
    fold.click()
    shadow = page.get_by_role("form", name="Try a version of late_ferry as shadow")
    shadow.get_by_label("Your name").fill("ann")
    shadow.get_by_role("button", name="Try as shadow").click()
    expect(shadow.locator("input:invalid")).to_have_attribute("name", "sure")
    assert "shadow" not in registry.named(NAME).versions, "not without the tick"
    shadow.get_by_role("checkbox", name="it scores every question from now on").check()
    shadow.get_by_role("button", name="Try as shadow").click()
    expect(page.get_by_role("heading", name="Version 1 is tried as shadow")).to_be_visible()
    expect(page.get_by_role("heading", name="Versions", exact=True)).to_be_in_viewport()

    fold.click()
    canary = page.get_by_role("form", name="Try a version of late_ferry as canary")
    canary.get_by_label("answers").first.fill("12.5")
    canary.get_by_label("Your name").fill("ann")
    canary.get_by_role("button").click()
    assert "canary" not in registry.named(NAME).versions, "not without the tick"
    canary.get_by_role("checkbox", name="it answers them from now on").check()
    canary.get_by_role("button").click()
    expect(page.get_by_role("heading", name="Version 1 is tried as canary of 12.5 % of the keys")).to_be_visible()
    assert registry.named(NAME).canary_percent == 12.5

    fold.click()
    end = page.get_by_role("form", name="End what is tried of late_ferry")
    end.get_by_label("Your name").fill("ann")
    end.get_by_role("button", name="End both").click()
    expect(end.locator("input:invalid")).to_have_attribute("name", "sure")
    assert {"shadow", "canary"} <= registry.named(NAME).versions.keys(), "not without the tick"
    end.get_by_role("checkbox", name="version 1 as shadow and version 1 as canary score no more").check()
    end.get_by_role("button", name="End both").click()
    expect(page.get_by_role("heading", name="is tried as")).to_have_count(0)
    assert not {"shadow", "canary"} & registry.named(NAME).versions.keys()
    assert heard.complaints == []


def test_what_a_person_has_chosen_is_not_changed_under_their_hands(site: Site, registry: Registry, tmp_path: Path, page: Page) -> None:
    client = MlflowClient(f"file:{tmp_path / 'mlflow'}", f"file:{tmp_path / 'mlflow'}")

    def challenge(version: int) -> None:
        client.create_model_version(NAME, f"{tmp_path}/models/{NAME}/{version}")
        registry.set_alias(NAME, "challenger", version)
        shown()

    def shown() -> None:
        registry.named(NAME)  # as the server does each second
        site.ferry.leave(f"more{site.ferry.workspace.now_ms()}", site.ferry.workspace.now_ms())

    challenge(3)
    page.goto(site.url)
    page.get_by_text("Retrain, try, promote, roll back or freeze").click()
    promote, back = (page.get_by_role("form", name=name) for name in ("Promote a version of late_ferry", "Roll back late_ferry"))
    choice, tick = promote.get_by_role("combobox"), promote.get_by_role("checkbox")
    expect(choice.locator("option")).to_have_count(2)
    for chosen in ("1", "3"):
        choice.select_option(chosen)
        tick.check()
        registry.set_alias(NAME, "shadow", 3)
        challenge(4 if chosen == "1" else 5)
        expect(choice.locator(f"option[value='{4 if chosen == '1' else 5}']")).to_have_count(1)
        expect(choice).to_have_value(chosen)
        expect(tick).to_be_checked()
    back.get_by_role("checkbox").check()
    registry.promote(NAME, 3)  # which somebody else does
    shown()
    expect(back.get_by_role("checkbox", name="version 2 answers from now on")).not_to_be_checked()
    expect(tick).not_to_be_checked()


def test_a_form_that_was_sent_reads_as_before_for_whoever_goes_back(site: Site, page: Page) -> None:
    page.goto(site.url)
    page.get_by_text("Retrain, try, promote, roll back or freeze").click()
    form = page.get_by_role("form", name="Freeze late_ferry")
    button = form.get_by_role("button")
    label = button.text_content()
    form.evaluate("form => form.addEventListener('submit', (event) => event.preventDefault())")
    form.evaluate("form => form.dispatchEvent(new SubmitEvent('submit', {bubbles: true, cancelable: true}))")
    assert (button.text_content(), form.get_attribute("aria-busy")) == ("Working…", "true")
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    assert (button.text_content(), form.get_attribute("aria-busy")) == (label, None)


def test_how_to_ask_is_copied(site: Site, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    heard = Heard.of(page)
    page.goto(site.url)
    page.get_by_text("Ask it from a shell or from Python").click()
    for called, text in (("Shell", "/v1/models/late_ferry/predict"), ("Python", 'client.predict("late_ferry"')):
        page.get_by_role("button", name=f"Copy the lines for {called}").click()
        expect(page.get_by_role("button", name=f"Copied the lines for {called}")).to_be_visible()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert text in copied and all(f'"{name}"' in copied for name in ("trip", "port"))
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject() }")  # as on a page that is not by https
    page.get_by_role("button", name="the lines for Shell").click()
    expect(page.get_by_role("button", name="Selected the lines for Shell")).to_be_visible()
    assert page.evaluate("getSelection().toString()").startswith("curl -s")
    assert heard.complaints == []


def test_a_column_is_opened_for_its_distributions_and_stays_open(site: Site, page: Page) -> None:
    site.ferry.watch()
    heard = Heard.of(page)
    page.goto(site.url)
    row = page.locator("#heat-late_ferry-wind")
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(row.locator(".shape svg")).to_be_visible()
    expect(row).to_contain_text("in the reference")
    before = row.locator(".change").count()
    monitors = site.ferry.workspace.monitors
    cursor, state = monitors.load("windows:late_ferry")
    assert state is not None
    heat = Heat.from_state(state["heat"])
    heat.take(START_MS + 401 * HOUR_MS, {"wind": 2.0})
    heat.warn([ColumnChange("wind", START_MS + 400 * HOUR_MS, START_MS + 401 * HOUR_MS)])
    monitors.save("windows:late_ferry", cursor, cursor + 1, {**state, "heat": heat.state()})
    expect(row.locator(".change")).to_have_count(before + 1)
    expect(row.locator(".shape svg")).to_be_visible()
    expect(row.locator("summary")).to_be_focused()
    assert heard.complaints == []
