"""The calls of the explorable page: others can repeat them, and what hinders them is said in plain words."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect
from pydantic import SecretStr

from gradient_service.settings import Settings

from .conftest import Visit, serving
from .explorer import agrees, answer, open_page, settle

pytestmark = pytest.mark.full

OVERLOADED = {"type": "/problems/overloaded", "title": "Overloaded", "status": 503, "detail": "Later.", "errors": []}

# Whether a field that is scrolled to, at the top of the window, has nothing before it.
IS_IN_SIGHT = """(field) => {
  field.scrollIntoView({ behavior: "instant", block: "start" });
  const { left, top, width, height } = field.getBoundingClientRect();
  return document.elementFromPoint(left + width / 2, top + height / 2) === field;
}"""


def shown(page: Page, name: str) -> list[str]:
    """The texts of one kind that the calls of the page show."""
    return page.locator(f".call [data-text={name}]").all_text_contents()


def test_the_curl_lines_repeat_the_calls(visit: Visit, origin: str) -> None:
    """Each curl line, pasted into a shell, prints the reply that the page shows, byte for byte."""
    open_page(visit.page, origin)
    bash = shutil.which("bash") or ""
    for command, reply in zip(shown(visit.page, "curl"), shown(visit.page, "reply"), strict=True):
        silent = command.replace("curl ", "curl --silent --fail ", 1)
        done = subprocess.run([bash, "-c", silent], capture_output=True, text=True, check=True, timeout=30)
        assert done.stdout == reply


def differences(result: Any, reply: dict[str, Any]) -> list[str]:
    """The outputs of the client's result that are not those of a reply, in the reply's dtype."""
    if "verdict" in reply:
        return [] if result.verdict == reply["verdict"] else ["verdict"]
    dtype = reply["applied"]["dtype"]
    outputs = [name for name in reply if name not in {"applied", "summary"}]
    values = {name: np.asarray(getattr(result, name), dtype) for name in outputs}
    return [name for name in outputs if not np.array_equal(values[name], np.asarray(reply[name], dtype))]


@pytest.mark.parametrize("objective", ["softmax_cross_entropy", "sigmoid_binary_cross_entropy"])
def test_the_python_lines_repeat_the_calls(visit: Visit, origin: str, objective: str) -> None:
    """Each program, run as it stands but for its print, has the numbers that the page shows."""
    open_page(visit.page, origin, f"?objective={objective}")
    for program, text in zip(shown(visit.page, "python"), shown(visit.page, "reply"), strict=True):
        names: dict[str, Any] = {}
        exec(program.replace("print(result)", ""), names)  # noqa: S102 - our own page
        assert differences(names["result"], json.loads(text)) == []


def count_calls(visit: Visit) -> int:
    """How many calls the page has sent; not its own files, some of which a browser fetches late."""
    return len([url for url in visit.requested if "/assets/" not in url])


def test_the_last_change_wins(visit: Visit, origin: str) -> None:
    """The answer to an earlier score, coming late, is dropped: the numbers are those of the last one."""
    page = visit.page
    open_page(page, origin)
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if '"logits":[[7,' in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/gradient", hold_the_first)
    score = page.get_by_label("score of class 0 in row 0", exact=True)
    score.fill("7")
    page.wait_for_timeout(400)
    assert held
    score.fill("8")
    settle(page)
    for route in held:
        route.continue_()
    page.wait_for_timeout(400)
    loss = answer(origin, "loss", {"logits": [[8, 2, 3], [0, 0, 0]], "labels": [2, 0], "reduction": "sum"})["loss"]
    assert agrees(page.locator("[data-total]").inner_text(), loss)


def test_typing_asks_once(visit: Visit, origin: str) -> None:
    """A number typed without a pause is one question, not one for each digit."""
    page = visit.page
    open_page(page, origin)
    sent = count_calls(visit)
    page.get_by_label("score of class 0 in row 0", exact=True).evaluate(
        """(input) => ["1", "12", "123", "1234", "12345"].forEach((text) => {
          input.value = text;
          input.dispatchEvent(new Event("input"));
        })"""
    )
    settle(page)
    assert shown(page, "request")[0].startswith('{"logits":[[12345,')
    assert count_calls(visit) - sent <= 13


def test_a_known_answer_is_not_asked_for_again(visit: Visit, origin: str) -> None:
    """What only moves a mark on the page sends nothing: the answers to the same questions are here."""
    page = visit.page
    open_page(page, origin)
    sent = count_calls(visit)
    page.get_by_label("Step h, as a power of ten").press("ArrowRight")
    expect(page.locator("#finite-differences .said")).to_contain_text("At h = 3.2e−5")
    assert count_calls(visit) == sent


def test_a_refused_view_says_why_and_shows_no_old_numbers(visit: Visit, origin: str) -> None:
    """Where a factor of the chain rule is infinite its view tells the refusal, and the others go on."""
    page = visit.page
    open_page(page, origin)
    page.goto(f"{origin}/explore?scores=0,-800&labels=1")
    expect(page.locator("#chain-rule .refusal")).to_contain_text("The service refused this, 422")
    expect(page.locator("#chain-rule .refusal a")).to_have_attribute("href", "problems/number-out-of-range")
    expect(page.locator("#chain-rule .product")).to_be_hidden()
    expect(page.locator("#batch [data-cell='gradient 0 0']")).to_have_text("1.000000")


@pytest.mark.parametrize(
    ("mistake", "slug", "pointer"),
    [
        ("label out of range", "label-out-of-range", "/labels/0"),
        ("a NaN", "malformed-json", "(whole)"),
        ("ragged rows", "ragged", "/logits/1"),
        ("a misspelt field", "unknown-field", "/temprature"),
        ("temperature 0", "out-of-range", "/temperature"),
        ("targets that sum to 0.9", "invalid-distribution", "/targets/0"),
    ],
)
def test_a_mistake_shows_its_problem(visit: Visit, origin: str, mistake: str, slug: str, pointer: str) -> None:
    """Each deliberate mistake is really sent, and its problem is shown with the place that it names."""
    page = visit.page
    open_page(page, origin)
    page.get_by_role("button", name=mistake).click()
    table = page.locator("#refusals table")
    expect(table).to_contain_text(f"/problems/{slug}")
    expect(table.locator("th", has_text=pointer)).to_be_visible()
    assert json.loads(page.locator("#refusals [data-text=reply]").inner_text())["type"] == f"/problems/{slug}"


def test_only_the_last_mistake_is_shown(visit: Visit, origin: str) -> None:
    """A late answer to an earlier mistake is dropped, a proxy's is no problem, and without one nothing old stays."""
    page = visit.page
    open_page(page, origin)
    table = page.locator("#refusals table")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/gradient", hold)
    page.route("**/loss", lambda route: route.fulfill(status=502, body="<html>Bad gateway"))
    with page.expect_request("**/gradient"):
        page.get_by_role("button", name="label out of range").click()
    page.get_by_role("button", name="a misspelt field").click()
    expect(table).to_contain_text("/problems/unknown-field")
    for route in held:
        route.fulfill(status=503, json=OVERLOADED)
    page.get_by_role("button", name="targets that sum to 0.9").click()
    expect(page.locator("#refusals .said")).to_have_text("502 This is no answer of the service. ")
    expect(table).to_contain_text("This is no answer of the service")
    page.route("**/softmax", lambda route: route.abort())
    page.get_by_role("button", name="a NaN").click()
    expect(page.locator("#refusals .said")).to_have_text("The service did not answer.")
    expect(table).to_have_count(0)


