"""What is right is a match and never accused; what says nothing is neither."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings

from gradient_service.core.checking.claims import Tolerance, tolerance_faults
from gradient_service.core.checking.invariants import Invariant
from gradient_service.core.errors import InvalidInputError
from tests.core.calls import SIGMOID, TEXTBOOK, evaluated
from tests.core.checking import wrong_programs as wrong
from tests.core.checking.claiming import codes_of, computed, examined
from tests.core.checking.wrong_programs import Batch, Program, draw
from tests.core.test_options_property import questions


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("value", [0.0, 0.1, -1.0, np.inf, np.nan])
@pytest.mark.parametrize("output", ["losses", "gradient", "probabilities"])
def test_equal_elements_explain_nothing(output: str, value: float, dtype: str) -> None:
    """A claim that is the same number everywhere is no match and has no diagnosis, whatever is tolerated."""
    for options in ({}, {"label_smoothing": 1.0}, {"reduction": "sum"}):
        batch = draw(2, dtype, **options)
        shape = batch.labels.shape if output == "losses" else batch.logits.shape
        found = examined(batch, {output: np.full(shape, value, dtype)}, rtol=1e9, atol=1e9)
        assert not found.is_match
        assert found.diagnoses == []


def test_a_loss_of_zero_is_not_explained() -> None:
    """A reduced loss claimed as 0 is reproduced by nothing, where it is not 0."""
    batch = draw(2, "float64")
    found = examined(batch, {"loss": np.float64(0)})
    assert (found.is_match, found.diagnoses) == (False, [])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_right_programs_are_not_accused(dtype: str) -> None:
    """Plain NumPy is a match on batches of any scale, with nothing beside it but digits that it lost."""
    for seed in range(100):
        batch = draw(seed, dtype, scale=float(10.0 ** (seed % 5 - 2)))
        found = examined(batch, wrong.right(batch))
        assert found.is_match, seed
        assert set(codes_of(found)) <= {"cancellation"}, seed


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_usual_errors_are_no_mistakes(dtype: str) -> None:
    """Right numbers, each off by a few units in its last place, are a match without any diagnosis."""
    random = np.random.default_rng(0)
    for seed in range(100):
        batch = draw(seed, dtype)
        gradient = computed("gradient", batch).astype(dtype)
        noise = random.integers(-8, 9, gradient.shape).astype(dtype)
        found = examined(batch, {"gradient": gradient + noise * np.spacing(gradient)})
        assert (found.is_match, found.diagnoses) == (True, []), seed


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_lost_digits_stand_beside_a_match(dtype: str) -> None:
    """p − 1 of a confident row is 0, which is right by its size; that its digits are lost is told, and only there."""
    sure = Batch(np.array([[40, 0, 1], [0, 1, 2]], dtype), np.array([0, 0]))
    unsure = Batch(np.array([[4, 0, 1], [0, 1, 2]], dtype), np.array([0, 0]))
    assert examined(sure, wrong.right(sure)).is_match
    assert codes_of(examined(sure, wrong.right(sure))) == ["cancellation"]
    assert codes_of(examined(unsure, wrong.right(unsure))) == []


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("program", [wrong.textbook_where, wrong.textbook_by_jacobian])
def test_what_goes_through_the_complement_is_a_match(program: Program, dtype: str) -> None:
    """The binary formula over softmax as textbooks compute it was once no match where 1 − p is small."""
    for seed in range(20):
        batch = draw(seed, dtype, scale=3.0, objective=TEXTBOOK)
        found = examined(batch, program(batch))
        assert found.is_match, seed
        assert set(codes_of(found)) <= {"cancellation"}, seed


@pytest.mark.parametrize(("output", "dtype"), [("gradient", "float64"), ("gradient", "float32"), ("losses", "float64")])
def test_digits_that_the_complement_lost_are_told(output: str, dtype: str) -> None:
    """Where most digits of 1 − p are gone a match says so; where p − c is claimed for it, it is no match still."""
    gap = -np.log(np.finfo(dtype).eps * 10.3)
    batch = Batch(np.array([[gap, 0.0, 0.0]], dtype), np.array([1]), {"objective": TEXTBOOK})
    found = examined(batch, {output: wrong.textbook_where(batch)[output]})
    assert (found.is_match, codes_of(found)) == (True, ["cancellation"])
    assert codes_of(examined(batch, {"gradient": wrong.right(batch)["gradient"]}))[:1] == ["diagonal_only_jacobian"]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sigmoid_losses_through_the_complement_are_a_match(dtype: str) -> None:
    """log(1 − p) of a sigmoid errs by a unit of 1 − p, and not of the loss."""
    for seed in range(20):
        batch = draw(seed, dtype, scale=3.0, objective=SIGMOID)
        batch.options["targets"] = batch.one_hot
        found = examined(batch, wrong.sigmoid_losses(batch))
        assert found.is_match, seed
        assert set(codes_of(found)) <= {"cancellation"}, seed


@given(question=questions(is_valid=True))
@settings(deadline=None, max_examples=60)
def test_the_reference_is_never_accused(question: tuple[Any, dict[str, Any]]) -> None:
    """What the core itself computes is a match with no diagnosis, over the whole space of options."""
    logits, options = question
    # Of a loss below float32's range `fast` has nothing left that a small denominator could lift into it again.
    assume(options["precision"] != "fast" or options.get("denominator_value", 1.0) >= 1)
    names = ["losses", "gradient"] + ([] if options["reduction"] == "none" else ["loss"])
    try:
        evaluation = evaluated(logits, names, **options)
    except InvalidInputError:
        return
    claims = evaluation.arrays | ({} if evaluation.loss is None else {"loss": evaluation.loss})
    found = examined(Batch(logits, np.asarray(options.get("labels", [])), options), claims)
    assert (found.is_match, found.diagnoses) == (True, [])


@pytest.mark.parametrize("claims", [{"losses": [np.inf]}, {"loss": np.inf}, {"losses": [np.inf], "loss": np.inf}])
def test_a_logarithm_of_zero_is_no_overflow(claims: dict[str, Any]) -> None:
    """A class far below the others has no probability left; no exponential overflows, and not all vanish."""
    batch = Batch(np.array([[0.0, -900.0]]), np.array([1]))
    found = examined(batch, {name: np.asarray(value) for name, value in claims.items()})
    assert codes_of(found) == ["log_of_zero"]


def test_terms_that_vanish_have_the_size_of_the_result() -> None:
    """A right gradient made of a smoothing that holds a single digit, over a small temperature, is a match."""
    options: dict[str, Any] = {
        "objective": TEXTBOOK,
        "denominator": "examples",
        "targets": np.eye(3, dtype=np.float32)[:1],
        "label_smoothing": 5e-324,
        "temperature": 1e-300,
        "class_weights": np.array([0.0, 1.0, 0.0], np.float32),
    }
    logits = np.array([[0.0, 0.0, 1.0]], np.float32)
    gradient = evaluated(logits, ["gradient"], **options).arrays["gradient"]
    found = examined(Batch(logits, np.array([]), options), {"gradient": gradient})
    assert (found.is_match, found.diagnoses) == (True, [])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gap", [40, 720, 800])
def test_far_rows_of_the_textbook_objective_are_judged(gap: int, smoothing: float) -> None:
    """A right gradient is a match, and one wrong at the top class is not: its size was once the odds of that class."""
    batch = Batch(np.array([[gap, 0.0, 0.0]]), np.array([1]), {"objective": TEXTBOOK, "label_smoothing": smoothing})
    gradient = computed("gradient", batch)
    assert examined(batch, {"gradient": gradient * (1 + 1e-15)}).is_match
    assert not examined(batch, {"gradient": gradient * [-1, 1, 1]}).is_match


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_losses_near_the_end_of_the_range_are_judged(dtype: str) -> None:
    """Sizes that add up beyond the range once made any reduced loss a match, the negative one too."""
    far = float(np.finfo(dtype).max) / 2
    batch = Batch(np.array([[0.0, -far, 1.0], [745.0, 0.0, 1.0]], dtype), np.array([1, 1]))
    loss, losses = computed("loss", batch), computed("losses", batch)
    found = examined(batch, {"loss": loss, "losses": losses})
    assert (found.is_match, found.diagnoses) == (True, [])
    for wrong_loss in (-loss, 0.5 * loss):
        assert not examined(batch, {"loss": wrong_loss}).is_match
    assert not examined(batch, {"losses": -losses}).is_match


@pytest.mark.parametrize("num_classes", [1, 2])
def test_a_class_that_is_alone_is_judged(num_classes: int) -> None:
    """With no other class that takes part, the textbook objective has loss 0 and no gradient."""
    mask = np.arange(num_classes) == 0
    batch = Batch(np.zeros((1, num_classes)), np.array([0]), {"objective": TEXTBOOK, "class_mask": mask})
    found = examined(batch, {"losses": np.zeros(1), "gradient": np.zeros((1, num_classes))})
    assert (found.is_match, found.diagnoses) == (True, [])
    assert not examined(batch, {"losses": np.ones(1)}).is_match


def test_the_caller_may_tolerate_more_or_less() -> None:
    """rtol and atol take the place of the defaults, and make no diagnosis of what is usual."""
    batch = draw(4, "float64")
    gradient = wrong.right(batch)["gradient"]
    assert examined(batch, {"gradient": gradient * 1.01}, rtol=0.1).is_match
    assert examined(batch, {"gradient": gradient + 1e-3}, atol=0.1).is_match
    for claimed in (gradient, gradient * (1 + 1e-15)):
        strict = examined(batch, {"gradient": claimed}, rtol=0.0, atol=0.0)
        assert (strict.is_match, strict.diagnoses) == (False, [])


def test_the_worst_rows_come_first() -> None:
    """Each of the worst rows is told once, with its worst element, both numbers and the largest error first."""
    batch = draw(4, "float64")
    gradient = wrong.right(batch)["gradient"].copy()
    gradient[1, 2] += 0.25
    gradient[1, 0] += 0.01
    gradient[0, 1] -= 0.125
    first, second = examined(batch, {"gradient": gradient}).worst_rows[:2]
    assert (first.output, first.row, first.column, first.claimed) == ("gradient", 1, 2, gradient[1, 2])
    assert (second.row, second.column) == (0, 1)
    assert first.claimed - first.reference == pytest.approx(0.25)


def test_errors_are_counted_in_units_of_the_last_place() -> None:
    """One unit off is one ulp, in the type of the claim; plain NumPy's own errors stand beside it."""
    batch = draw(4, "float32")
    probabilities = computed("probabilities", batch)
    off = probabilities + np.spacing(probabilities)
    (found,) = examined(batch, {"probabilities": off}).compared
    assert found.claimed_errors is not None
    assert found.plain_errors is not None
    assert found.claimed_errors.median["ulp"] == pytest.approx(1, abs=0.5)
    assert found.claimed_errors.maximum["ulp"] <= 1.501
    assert 0 < found.plain_errors.maximum["ulp"] < 20


