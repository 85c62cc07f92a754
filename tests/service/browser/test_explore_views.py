"""The views of the explorable page below its batch: each is what the service answers, or says that it is not."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from .conftest import CLEAN, Visit
from .explorer import agrees, answer, asked_for, calls, disagreements, open_page, settle, texts

pytestmark = pytest.mark.full

OBJECTIVES = ["softmax_cross_entropy", "sigmoid_binary_cross_entropy", "softmax_binary_cross_entropy"]


def number(text: str) -> float:
    """The number that a text shows."""
    return float(text.replace("\u2212", "-").replace("∞", "inf"))


def line(page: Page, view: str, name: str, index: int = 0) -> Locator:
    """The cells of numbers of the line with a name, in a table of a view."""
    title = page.locator("th[scope=row] > span", has_text=re.compile(f"^{re.escape(name)}$"))
    return page.locator(f"#{view} tr", has=title).nth(index).locator("td")


def reply_of(page: Page, origin: str, view: str, path: str, index: int = 0) -> dict[str, Any]:
    """What the service answers to a request that a view shows."""
    return answer(origin, path, asked_for(page, view, path, index))


def matrix(page: Page, caption: str) -> Locator:
    """One of the three matrices, by its caption."""
    return page.locator("#chain-rule table", has=page.locator("caption", has_text=re.compile(f"^{caption}")))


def lit(page: Page) -> dict[str, list[tuple[int, int]]]:
    """The framed cells of each matrix, as row and column."""
    return {
        name: [
            (int(cell.get_attribute("data-i") or ""), int(cell.get_attribute("data-j") or ""))
            for cell in matrix(page, name).locator(".lit").all()
        ]
        for name in ("∂E/∂p", "Jacobian", "product")
    }


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_matrices_are_the_factors(visit: Visit, origin: str, objective: str) -> None:
    """The three matrices hold ∂E/∂p, the Jacobian and their product, as the service answers them."""
    page = visit.page
    open_page(page, origin, f"?objective={objective}&temperature=2&digits=9")
    reply = reply_of(page, origin, "chain-rule", "gradient")
    factors = {"∂E/∂p": "loss_wrt_probabilities", "Jacobian": "jacobian", "product": "gradient_by_chain_rule"}
    for caption, output in factors.items():
        shown = texts(matrix(page, caption).locator("td[data-i]"))
        assert disagreements(shown, np.ravel(reply[output]).tolist()) == []


def test_pointing_at_the_product_frames_its_terms(visit: Visit, origin: str) -> None:
    """Over ∂E/∂z₂ all of ∂E/∂p and the Jacobian's column s₂ are framed, and the sum is written out."""
    page = visit.page
    open_page(page, origin, "?digits=4")
    matrix(page, "product").locator("[data-j='2']").hover()
    assert lit(page) == {
        "∂E/∂p": [(0, 0), (0, 1), (0, 2)],
        "Jacobian": [(0, 2), (1, 2), (2, 2)],
        "product": [(0, 2)],
    }
    expect(page.locator(".terms")).to_have_text(
        "∂E/∂z₂ = (0) × (−0.0599) + (0) × (−0.1628) + (−1.5032) × (0.2227) = −0.3348"
    )


def test_a_temperature_is_in_every_view(visit: Visit, origin: str) -> None:
    """Derivatives by the scores z are over T, in words as in numbers, and programs that overflow divide by T too."""
    page = visit.page
    open_page(page, origin, "?temperature=2&digits=4&offset=0")
    expect(page.locator(".terms")).to_have_text(
        re.compile(r"^∂E/∂z₀ = \[\(0\) × \([\d.]+\) \+ .*\] / 2\.0000 = 0\.0932$")
    )
    assert asked_for(page, "naive", "gradient")["temperature"] == 2
    assert texts(line(page, "naive", "naive, float64")) == texts(line(page, "naive", "float64"))
    page.get_by_label("Added to each score").fill("200")
    expect(page.locator("#naive .said")).to_contain_text("No longer numbers: naive, float32.")


