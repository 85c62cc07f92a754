"""A row's bits never depend on its neighbours; sums never depend on their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradient_service.core import blocks
from gradient_service.core.execution import Execution
from gradient_service.core.summary import merge_summaries
from tests.core.calls import SIGMOID, SOFTMAX, TEXTBOOK, Array, evaluated, softmax_of
from tests.reference import draws

SEED, ROWS = 31, 37
CLASS_COUNTS = (1, 2, 10, 63, 64, 65, 300)
SCORE_NAMES = ("probabilities", "log_probabilities", "entropy", "log_normalizer", "predicted_labels", "one_hot")
NAMES = ("losses", "gradient", "loss_wrt_probabilities", "gradient_diagonal_only", "probabilities", "predicted_labels")
PER_ROW = ("targets", "sample_weights", "element_mask", "upstream", "labels")
MODES = [(np.float64, "accurate"), (np.float32, "accurate"), (np.float32, "fast"), (np.float64, "fast")]
Rows = tuple[Array, dict[str, Any]]


def drawn(num_classes: int, objective: str = SOFTMAX, dtype: Any = np.float64, rows: int = ROWS) -> Rows:
    """Rows with confident ones among them, soft targets, weights, a mask and a temperature."""
    rng = np.random.default_rng([SEED, num_classes])
    scale = 30.0 if dtype is np.float64 else 5.0  # so that no factor of the chain rule leaves the range
    logits = rng.normal(0.0, scale, (rows, num_classes)).astype(dtype)
    mask = draws.element_mask(rng, logits.shape) if num_classes > 2 else np.ones(logits.shape, bool)
    targets = draws.targets_within(rng.random(logits.shape), mask)
    options = {
        "objective": objective,
        "targets": np.where(mask.sum(axis=1, keepdims=True) == 1, mask, targets).astype(dtype),
        "element_mask": mask,
        "class_weights": (rng.random(num_classes) + 0.5).astype(dtype),
        "sample_weights": rng.random(rows).astype(dtype),
        "upstream": rng.normal(size=rows).astype(dtype),
        "reduction": "none",
        "temperature": 0.7,
    }
    return logits, options


def taken(rows: Rows, places: Any) -> Rows:
    """Some rows of a question, in another order."""
    logits, options = rows
    return logits[places], {name: value[places] if name in PER_ROW else value for name, value in options.items()}


def answers(rows: Rows, names: tuple[str, ...] = NAMES, **more: Any) -> dict[str, Array]:
    """All outputs of a question."""
    logits, options = rows
    masks = {name: options[name] for name in ("element_mask", "temperature")}
    from_scores = softmax_of(logits, SCORE_NAMES, **masks, **more)
    return {**from_scores, **evaluated(logits, names, **options, **more).arrays}


def assert_same_bits(found: dict[str, Array], expected: dict[str, Array], places: Any = slice(None)) -> None:
    """Every output has the bits of the expected rows."""
    for name, value in expected.items():
        assert found[name].tobytes() == np.ascontiguousarray(value[places]).tobytes(), name


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("num_classes", CLASS_COUNTS)
def test_rows_alone_and_together(num_classes: int, mode: tuple[Any, str]) -> None:
    """A row by itself has the bits that it has in a batch."""
    rows = drawn(num_classes, dtype=mode[0])
    together = answers(rows, precision=mode[1])
    for place in (0, 5, ROWS - 1):
        alone = answers(taken(rows, slice(place, place + 1)), precision=mode[1])
        assert_same_bits(alone, together, slice(place, place + 1))


@pytest.mark.parametrize("objective", [SOFTMAX, SIGMOID, TEXTBOOK])
@pytest.mark.parametrize("num_classes", CLASS_COUNTS)
def test_rows_in_another_order(num_classes: int, objective: str) -> None:
    """Permuted and repeated rows have the bits that they had."""
    rows = drawn(num_classes, objective)
    places = np.random.default_rng(SEED).integers(0, ROWS, 2 * ROWS)
    assert_same_bits(answers(taken(rows, places)), answers(rows), places)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("num_classes", CLASS_COUNTS)
@pytest.mark.parametrize("supervision", ["labels", "targets"])
def test_outputs_alone_and_together(supervision: str, num_classes: int, mode: tuple[Any, str]) -> None:
    """An output by itself has the bits that it has beside others."""
    logits, options = drawn(num_classes, dtype=mode[0])
    if supervision == "labels":
        mask = options["element_mask"]
        options = {**options, "targets": None, "class_weights": None, "labels": mask.argmax(axis=1)}
    together = evaluated(logits, NAMES, **options, precision=mode[1]).arrays
    for name in NAMES:
        alone = evaluated(logits, (name,), **options, precision=mode[1]).arrays
        assert_same_bits(alone, {name: together[name]})


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "Fortran order": np.asfortranarray,
    "negative strides": lambda array: np.ascontiguousarray(array[::-1, ::-1])[::-1, ::-1],
    "every third column": lambda array: np.repeat(array, 3, axis=1)[:, ::3],
    "part of a bigger array": lambda array: np.pad(array, 2)[2:-2, 2:-2],
    "unaligned": lambda array: (
        np.frombuffer(b"x" + array.tobytes(), np.uint8)[1:].view(array.dtype).reshape(array.shape)
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("num_classes", [1, 10, 63, 64, 300])
def test_memory_layouts(num_classes: int, layout: str) -> None:
    """However logits, targets and masks lie in memory, the bits of the answers are the same."""
    logits, options = drawn(num_classes)
    laid = {name: LAYOUTS[layout](options[name]) for name in ("targets", "element_mask")}
    assert_same_bits(answers((LAYOUTS[layout](logits), {**options, **laid})), answers((logits, options)))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("is_masked_by", ["element_mask", "logits"])
def test_memory_layouts_of_masks_of_smoothed_labels(is_masked_by: str, layout: str) -> None:
    """A mask in Fortran order once had what is left at a label stand at another class of another row."""
    logits, options = drawn(64)
    mask = options.pop("element_mask")
    options |= {"targets": None, "class_weights": None, "labels": mask.argmax(axis=1), "label_smoothing": 0.1}
    if is_masked_by == "logits":
        logits, options["has_masking_logits"] = np.where(mask, logits, -np.inf), True
    else:
        options["element_mask"] = mask
    laid = {is_masked_by: LAYOUTS[layout](mask)} if is_masked_by == "element_mask" else {}
    expected = evaluated(logits, NAMES, **options).arrays
    assert_same_bits(evaluated(LAYOUTS[layout](logits), NAMES, **{**options, **laid}).arrays, expected)


@pytest.mark.parametrize("block_bytes", [1, 8 * 64 * 3, 10_000, 10**9])
@pytest.mark.parametrize("num_classes", CLASS_COUNTS)
def test_block_sizes(num_classes: int, block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However rows are cut into blocks, their bits are the same."""
    rows = drawn(num_classes)
    expected = answers(rows)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", block_bytes)
    assert_same_bits(answers(rows), expected)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("num_classes", [10, 64])