def test_invariants_are_told_with_their_value() -> None:
    """Rows that do not sum to 0, wrong signs and numbers that are none are counted whatever the reference is."""
    batch = draw(4, "float64")
    gradient = -wrong.right(batch)["gradient"]
    gradient[0, 0] = np.nan
    held = {each.invariant: each for each in examined(batch, {"gradient": gradient}).invariants}
    assert (held[Invariant.FINITE].holds, held[Invariant.FINITE].value) == (False, 1)
    assert not held[Invariant.GRADIENT_ROWS_SUM_TO_ZERO].holds
    assert held[Invariant.GRADIENT_SIGNS].value == gradient.size - 1


def test_the_invariants_of_a_right_gradient_hold() -> None:
    """Rows sum to 0 within rounding, signs are right, and all is finite."""
    batch = draw(4, "float32")
    assert all(each.holds for each in examined(batch, wrong.right(batch)).invariants)


def test_an_empty_batch_explains_no_loss() -> None:
    """What is claimed of no rows is wrong or right, and no mistake is made in them."""
    batch = Batch(np.zeros((0, 3)), np.zeros(0, np.int64), {})
    found = examined(batch, {"loss": np.float64(1)})
    assert (found.is_match, found.diagnoses) == (False, [])


def test_an_empty_batch_matches_an_empty_claim() -> None:
    """No rows have loss 0 and no gradient; there is nothing to diagnose."""
    batch = Batch(np.zeros((0, 3)), np.zeros(0, np.int64))
    found = examined(batch, {"loss": np.float64(0), "gradient": np.zeros((0, 3))})
    assert (found.is_match, found.diagnoses, found.worst_rows) == (True, [], [])


