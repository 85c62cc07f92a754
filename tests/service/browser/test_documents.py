"""The documentation pages in a real browser: no other host, nothing refused, a silent console."""

import re

import pytest
from playwright.sync_api import expect

from gradient_service.http.problem_types import PROBLEM_TYPES

from .conftest import CLEAN, Visit

pytestmark = pytest.mark.full

NARROW = 360
PAPER = """() => [document.body, document.documentElement].map((each) => getComputedStyle(each).backgroundColor)
  .find((colour) => colour !== "rgba(0, 0, 0, 0)") ?? "rgb(255, 255, 255)"
"""
PAGES = ["/", "/problems", "/problems/invalid-distribution", "/problems/output-too-large", "/problems/uri-too-long"]


def test_docs_run_a_call(visit: Visit, origin: str) -> None:
    """Swagger UI sends an operation's first example, shows the answer, and needs nothing from elsewhere."""
    visit.page.goto(f"{origin}/docs")
    visit.page.locator("[id^=operations-][id$=-softmax] .opblock-summary-control").click()
    visit.page.locator(".execute").click()
    status = visit.page.locator(".live-responses-table tbody .response-col_status").first
    status.wait_for()
    assert status.inner_text().startswith("200")
    assert visit.outcome(origin) == CLEAN


def test_docs_show_formulas_and_code(visit: Visit, origin: str) -> None:
    """Swagger UI shows a call's formulas without emphasis in them, and the program beside its example."""
    visit.page.goto(f"{origin}/docs")
    operation = visit.page.locator("[id^=operations-][id$=-gradient]")
    operation.locator(".opblock-summary-control").click()
    expect(operation).to_contain_text("∂E/∂sᵢ = Σⱼ (∂E/∂pⱼ)(∂pⱼ/∂sᵢ)")
    expect(operation.locator(".opblock-description em")).to_have_count(0)
    expect(operation.get_by_text("result = client.gradient([[1, 2, 3]], labels=[2]")).to_be_visible()
    assert visit.outcome(origin) == CLEAN


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_samples_name_the_service_that_shows_them(visit: Visit, origin: str, path: str) -> None:
    """Code to copy calls this very address, and no port that `make run` would have."""
    visit.page.goto(f"{origin}{path}")
    if path == "/docs":
        visit.page.locator("[id^=operations-][id$=-gradient] .opblock-summary-control").click()
    expect(visit.page.get_by_text(f'GradientClient("{origin}")').first).to_be_attached()
    assert "127.0.0.1:8000" not in visit.page.locator("body").inner_text()
    assert visit.outcome(origin) == CLEAN


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_documents_are_dark_for_whom_likes_that(visit: Visit, origin: str, path: str) -> None:
    """Paper is lighter than ink, and darker where the reader's system is dark."""
    is_lighter = {}
    for scheme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=scheme)
        visit.page.goto(f"{origin}{path}")
        heading = visit.page.get_by_role("heading", level=1).first
        expect(heading).to_be_visible()
        ink = heading.evaluate("heading => getComputedStyle(heading).color")
        is_lighter[scheme] = brightness(visit.page.evaluate(PAPER)) > brightness(ink)
    assert is_lighter == {"light": True, "dark": False}
    assert visit.outcome(origin) == CLEAN


def brightness(colour: str) -> int:
    """The sum of red, green and blue."""
    return sum(map(int, re.findall(r"\d+", colour)[:3]))


def test_reference_finds_an_operation(visit: Visit, origin: str) -> None:
    """ReDoc draws the document, its search finds an operation, and it needs nothing from elsewhere."""
    visit.page.goto(f"{origin}/redoc")
    visit.page.get_by_placeholder("Search...").fill("gradient")
    results = visit.page.locator("[data-role='search:results']")
    results.wait_for()
    assert "post" in results.inner_text().lower()
    assert visit.outcome(origin) == CLEAN


@pytest.mark.parametrize("path", PAGES)
def test_own_pages_are_clean(visit: Visit, origin: str, path: str) -> None:
    """The entrance, the index of problems and their pages ask no other host, and meet no policy."""
    visit.page.goto(f"{origin}{path}")
    expect(visit.page.get_by_role("heading", level=1)).to_be_visible()
    assert visit.outcome(origin) == CLEAN


def test_problems_are_found_by_keyboard(visit: Visit, origin: str) -> None:
    """From the top of the index Tab and Enter lead to the list, to the first problem, and to its remedy."""
    page = visit.page
    page.goto(f"{origin}/problems")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    for key in ("Enter", "Tab", "Enter"):
        page.keyboard.press(key)
    expect(page).to_have_url(f"{origin}/problems/{next(iter(PROBLEM_TYPES))}")
    for key in ("Tab", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_role("heading", name="What to do")).to_be_in_viewport()
    assert visit.outcome(origin) == CLEAN


def test_a_refusal_leads_to_its_page(visit: Visit, origin: str) -> None:
    """The type of a problem on the explorable page is a link to what explains it."""
    visit.page.goto(f"{origin}/explore")
    visit.page.get_by_role("button", name="label out of range").click()
    visit.page.get_by_role("link", name="/problems/label-out-of-range").click()
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Label out of range")


def test_every_problem_page_fits_a_telephone(visit: Visit, origin: str) -> None:
    """No page of a problem is wider than the narrowest screen; what is long in it wraps."""
    visit.page.set_viewport_size({"width": NARROW, "height": 800})
    widths = {}
    for slug in PROBLEM_TYPES:
        visit.page.goto(f"{origin}/problems/{slug}")
        widths[slug] = visit.page.evaluate("document.documentElement.scrollWidth")
    assert {slug: width for slug, width in widths.items() if width > NARROW} == {}