def test_pointing_at_the_jacobian_frames_one_way(visit: Visit, origin: str) -> None:
    """Over ∂p₂/∂s₁ the factor before it and the derivative that it leads to are framed."""
    open_page(visit.page, origin)
    matrix(visit.page, "Jacobian").locator("[data-i='2'][data-j='1']").hover()
    assert lit(visit.page) == {"∂E/∂p": [(0, 2)], "Jacobian": [(2, 1)], "product": [(0, 1)]}


def test_arrow_keys_walk_through_a_matrix(visit: Visit, origin: str) -> None:
    """From the focused cell of the Jacobian the arrows lead to its neighbours, whose terms are framed."""
    page = visit.page
    open_page(page, origin)
    matrix(page, "Jacobian").locator("[tabindex='0']").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowLeft"):
        page.keyboard.press(key)
    assert lit(page) == {"∂E/∂p": [(0, 2)], "Jacobian": [(2, 0)], "product": [(0, 0)]}
    assert matrix(page, "Jacobian").locator("[tabindex='0']").count() == 1


def test_only_sentences_near_the_focus_are_announced(visit: Visit, origin: str) -> None:
    """A screen reader hears the sentence of the section that is worked in, and not those of all the others."""
    open_page(visit.page, origin)
    matrix(visit.page, "product").locator("[tabindex='0']").focus()
    assert visit.page.locator(".said[aria-live=polite]").count() == 1
    expect(visit.page.locator(".terms")).to_have_attribute("aria-live", "polite")


def test_the_shortcut_stands_beside_the_truth(visit: Visit, origin: str) -> None:
    """For both softmax objectives the whole and the diagonal-only derivative are shown, and where they differ."""
    page = visit.page
    open_page(page, origin)
    for index, marks in enumerate((["≠ differs", "≠ differs", "= same"], ["≠ differs"] * 3)):
        reply = reply_of(page, origin, "shortcut", "gradient", index)
        for name, output in (("∂E/∂z", "gradient"), ("by its diagonal only", "gradient_diagonal_only")):
            assert disagreements(texts(line(page, "shortcut", name, index)), reply[output][0]) == []
        assert texts(line(page, "shortcut", "diagonal against whole", index)) == marks


def test_the_shortcut_is_named_by_check(visit: Visit, origin: str) -> None:
    """The diagonal's value goes to /check as a claim, and the page tells its verdict and its reason."""
    open_page(visit.page, origin)
    report = reply_of(visit.page, origin, "shortcut", "check")
    assert (report["verdict"], report["diagnoses"][0]["code"]) == ("mismatch", "diagonal_only_jacobian")
    expect(visit.page.locator("#shortcut .said")).to_contain_text(report["diagnoses"][0]["explanation"])


def test_a_difference_below_the_tolerance_is_no_agreement(visit: Visit, origin: str) -> None:
    """Where the diagonal has half the derivative and /check lets it pass, the page says why, not that both agree."""
    page = visit.page
    open_page(page, origin, "?scores=40,0&labels=0")
    report = reply_of(page, origin, "shortcut", "check")
    assert report["verdict"] == "match"
    assert texts(line(page, "shortcut", "diagonal against whole", 1)) == ["≠ differs"] * 2
    expect(page.locator("#shortcut .said")).to_contain_text("what is left out is smaller than its tolerance")
    expect(page.locator("#shortcut .said")).to_contain_text(report["diagnoses"][0]["explanation"])


