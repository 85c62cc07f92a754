"""The explorable page in a real browser: its numbers are the service's, whatever is done to it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from .conftest import CLEAN, Visit
from .explorer import agrees, answer, asked_for, disagreements, open_page, settle, texts

pytestmark = pytest.mark.full

STATES = {
    "at first": "",
    "all digits": "?digits=all",
    "four decimals of the mean": "?digits=4&reduction=mean",
    "float32, cool": "?dtype=float32&temperature=0.5&digits=all",
    "sigmoid": "?objective=sigmoid_binary_cross_entropy",
    "textbook": "?objective=softmax_binary_cross_entropy&row=1",
    "confident": "?scores=40,0&labels=0",
    "large": "?scores=1e300,0,1;5,6,7;-1,0.001,2&labels=0,1,2&row=1",
}


def flat(rows: list[list[float]]) -> list[float]:
    """The numbers of rows, one after another."""
    return [value for row in rows for value in row]


def batch_request(page: Page, **fields: Any) -> dict[str, Any]:
    """The request of the first view, with other fields."""
    return asked_for(page, "batch", "gradient") | fields


def shown_loss(page: Page) -> str:
    """The loss of the batch, as the page says it."""
    return page.locator("[data-total]").inner_text()


@pytest.mark.parametrize("query", STATES.values(), ids=STATES)
def test_the_batch_shows_what_the_service_answers(visit: Visit, origin: str, query: str) -> None:
    """Probabilities, losses, gradient and their sum are the service's numbers, to the last digit shown."""
    page = visit.page
    open_page(page, origin, query)
    reply = answer(origin, "gradient", batch_request(page))
    for name in ("probabilities", "gradient"):
        assert disagreements(texts(page.locator(f"[data-cell^={name}]")), flat(reply[name])) == []
    assert disagreements(texts(page.locator("[data-cell^=losses]")), reply["losses"]) == []
    assert agrees(shown_loss(page), reply["loss"])
    right = f"The service counts {reply['summary']['correct_count']} of {len(reply['losses'])} rows as right."
    expect(page.locator("#batch .said")).to_contain_text(right)


@pytest.mark.parametrize("query", STATES.values(), ids=STATES)
def test_a_visit_is_clean(visit: Visit, origin: str, query: str) -> None:
    """No state of the page asks another host, fills the console, or meets its policy."""
    open_page(visit.page, origin, query)
    assert visit.outcome(origin) == CLEAN


def test_the_first_request_is_plain(visit: Visit, origin: str) -> None:
    """What is asked at first is the worked batch, with nothing but what the page shows as chosen."""
    open_page(visit.page, origin)
    assert asked_for(visit.page, "batch", "gradient") == {
        "logits": [[1, 2, 3], [0, 0, 0]],
        "labels": [2, 0],
        "objective": "softmax_cross_entropy",
        "temperature": 1,
        "dtype": "float64",
        "reduction": "sum",
        "include": ["loss", "losses", "probabilities", "gradient", "summary"],
    }


def test_numbers_have_as_many_decimals_as_chosen(visit: Visit, origin: str) -> None:
    """Six decimals at first, and by choice all digits that the reply has."""
    open_page(visit.page, origin)
    assert shown_loss(visit.page) == "1.506218"
    visit.page.get_by_label("Decimals").select_option("all")
    expect(visit.page.locator("[data-total]")).to_have_text(
        str(answer(origin, "gradient", batch_request(visit.page))["loss"])
    )


def test_the_decision_is_marked_where_the_service_has_it(visit: Visit, origin: str) -> None:
    """The one-hot rows are those of /softmax, the first of equal scores included."""
    open_page(visit.page, origin)
    hot = answer(origin, "softmax", {"logits": [[1, 2, 3], [0, 0, 0]], "include": ["one_hot"]})["one_hot"]
    assert texts(visit.page.locator("[data-cell^=one_hot]")) == [str(value) for value in flat(hot)]


def test_an_edited_score_changes_every_number(visit: Visit, origin: str) -> None:
    """After typing a score the numbers are the answer to the new scores, and the address tells them."""
    page = visit.page
    open_page(page, origin)
    page.get_by_label("score of class 0 in row 0", exact=True).fill("2.5")
    reply = answer(origin, "gradient", batch_request(page, logits=[[2.5, 2, 3], [0, 0, 0]]))
    expect(page.locator("[data-cell='probabilities 0 0']")).to_have_text(f"{reply['probabilities'][0][0]:.6f}")
    assert disagreements(texts(page.locator("[data-cell^=gradient]")), flat(reply["gradient"])) == []
    assert page.url == f"{origin}/explore?scores=2.5,2,3;0,0,0"


