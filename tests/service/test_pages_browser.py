"""The documentation pages in a real browser: no other host, nothing refused, a silent console."""

import shutil
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from gradient_service.app import create_app
from gradient_service.settings import Settings

pytestmark = pytest.mark.full

# No background traffic of the browser itself; no sandbox, which containers do not allow.
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
]
RECORD_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


class Visit:
    """One page, with everything it asked for and everything it complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requested: list[str] = []
        self.complaints: list[str] = []
        page.add_init_script(RECORD_VIOLATIONS)
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def outcome(self, origin: str) -> tuple[list[str], list[str], list[str]]:
        """Addresses of other hosts, console messages, and violations of the policy."""
        own = (f"{origin}/", f"blob:{origin}/", "data:")
        foreign = [url for url in self.requested if not url.startswith(own)]
        return foreign, self.complaints, self.page.evaluate("window.violations")


CLEAN: tuple[list[str], list[str], list[str]] = ([], [], [])


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """Address of the real service on a free loopback port."""
    config = uvicorn.Config(create_app(Settings()), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the system has it."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.fail("the browser tests need chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=chromium, args=QUIET)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Open a fresh page that keeps a record."""
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    yield Visit(page)
    page.close()


def test_docs_run_a_call(visit: Visit, origin: str) -> None:
    """Swagger UI sends an operation's first example, shows the answer, and needs nothing from elsewhere."""
    visit.page.goto(f"{origin}/docs")
    visit.page.locator("[id^=operations-][id$=-softmax] .opblock-summary-control").click()
    visit.page.locator(".execute").click()
    status = visit.page.locator(".live-responses-table tbody .response-col_status").first
    status.wait_for()
    assert status.inner_text().startswith("200")
    assert visit.outcome(origin) == CLEAN


def test_reference_finds_an_operation(visit: Visit, origin: str) -> None:
    """ReDoc draws the document, its search finds an operation, and it needs nothing from elsewhere."""
    visit.page.goto(f"{origin}/redoc")
    visit.page.get_by_placeholder("Search...").fill("gradient")
    results = visit.page.locator("[data-role='search:results']")
    results.wait_for()
    assert "post" in results.inner_text().lower()
    assert visit.outcome(origin) == CLEAN