def test_threads(num_classes: int, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many threads share the blocks, bits, loss and summary are the same."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 4096)
    logits, options = drawn(num_classes)
    options = {**options, "reduction": "mean", "upstream": None}
    names = [*NAMES, "loss", "summary"]
    alone, shared = (evaluated(logits, names, execution=Execution(threads=n), **options) for n in (1, threads))
    assert_same_bits(shared.arrays, alone.arrays)
    assert (shared.loss, shared.summary) == (alone.loss, alone.summary)


def test_the_short_route_is_chosen_by_classes_alone() -> None:
    """One row and many take the same route, on both sides of the boundary."""
    for num_classes in (blocks.SHORT_ROW - 1, blocks.SHORT_ROW):
        one, many = (blocks.block_of(np.ones((rows, num_classes)), np.float64) for rows in (1, 50))
        assert one.shape == (num_classes, 1)
        assert many.flags.c_contiguous == (num_classes < blocks.SHORT_ROW)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_empty_batch_has_empty_answers(dtype: Any) -> None:
    """No rows of three classes give loss 0, empty arrays and an empty summary."""
    logits = np.empty((0, 3), dtype)
    evaluation = evaluated(logits, ["loss", "summary", "gradient", "jacobian"], labels=[])
    assert evaluation.loss == 0
    assert evaluation.loss.dtype == dtype
    assert evaluation.arrays["gradient"].shape == (0, 3)
    assert evaluation.arrays["jacobian"].shape == (0, 3, 3)
    assert evaluation.summary == merge_summaries([])
    assert softmax_of(logits, SCORE_NAMES)["entropy"].shape == (0,)


def test_one_class_has_nothing_to_decide() -> None:
    """With one class a softmax is 1, its loss and gradient 0, whatever the score."""
    found = evaluated([[5.0], [-1e308]], ["losses", "gradient", "probabilities"], labels=[0, 0])
    assert found.arrays["probabilities"].tolist() == [[1.0], [1.0]]
    assert found.arrays["losses"].tolist() == [0.0, 0.0]
    assert found.arrays["gradient"].tolist() == [[0.0], [0.0]]


@pytest.mark.parametrize("objective", [SOFTMAX, SIGMOID, TEXTBOOK])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), cuts=st.lists(st.integers(0, ROWS), max_size=5))
def test_summaries_of_splits_merge_to_the_bit(objective: str, seed: int, cuts: list[int]) -> None:
    """However the rows are shuffled and split, the merged summary and its mean are those of the whole."""
    rows = drawn(7, objective)
    rows[1].update(reduction="mean")
    del rows[1]["upstream"]
    whole = evaluated(rows[0], ["loss", "summary"], **rows[1])
    order = np.random.default_rng(seed).permutation(ROWS)
    summaries = []
    for places in np.split(order, sorted(cuts)):
        logits, options = taken(rows, places)
        summaries.append(evaluated(logits, ["summary"], **{**options, "reduction": "sum"}).summary)
    merged = merge_summaries(summary for summary in summaries if summary is not None)
    assert merged == whole.summary
    assert merged.loss_sum / merged.weight_sum == whole.loss


@settings(max_examples=50, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), num_classes=st.sampled_from([1, 3, 64]))
def test_the_reduced_loss_knows_no_order(seed: int, num_classes: int) -> None:
    """Any order of the rows gives the same bits of loss and summary, ignored rows included."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0.0, 10.0 ** rng.uniform(-3, 3), (200, num_classes))
    labels = rng.integers(-1, num_classes, 200)
    weights = 10.0 ** rng.uniform(-30, 30, 200)
    order = rng.permutation(200)
    here, there = (
        evaluated(
            logits[places], ["loss", "summary"], labels=labels[places], sample_weights=weights[places], ignore_label=-1
        )
        for places in (slice(None), order)
    )
    assert (here.loss, here.summary) == (there.loss, there.summary)