def test_a_dragged_bar_changes_its_score(visit: Visit, origin: str) -> None:
    """The bar of a score moves by its own keys, and the number beside it follows."""
    open_page(visit.page, origin)
    bar = visit.page.get_by_label("score of class 1 in row 0, as a bar")
    bar.press("ArrowRight")
    expect(visit.page.get_by_label("score of class 1 in row 0", exact=True)).to_have_value("2.1")
    expect(visit.page).to_have_url(f"{origin}/explore?scores=1,2.1,3;0,0,0")


def test_a_number_that_is_none_is_asked_for(visit: Visit, origin: str) -> None:
    """An emptied score is named, no number stands beside other formulas meanwhile, and with a number all go on."""
    page = visit.page
    open_page(page, origin)
    page.get_by_label("score of class 2 in row 1", exact=True).fill("")
    expect(page.locator("#incomplete")).to_have_text("Row 1, class 2 needs a number.")
    page.get_by_label("Objective").select_option("sigmoid + binary sum")
    settle(page)
    numbers = page.locator("#batch .said, [data-total], #chain-rule .product, #shortcut .results")
    assert [number.is_visible() for number in numbers.all()] == [False] * 4
    assert page.url == f"{origin}/explore"
    page.get_by_label("score of class 2 in row 1", exact=True).fill("1")
    expect(page.locator("#incomplete")).to_be_empty()
    expect(page).to_have_url(f"{origin}/explore?scores=1,2,3;0,0,1&objective=sigmoid_binary_cross_entropy")
    settle(page)
    assert [number.is_visible() for number in numbers.all()] == [True] * 4


def test_a_wrong_temperature_is_explained(visit: Visit, origin: str) -> None:
    """A temperature that is none is described by what it needs, and neither mark nor words outlive it."""
    page = visit.page
    open_page(page, origin, "?temperature=2")
    temperature = page.get_by_label("Temperature")
    temperature.fill("0")
    expect(temperature).to_have_accessible_description(
        "The temperature needs a number above 0; T = 2 holds until then."
    )
    expect(temperature).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Reduction").focus()
    page.get_by_label("Reduction").select_option("mean of rows")
    expect(temperature).to_have_value("2")
    expect(temperature).to_have_attribute("aria-invalid", "false")
    expect(page.locator("#incomplete")).to_be_empty()


def test_rows_and_classes_come_and_go(visit: Visit, origin: str) -> None:
    """A row and a class more are in the next request, and the labels fit when they go again."""
    page = visit.page
    open_page(page, origin, "?labels=2,2")
    page.get_by_role("button", name="Add a row").click()
    page.get_by_role("button", name="Add a class").click()
    expect(page).to_have_url(re.compile(r"scores=1,2,3,0;0,0,0,0;0,0,0,0"))
    page.get_by_role("button", name="Remove a class").click()
    page.get_by_role("button", name="Remove a class").click()
    expect(page).to_have_url(re.compile(r"scores=1,2;0,0;0,0&labels=1,1,0"))
    assert visit.outcome(origin) == CLEAN


def test_the_shape_stays_within_its_limits(visit: Visit, origin: str) -> None:
    """However fast a button is pressed, its last row and its sixth class stay, the focus too, and the address holds."""
    page = visit.page
    open_page(page, origin)
    for name, presses in (("Remove a row", 3), ("Add a class", 9)):
        button = page.get_by_role("button", name=name)
        button.focus()
        for _ in range(presses):
            page.keyboard.press("Enter")
        expect(button).to_be_focused()
        expect(button).to_be_disabled()
    expect(page).to_have_url(f"{origin}/explore?scores=1,2,3,0,0,0&labels=2")
    settle(page)
    open_page(page, origin, page.url.partition("/explore")[2])
    assert page.locator("#batch [data-cell^=one_hot]").count() == 6
    assert visit.outcome(origin) == CLEAN


def test_toggles_are_sent(visit: Visit, origin: str) -> None:
    """Objective, reduction, temperature and precision are in the request once they are chosen."""
    page = visit.page
    open_page(page, origin)
    page.get_by_label("Objective").select_option("sigmoid + binary sum")
    page.get_by_label("Reduction").select_option("mean of rows")
    page.get_by_label("Precision").select_option("float32")
    page.get_by_label("Temperature").fill("2")
    expect(page).to_have_url(re.compile("temperature=2"))
    expect(page.locator("#batch [data-text=request]").first).to_contain_text('"temperature":2')
    sent = batch_request(page)
    assert sent["targets"] == [[0, 0, 1], [1, 0, 0]]
    assert (sent["objective"], sent["reduction"], sent["dtype"]) == ("sigmoid_binary_cross_entropy", "mean", "float32")
    expect(page.locator("[data-total]")).to_have_text(f"{answer(origin, 'gradient', sent)['loss']:.6f}")