@pytest.mark.parametrize(
    ("claims", "code", "index"),
    [
        ({}, "missing-field", ()),
        ({"gradient": np.zeros((2, 4))}, "length-mismatch", ("gradient",)),
        ({"losses": np.zeros(3)}, "length-mismatch", ("losses",)),
    ],
)
def test_a_claim_must_fit(claims: dict[str, Any], code: str, index: tuple[str, ...]) -> None:
    """No claim at all, or one of another shape, is refused by name."""
    batch = Batch(np.zeros((2, 3)), np.zeros(2, np.int64))
    with pytest.raises(InvalidInputError) as refused:
        examined(batch, claims)
    (fault,) = refused.value.faults
    assert (fault.code, fault.field, fault.index) == (code, "claimed", index)


@pytest.mark.parametrize("value", [-1e-300, np.inf, np.nan])
def test_a_tolerance_is_a_number_from_0_up(value: float) -> None:
    """Nothing below 0 and nothing that is not finite is tolerated."""
    assert [fault.field for fault in tolerance_faults(Tolerance(rtol=value, atol=value))] == ["rtol", "atol"]
    assert not [*tolerance_faults(Tolerance(rtol=0.0))]


def test_an_error_beyond_all_doubt_is_no_match() -> None:
    """Where 1 − p has no digit left, half of a term was once taken for rounding."""
    options = {"objective": TEXTBOOK, "reduction": "none"}
    batch = Batch(np.array([[20, 0, -3]], np.float32), np.array([1]), options)
    right = computed("gradient", batch)
    assert examined(batch, {"gradient": right.astype(np.float32)}).is_match
    assert not examined(batch, {"gradient": (right * 1.002).astype(np.float32)}).is_match


