"""Chromium as the system has it, cut off from every host but the service, and a record of what a page does."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gradient_service.app import create_app
from gradient_service.settings import Settings

# No background traffic of the browser itself, and no other host; no sandbox, which containers do not allow.
QUIET = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-first-run",
    "--no-sandbox",
]
RECORD_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
CLEAN: tuple[list[str], list[str], list[str]] = ([], [], [])

expect.set_options(timeout=30_000)  # what shall come comes however slow the machine: it draws a page in seconds


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


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Run the real service on a free loopback port until the end of the block, which gets the address."""
    config = uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_level="warning")
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
def origin() -> Iterator[str]:
    """Address of the service with the default settings."""
    with serving(Settings.model_construct()) as address:
        yield address


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