def test_the_derivation_follows_the_objective(visit: Visit, origin: str) -> None:
    """The formulas beside the numbers are those of the chosen objective."""
    page = visit.page
    open_page(page, origin)
    term = page.locator("#chain-rule [data-objective=softmax_binary_cross_entropy] math").first
    expect(term).to_be_hidden()
    page.get_by_label("Objective").select_option("softmax + binary sum")
    expect(term).to_be_visible()


def test_an_address_brings_the_same_page_back(visit: Visit, origin: str) -> None:
    """Reloading the address of an edited page shows the same inputs and the same numbers."""
    page = visit.page
    open_page(page, origin)
    page.get_by_label("score of class 0 in row 1", exact=True).fill("-1.25")
    page.get_by_label("true class").last.select_option("class 2")
    page.get_by_role("radio", name="row 1").check()
    expect(page).to_have_url(re.compile("row=1"))
    expect(page.locator("#squared-error caption")).to_have_text("Both errors of row 1")
    settle(page)
    before, loss = page.locator("main").inner_text(), shown_loss(page)
    open_page(page, origin, page.url.partition("/explore")[2])
    assert (page.locator("main").inner_text(), shown_loss(page)) == (before, loss)


@pytest.mark.parametrize(
    "query",
    ["?scores=x", "?scores=1,2;3", "?scores=1", "?scores=1e400,1", "?objective=none&row=9&labels=1.5", "?__proto__=1"],
)
def test_a_senseless_address_is_the_first_state(visit: Visit, origin: str, query: str) -> None:
    """What an address tells wrongly is left as it is at first, without complaint."""
    open_page(visit.page, origin, query)
    assert (shown_loss(visit.page), visit.outcome(origin)) == ("1.506218", CLEAN)


def test_an_address_holds_what_the_bars_can(visit: Visit, origin: str) -> None:
    """A number between two places of a bar is the nearer one, and one beyond its end is as at first."""
    page = visit.page
    open_page(page, origin, "?step=-5.3&rate=0.123&offset=1000")
    for name, value, text in (("step", "-5.5", "h = 3.2e−6"), ("rate", "0.1", "η = 0.1"), ("offset", "100", "100")):
        expect(page.locator(f"[data-state={name}]")).to_have_value(value)
        expect(page.locator(f"[data-shows={name}]")).to_have_text(text)


def test_the_keyboard_alone_is_enough(visit: Visit, origin: str) -> None:
    """From the top of the page Tab leads to a score, which can be typed, and the loss follows."""
    page = visit.page
    open_page(page, origin)
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == "score of class 0 in row 0":
            break
    page.keyboard.press("Control+a")
    page.keyboard.type("3")
    reply = answer(origin, "gradient", batch_request(page, logits=[[3, 2, 3], [0, 0, 0]]))
    expect(page.locator("[data-total]")).to_have_text(f"{reply['loss']:.6f}")


def test_everything_to_operate_has_a_name(visit: Visit, origin: str) -> None:
    """Each input, button, grid and link says to a screen reader what it is."""
    open_page(visit.page, origin)
    unnamed = visit.page.locator("main").evaluate(
        """(main) => [...main.querySelectorAll("input, select, button, a, summary")]
          .filter((control) => !(control.labels?.length || control.ariaLabel || control.textContent.trim()))
          .map((control) => control.outerHTML)"""
    )
    tables = visit.page.locator("table").count()
    assert unnamed == []
    assert visit.page.locator("table > caption").count() == tables


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_no_width_scrolls_sideways(visit: Visit, origin: str, width: int, scheme: Any) -> None:
    """At each width the page itself stays within the window, and wide tables scroll in their own box."""
    visit.page.set_viewport_size({"width": width, "height": 900})
    visit.page.emulate_media(color_scheme=scheme)
    open_page(visit.page, origin, "?scores=1,2,3,4,5,6;0,0,0,0,0,0&digits=9")
    assert visit.page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ink", ["--ink", "--quiet", "--accent"])
def test_texts_stand_out(visit: Visit, origin: str, scheme: Any, ink: str) -> None:
    """Each colour of text has a contrast of at least 4.5 to each ground that it stands on."""
    visit.page.emulate_media(color_scheme=scheme)
    open_page(visit.page, origin)
    grounds = ["--paper", "--raised"] + (["--tint"] if ink == "--ink" else [])
    lightest = [contrast(visit.page, ink, ground) for ground in grounds]
    assert min(lightest) >= 4.5


def contrast(page: Page, ink: str, ground: str) -> float:
    """The contrast of two colours of the style sheet, by the formula of WCAG 2."""
    bright, dark = sorted((luminance(page, ink), luminance(page, ground)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(page: Page, name: str) -> float:
    """The relative luminance of a colour of the style sheet."""
    colour = page.evaluate(
        """(name) => {
          const probe = document.body.appendChild(document.createElement("i"));
          probe.style.color = `var(${name})`;
          const { color } = getComputedStyle(probe);
          probe.remove();
          return color;
        }""",
        name,
    )
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return sum(weight * share for weight, share in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
