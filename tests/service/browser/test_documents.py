"""The documentation pages in a real browser: no other host, nothing refused, a silent console."""

import pytest

from .conftest import CLEAN, Visit

pytestmark = pytest.mark.full


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