def test_squared_error_is_made_from_the_service_s_factors(visit: Visit, origin: str) -> None:
    """Squared error has ½Σ(p − c)², p − c, and its product with the Jacobian; cross-entropy is the service's."""
    page = visit.page
    open_page(page, origin, "?digits=9&temperature=2")
    reply = reply_of(page, origin, "squared-error", "gradient")
    difference = np.array(reply["probabilities"][0]) - [0, 0, 1]
    through = difference @ np.array(reply["jacobian"][0]) / 2
    squared = [*map(number, texts(line(page, "squared-error", "∂E/∂p, squared error")))]
    assert squared == pytest.approx([*difference, (difference**2).sum() / 2], abs=1e-9)
    pulled = texts(line(page, "squared-error", "∂E/∂z, squared error"))[:3]
    assert [*map(number, pulled)] == pytest.approx(through, abs=1e-9)
    exact = texts(line(page, "squared-error", "∂E/∂z, cross-entropy"))[:3]
    assert disagreements(exact, reply["gradient"][0]) == []


def test_a_step_goes_against_the_gradient(visit: Visit, origin: str) -> None:
    """The new scores are z − η ∂E/∂z to twelve digits, and the loss after it is the service's."""
    page = visit.page
    open_page(page, origin, "?rate=2&digits=9")
    gradient = reply_of(page, origin, "step", "gradient")["gradient"][0]
    sent = asked_for(page, "step", "loss")
    moved = [score - 2 * slope for score, slope in zip((1, 2, 3), gradient, strict=True)]
    assert sent["logits"] == [[float(f"{score:.12g}") for score in moved]]
    before, after = texts(line(page, "step", "scores before"))[-1], texts(line(page, "step", "scores after"))[-1]
    assert agrees(after, answer(origin, "loss", sent)["loss"])
    assert number(after) < number(before)


def test_a_step_of_length_0_changes_nothing(visit: Visit, origin: str) -> None:
    """Scores with more decimals than are shown were once rounded on the way, and the loss fell."""
    open_page(visit.page, origin, "?scores=0.1234567,4e-7&labels=0&rate=0")
    expect(visit.page.locator("#step .said")).to_contain_text("it stays")


def test_a_step_that_is_taken_becomes_the_score(visit: Visit, origin: str) -> None:
    """Taking the step writes its scores into the batch and the address."""
    page = visit.page
    open_page(page, origin)
    after = asked_for(page, "step", "loss")["logits"][0]
    page.get_by_role("button", name="Take this step").click()
    expect(page).to_have_url(re.compile(re.escape(",".join(map(str, after)))))
    expect(page.get_by_label("score of class 0 in row 0", exact=True)).to_have_value(str(after[0]))


def test_only_the_step_that_is_shown_can_be_taken(visit: Visit, origin: str) -> None:
    """Neither before an answer nor after a change that has none is there a step to take, whichever row is chosen."""
    page = visit.page
    page.route("**/gradient", lambda route: route.abort())
    open_page(page, origin)
    press_step(page)
    page.unroute("**/gradient")
    page.get_by_role("button", name="Try again").click()
    settle(page)
    score = page.get_by_label("score of class 0 in row 0", exact=True)
    score.fill("")
    page.get_by_role("radio", name="row 1").check()
    press_step(page)
    score.fill("1")
    expect(page).to_have_url(f"{origin}/explore?row=1")
    settle(page)
    assert "Cannot read" not in "".join(visit.complaints)


def press_step(page: Page) -> None:
    """Press the button of the step, which says that it is not to be pressed."""
    button = page.get_by_role("button", name="Take this step")
    expect(button).to_be_disabled()
    button.dispatch_event("click")


def test_the_quotient_is_made_of_two_shown_losses(visit: Visit, origin: str) -> None:
    """At the chosen step the quotient is the difference of the two losses that the service answered, over 2h."""
    page = visit.page
    open_page(page, origin, "?class=1&step=-3&digits=all")
    sent = asked_for(page, "finite-differences", "loss")
    losses = answer(origin, "loss", sent)["losses"][12:14]
    assert sent["logits"][12:14] == [[1, 2.001, 3], [1, 1.999, 3]]
    shown = [texts(line(page, "finite-differences", f"loss at z {sign} h"))[0] for sign in "+−"]
    assert shown == [str(loss) for loss in losses]
    quotient = number(texts(line(page, "finite-differences", "their difference over 2h"))[0])
    assert quotient == pytest.approx((losses[0] - losses[1]) / 0.002, rel=1e-14)