def test_a_match_by_doubt_alone_says_so() -> None:
    """Where 1 − p has lost some digits, what is right but for these has the code for it."""
    options = {"objective": SIGMOID, "targets": np.array([[0.3, 0.8, 0.3]]), "reduction": "none"}
    batch = Batch(np.array([[12, -5, 3]], np.float32), np.array([0]), options)
    found = examined(batch, {"losses": (computed("losses", batch) * 1.0005).astype(np.float32)})
    assert (found.is_match, codes_of(found)) == (True, ["cancellation"])


def test_equal_numbers_are_right_where_the_reference_differs_by_roundings() -> None:
    """Rows that are permutations of each other have losses apart by a unit in the last place, or by none."""
    row = [3.882191443194622, 3.020172945917383, -8.133487436897905, -5.667039737903018, -0.5243162761654858]
    batch = Batch(np.array([row, [row[0], *row[2:], row[1]]]), np.array([0, 0]), {"reduction": "none"})
    losses = computed("losses", batch)
    assert np.ptp(losses) > 0
    assert examined(batch, {"losses": np.full(2, losses[0])}).is_match
    batch.logits[1, 0] += 1e-9
    assert not examined(batch, {"losses": np.full(2, losses[0])}, rtol=1.0).is_match


def test_scores_that_overflow_over_the_temperature_are_followed() -> None:
    """Only differences count, and these are within the range."""
    batch = Batch(np.array([[1e308, 1e308, 1e307]]), np.array([0]), {"temperature": 0.5, "reduction": "none"})
    claims = {name: np.nextafter(computed(name, batch), 9) for name in ("losses", "gradient")}
    found = examined(batch, claims)
    assert (found.is_match, found.diagnoses) == (True, [])
    assert all(held.holds for held in found.invariants)


def test_the_tolerance_is_that_of_the_claimed_type() -> None:
    """exp(−700) vanishes in float32, so that g is 0 there; it was once that of float64."""
    batch = Batch(np.array([[0, -700]], np.float32), np.array([0]))
    assert not examined(batch, {"probabilities": np.array([[1.00015, 0]], np.float32)}).is_match


def test_sizes_beyond_the_range_let_nothing_pass() -> None:
    """The sum of two class weights near the end of the range is no reason to take anything for right."""
    options = {"objective": TEXTBOOK, "reduction": "sum", "class_weights": np.array([1e308, 1e308])}
    found = examined(Batch(np.array([[800.0, 0]]), np.array([0]), options), {"losses": np.array([1.7e308])})
    assert (found.is_match, found.diagnoses) == (False, [])