def test_a_key_is_asked_for_and_used(visit: Visit) -> None:
    """Where keys were given out the page says so, and covers no field; with a key it has its numbers, and hides it."""
    page = visit.page
    with serving(Settings.model_construct(api_keys=SecretStr("a-secret-key"))) as address:
        page.goto(f"{address}/explore")
        expect(page.get_by_role("alert").first).to_contain_text("This service wants a key.")
        field = page.get_by_label("Key, if the service asks for one")
        page.set_viewport_size({"width": 320, "height": 256})
        assert field.evaluate(IS_IN_SIGHT)
        field.fill("a-secret-key")
        page.keyboard.press("Enter")
        expect(page.locator("[data-total]")).to_have_text("1.506218")
        expect(page.locator("#notice")).to_be_hidden()
        assert '-H "Authorization: Bearer $GRADIENT_API_KEY"' in shown(page, "curl")[0]
        assert "a-secret-key" not in page.url + page.content()
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
        field.fill("another-key")  # of which no answer is known
        field.press("Enter")
        expect(page.locator("#notice")).to_be_visible()


def test_an_unreachable_service_is_said(visit: Visit, origin: str) -> None:
    """Without an answer the page says so and shows no old numbers; the button brings them back."""
    page = visit.page
    open_page(page, origin)
    page.route("**/gradient", lambda route: route.abort())
    page.get_by_label("score of class 0 in row 0", exact=True).fill("5")
    expect(page.locator("#notice")).to_contain_text("The service does not answer.")
    expect(page.locator("[data-total]")).to_be_hidden()
    page.unroute("**/gradient")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("[data-total]")).to_be_visible()


@pytest.mark.parametrize("text", ["<html>Log in", '{"login": true}'])
def test_a_foreign_answer_is_said(visit: Visit, origin: str, text: str) -> None:
    """A 200 that is not the service's is told as such, and asked for again once that is tried."""
    page = visit.page
    page.route("**/gradient", lambda route: route.fulfill(status=200, body=text))
    open_page(page, origin)
    expect(page.locator("#notice")).to_contain_text("Something else answers in place of the service")
    expect(page.locator("#step .refusal")).to_contain_text("This is no answer of the service, 200")
    page.unroute("**/gradient")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("[data-total]")).to_have_text("1.506218")
    expect(page.locator("#notice")).to_be_hidden()


def test_a_busy_service_is_said(visit: Visit, origin: str) -> None:
    """A 503 is told as having no room now, with a way to try again."""
    page = visit.page
    open_page(page, origin)
    page.route("**/loss", lambda route: route.fulfill(status=503, json=OVERLOADED))
    page.get_by_label("score of class 0 in row 0", exact=True).fill("5")
    expect(page.locator("#notice")).to_contain_text("The service has no room for this now (503 Overloaded).")