@pytest.mark.parametrize(("dtype", "best"), [("float64", -5), ("float32", -2)])
def test_the_error_falls_and_rises_again(visit: Visit, origin: str, dtype: str, best: int) -> None:
    """Long steps err by truncation, short ones by rounding, and the best one is where the precision has it."""
    page = visit.page
    open_page(page, origin, f"?dtype={dtype}")
    points = (page.locator(".curve").get_attribute("points") or "").split()
    depths = [float(point.partition(",")[2]) for point in points]  # downwards, from step 1 to 1e-15
    lowest = depths.index(max(depths[:20]))
    assert abs(lowest - -2 * best) <= 3
    assert depths[0] < depths[lowest] > depths[-1]


def test_the_slider_of_steps_needs_no_pointer(visit: Visit, origin: str) -> None:
    """An arrow key on the slider chooses a shorter step, and the sentence below the plot tells its error."""
    page = visit.page
    open_page(page, origin)
    page.get_by_label("Step h, as a power of ten").press("ArrowLeft")
    expect(page.locator("[data-shows=step]")).to_have_text("h = 3.2e−6")
    expect(page.locator("#finite-differences .said")).to_contain_text("At h = 3.2e−6 the quotient is off by")


def test_naive_softmax_overflows_where_the_service_does_not(visit: Visit, origin: str) -> None:
    """With 800 added to each score plain programs have no numbers left, and the service has the same as without."""
    page = visit.page
    open_page(page, origin, "?offset=800&digits=9")
    for dtype in ("float32", "float64"):
        assert texts(line(page, "naive", f"naive, {dtype}")) == ["NaN"] * 4
    shifted = reply_of(page, origin, "naive", "gradient", 1)
    plain = answer(origin, "gradient", {"logits": [[1, 2, 3]], "labels": [2], "include": ["probabilities", "loss"]})
    assert shifted["probabilities"] == plain["probabilities"]
    assert disagreements(texts(line(page, "naive", "float64")), [*plain["probabilities"][0], plain["loss"]]) == []


def test_float32_overflows_first(visit: Visit, origin: str) -> None:
    """With 100 added the naive softmax still works in float64, and no longer in float32."""
    open_page(visit.page, origin)
    assert texts(line(visit.page, "naive", "naive, float32")) == ["NaN"] * 4
    assert all(math.isfinite(number(text)) for text in texts(line(visit.page, "naive", "naive, float64")))


def test_a_shift_saves_no_digits(visit: Visit, origin: str) -> None:
    """The loss of a confident row is 0 by the shifted softmax, and 4.2e-18 by the service."""
    page = visit.page
    open_page(page, origin, "?scores=40,0&labels=0&offset=0")
    assert texts(line(page, "naive", "shifted, float64"))[-1] == "0"
    loss = texts(line(page, "naive", "float64"))[-1]
    assert Decimal(loss.replace("\u2212", "-")) == Decimal("4.248354e-18")


def test_each_view_shows_the_calls_that_made_it(visit: Visit, origin: str) -> None:
    """Eleven calls are behind the first page, each with its answer."""
    page = visit.page
    open_page(page, origin)
    shown = {
        (view, path): calls(page, view, path).count()
        for view in ("batch", "chain-rule", "shortcut", "squared-error", "step", "finite-differences", "naive")
        for path in ("softmax", "loss", "gradient", "check")
    }
    assert {key: count for key, count in shown.items() if count} == {
        ("batch", "softmax"): 1,
        ("batch", "gradient"): 1,
        ("chain-rule", "gradient"): 1,
        ("shortcut", "gradient"): 2,
        ("shortcut", "check"): 1,
        ("squared-error", "gradient"): 1,
        ("step", "gradient"): 1,
        ("step", "loss"): 1,
        ("finite-differences", "loss"): 1,
        ("finite-differences", "gradient"): 1,
        ("naive", "gradient"): 2,
    }
    assert visit.outcome(origin) == CLEAN
