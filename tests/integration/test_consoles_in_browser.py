"""MLflow's and Prefect's pages behind the login as a person sees them, and what a script on them cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, Page, Response, expect

from tests.behind_login import BehindLogin, behind_login
from tests.browser.chromium import PATIENCE_MS, launched
from tests.browser.site import Heard
from tidemill.serving.console_scopes import CONSOLES

REPORT = (
    "<html><body><p id='said'></p><script>document.getElementById('said').textContent = 'the report ' + (40 + 2)</script></body></html>"
)
_KNOWN = (
    "mlflow/assistant/",
    "mlflow/users/current",
)  # asked for by every page of MLflow; closed to all but its own machine, and not there


@dataclass
class Site:
    """The server, what leads to a run of MLflow, and a key."""

    behind: BehindLogin
    run: str
    key: str


@dataclass
class Looking:
    """A page of somebody signed in, and what it asked and said."""

    page: Page
    heard: Heard
    refused: list[str] = field(default_factory=list)

    def note(self, answer: Response) -> None:
        """Keep what was refused of the consoles."""
        if answer.status >= 400 and any(one in answer.url for one in CONSOLES) and not any(known in answer.url for known in _KNOWN):
            self.refused.append(f"{answer.status} {answer.request.method} {answer.url}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One of its own, ended with this module: while one runs, no other test of the process can run an event loop."""
    with launched() as chromium:
        yield chromium


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str, prefect_api_url: str) -> Iterator[Site]:
    client = MlflowClient(mlflow_uri)
    experiment = client.create_experiment("looked at")
    run = client.create_run(experiment).info.run_id
    client.log_text(run, REPORT, "report.html")
    with behind_login(tmp_path_factory.mktemp("looking"), mlflow_uri, prefect_api_url) as behind:
        yield Site(behind, f"experiments/{experiment}/runs/{run}", behind.key("ann", "read", "operate"))


@pytest.fixture
def looking(browser: Browser, site: Site) -> Iterator[Looking]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    sign_in(page, site.behind.url, site.key)
    expect(page.get_by_role("link", name="MLflow", exact=True)).to_be_visible()
    looking = Looking(page, Heard.of(page))
    page.on("response", looking.note)
    yield looking
    context.close()


def sign_in(page: Page, url: str, key: str) -> None:
    """Go to a page and be led to the door first."""
    page.goto(url)
    expect(page).to_have_title("Sign in · tidemill")
    page.get_by_label("API key").fill(key)
    page.keyboard.press("Enter")


def complaints(looking: Looking) -> list[str]:
    """What the browser complained of, but for answers that `refused` tells of."""
    return [said for said in looking.heard.complaints if "Failed to load resource" not in said]


def test_mlflow_is_looked_at_through_the_server(looking: Looking, site: Site) -> None:
    page = looking.page
    page.get_by_role("link", name="MLflow", exact=True).click()
    expect(page.get_by_text("Recent Experiments")).to_be_visible()
    expect(page.get_by_role("link", name="looked at")).to_be_visible()
    page.goto(f"{site.behind.url}/mlflow/#/{site.run}/artifacts/report.html")
    frame = page.frame_locator("iframe").first
    expect(frame.get_by_text("the report 42")).to_be_visible()
    assert looking.refused == []
    assert {host for host in looking.heard.hosts if not host.startswith(("blob:", "data:"))} == {"127.0.0.1"}
    assert complaints(looking) == []


def test_whoever_signs_in_on_the_way_to_a_report_comes_to_it(browser: Browser, site: Site) -> None:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    sign_in(page, f"{site.behind.url}/mlflow/#/{site.run}/artifacts/report.html", site.key)
    expect(page.frame_locator("iframe").first.get_by_text("the report 42")).to_be_visible()
    context.close()


def test_prefect_is_looked_at_through_the_server(looking: Looking, site: Site) -> None:
    page = looking.page
    page.get_by_role("link", name="Prefect", exact=True).click()
    expect(page.get_by_role("link", name="Deployments")).to_be_visible()
    expect(page.get_by_text("Dashboard").first).to_be_visible()
    for path, words in (("/v2/events", "Event Feed"), ("/runs", "Runs")):
        page.goto(f"{site.behind.url}/prefect{path}")
        expect(page.get_by_text(words).first).to_be_visible()
    assert looking.refused == []
    # its page asks a host of its maker's whatever it is told; the policy does not let it
    assert [said for said in complaints(looking) if "amplitude.com" not in said] == []


def test_a_script_on_such_a_page_does_nothing_in_our_name(looking: Looking, site: Site) -> None:
    page = looking.page
    page.goto(f"{site.behind.url}/mlflow/")
    expect(page.get_by_text("Recent Experiments")).to_be_visible()
    asked = "address => fetch(address).then(answer => answer.status, () => 'stopped')"
    assert page.evaluate(asked, "/mlflow/version") == 200
    assert page.evaluate(asked, "/ui/overview") == "stopped"
    assert page.evaluate(asked, "/prefect/api/health") == "stopped"
    with page.context.expect_page() as opened:
        page.evaluate("() => { window.opened = window.open('/') }")
    expect(opened.value.get_by_role("link", name="MLflow", exact=True)).to_be_visible()
    assert page.evaluate("() => window.opened.closed"), "our page is cut off from what opened it"
    frame = "() => new Promise(done => { const one = document.createElement('iframe'); one.onload = () => done(one.contentDocument);"
    assert page.evaluate(f"{frame} one.src = '/'; document.body.append(one); }})") is None, "nor is it shown in a frame"
