"""Batches in chunks against the real service: the bits of one call, partial results, progress, limits that are kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gradient_client import ChunkError, GradientClient, InputError, RejectedInputError
from gradient_service.settings import Settings

from .conftest import Ask, serving

ROWS, CLASSES = 300, 7
TEXTBOOK, SIGMOID = "softmax_binary_cross_entropy", "sigmoid_binary_cross_entropy"
generator = np.random.default_rng(20261127)
LOGITS = generator.normal(scale=8, size=(ROWS, CLASSES))
LABELS = generator.integers(0, CLASSES, ROWS)
TARGETS = generator.dirichlet(np.full(CLASSES, 0.3), ROWS)
CLASS_WEIGHTS = generator.uniform(0, 3, CLASSES)
SAMPLE_WEIGHTS = generator.lognormal(0, 20, ROWS)
MASK = np.arange(CLASSES) != LABELS[:, None] - 1
CONFIDENT = np.where(np.arange(CLASSES) == LABELS[:, None], 700.0, 0.0) + LOGITS
ALL_OF_GRADIENT = [
    "loss", "gradient", "summary", "losses", "probabilities", "predicted_labels", "loss_wrt_probabilities", "jacobian",
    "gradient_by_chain_rule", "gradient_diagonal_only", "hessian_diagonal",
]  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "float32": {"logits": LOGITS.astype(np.float32)},
    "float16": {"logits": LOGITS.astype(np.float16), "class_weights": CLASS_WEIGHTS},
    "asked for float32": {"dtype": "float32", "sample_weights": SAMPLE_WEIGHTS},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none"},
    "by examples": {"denominator": "examples", "ignore_label": 2},
    "by batch": {"denominator": "batch", "ignore_label": 2},
    "by a number": {"denominator_value": 7.0},
    "ignored": {"ignore_label": 2},
    "all ignored": {"labels": np.full(ROWS, 2), "ignore_label": 2},
    "class weights": {"class_weights": CLASS_WEIGHTS, "ignore_label": 2},
    "sample weights": {"sample_weights": SAMPLE_WEIGHTS, "ignore_label": 2},
    "both weights": {"class_weights": CLASS_WEIGHTS, "sample_weights": SAMPLE_WEIGHTS},
    "weights of 0": {"sample_weights": np.zeros(ROWS)},
    "class weights in float32": {"logits": LOGITS.astype(np.float32), "class_weights": CLASS_WEIGHTS},
    "smoothed": {"label_smoothing": 0.1, "class_weights": CLASS_WEIGHTS},
    "targets": {"labels": None, "targets": TARGETS},
    "weighted targets": {"labels": None, "targets": TARGETS, "class_weights": CLASS_WEIGHTS},
    "twice weighted targets": {
        "labels": None, "targets": TARGETS, "class_weights": CLASS_WEIGHTS, "sample_weights": SAMPLE_WEIGHTS,
    },
    "targets of any sum": {"labels": None, "targets": TARGETS * SAMPLE_WEIGHTS[:, None], "targets_sum": "any"},
    "weights below 1": {
        "class_weights": 1e-3 * CLASS_WEIGHTS, "sample_weights": 1e-3 * SAMPLE_WEIGHTS, "ignore_label": 2,
        "include": ALL_OF_GRADIENT, "logits": LOGITS / 8,
    },
    "targets below 1": {"labels": None, "targets": TARGETS * 1e-9, "targets_sum": "any"},
    "weights of float16": {"class_weights": (1e-3 * CLASS_WEIGHTS).astype(np.float16)},
    "weights without weight": {
        "class_weights": np.where(np.arange(CLASSES) == 6, 1e300, 0), "sample_weights": np.full(ROWS, 1e300),
        "labels": LABELS % 6, "logits": CONFIDENT,
    },
    "sample weights of many sizes": {"sample_weights": np.where(np.arange(ROWS) < 1, 1e305, 1)},
    "large class weights": {"class_weights": 2e300 * CLASS_WEIGHTS},
    "large weights of both kinds": {"class_weights": 1e150 * CLASS_WEIGHTS, "sample_weights": np.full(ROWS, 1e150)},
    "large targets": {"labels": None, "targets": TARGETS * 2e300, "targets_sum": "any"},
    "weights of both ends": {
        "class_weights": 2e300 * CLASS_WEIGHTS, "sample_weights": 1e-300 * SAMPLE_WEIGHTS, "ignore_label": 2,
    },
    "targets and weights of both ends": {
        "labels": None, "targets": TARGETS * 1e-300, "targets_sum": "any", "class_weights": 1e305 * CLASS_WEIGHTS,
    },
    "small products of targets and weights": {
        "labels": None, "targets": TARGETS * 1e-200, "targets_sum": "any", "class_weights": 1e-100 * CLASS_WEIGHTS,
        "sample_weights": np.full(ROWS, 1e300),
    },
    "large products of targets and weights": {
        "labels": None, "targets": TARGETS * 1e300, "targets_sum": "any", "class_weights": 1e100 * CLASS_WEIGHTS,
        "sample_weights": np.full(ROWS, 1e-200),
    },
    "textbook": {"objective": TEXTBOOK, "class_weights": CLASS_WEIGHTS},
    "sigmoid": {"labels": None, "targets": TARGETS.clip(0, 1), "objective": SIGMOID, "sample_weights": SAMPLE_WEIGHTS},
    "masked": {"mask": MASK, "temperature": 0.7},
    "class mask": {"mask": np.arange(CLASSES) != 3, "labels": np.where(LABELS == 3, 4, LABELS)},
    "fast": {"precision": "fast"},
    "upstream": {"reduction": "none", "upstream": SAMPLE_WEIGHTS},
    "every output": {"include": ALL_OF_GRADIENT, "logits": LOGITS / 8},
    "losses alone": {"include": ["losses"]},
    "no loss": {"include": ["gradient"]},
    "loss alone": {"include": ["loss"]},
    "negative strides": {"logits": LOGITS[::-1, ::-1]},
    "one row": {"logits": LOGITS[:1], "labels": LABELS[:1]},
}  # fmt: skip


def bits(result: Any) -> dict[str, object]:
    """Every output of a result and every option in force, arrays as their bytes."""
    outputs = {name: value for name, value in vars(result).items() if name != "meta"}
    return {
        name: (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value
        for name, value in outputs.items()
    }


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[GradientClient]:
    """One client for all cases."""
    with GradientClient(url) as asked:
        yield asked


@pytest.mark.parametrize("name", CASES)
def test_chunks_have_the_bits_of_one_call(client: GradientClient, name: str) -> None:
    """Whatever the options, a batch in chunks is answered as the batch at once, to the last bit."""
    arguments = {"logits": LOGITS, "labels": LABELS} | CASES[name]
    assert bits(client.gradient(chunk_rows=64, **arguments)) == bits(client.gradient(**arguments))


SMALL: dict[str, dict[str, Any]] = {
    "sample weights": {"sample_weights": 1e-316 * SAMPLE_WEIGHTS.clip(0.1, 9), "ignore_label": 2},
    "class weights": {"class_weights": 1e-316 * CLASS_WEIGHTS},
    "both": {"class_weights": 1e-160 * CLASS_WEIGHTS, "sample_weights": np.full(ROWS, 1e-159)},
    "smoothed": {"class_weights": 1e-316 * CLASS_WEIGHTS, "label_smoothing": 0.1, "mask": MASK},
    "textbook": {"class_weights": 1e-316 * CLASS_WEIGHTS, "objective": TEXTBOOK},
    "targets": {
        "labels": None, "targets": 1e-290 * TARGETS, "targets_sum": "any", "sample_weights": np.full(ROWS, 1e-25),
    },
    "sigmoid": {
        "labels": None, "targets": TARGETS.clip(0, 1), "objective": SIGMOID, "class_weights": CLASS_WEIGHTS,
        "sample_weights": np.full(ROWS, 1e-316),
    },
    "confident": {"logits": CONFIDENT, "sample_weights": np.full(ROWS, 1e-12)},
    "large and ignored": {
        "sample_weights": np.where(LABELS == 2, 1e300, 1e-300), "ignore_label": 2, "logits": CONFIDENT / 7,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_chunks_of_small_weights_lose_no_digits(client: GradientClient, name: str) -> None:
    """Where rows weigh so little that their losses leave the range of float64, a mean is as exact as that of one call.

    The bits may be others, for what vanishes is computed in another way: one call has some digits less, or one more.
    """
    arguments: dict[str, Any] = {"logits": LOGITS, "labels": LABELS, "include": ["loss", "gradient", "losses"]}
    arguments |= SMALL[name]
    part, whole = (client.gradient(chunk_rows=rows, **arguments) for rows in (64, None))
    assert part.loss == pytest.approx(whole.loss, rel=5e-16)
    np.testing.assert_allclose(part.gradient, whole.gradient, rtol=2e-13, atol=5e-324)
    np.testing.assert_allclose(part.losses, whole.losses, rtol=5e-16, atol=5e-323)
    assert part.applied == whole.applied


@pytest.mark.parametrize("name", SMALL)
def test_summaries_of_small_weights_are_as_they_are(client: GradientClient, name: str) -> None:
    """Sums are told as they are, without what was done to them on the way."""
    arguments = {"logits": LOGITS, "labels": LABELS} | SMALL[name]
    part, whole = (client.loss(chunk_rows=rows, **arguments).summary for rows in (64, None))
    assert part.loss_sum == pytest.approx(whole.loss_sum, rel=1e-12, abs=ROWS * 5e-324)
    assert part.weight_sum == pytest.approx(whole.weight_sum, rel=1e-12, abs=ROWS * 5e-324)
    assert (part.example_count, part.correct_count) == (whole.example_count, whole.correct_count)


def test_finished_chunks_of_small_weights_are_as_they_are(client: GradientClient) -> None:
    """So are the results on an error."""
    labels = LABELS.copy()
    labels[-1] = CLASSES
    weights: Any = {"sample_weights": np.full(ROWS, 1e-310), "include": ["losses", "summary"]}
    with pytest.raises(ChunkError) as caught:
        client.loss(LOGITS, labels, chunk_rows=50, **weights)
    whole = client.loss(LOGITS, LABELS, **weights)
    for (start, stop), part in caught.value.partial.items():
        assert part.losses.tobytes() == whole.losses[start:stop].tobytes()
        assert part.summary.weight_sum == pytest.approx(5e-309)
        assert part.applied["denominator_value"] == pytest.approx(3e-308)


def test_weights_too_far_apart_for_chunks(client: GradientClient) -> None:
    """Where small weights have no room to grow, the error says what to do."""
    weights = np.where(np.arange(CLASSES) == 6, 1e300, 1e-300)
    with pytest.raises(InputError, match=r"class_weights are too far apart.*chunk_rows"):
        client.loss(LOGITS, np.zeros(ROWS, np.int64), chunk_rows=50, class_weights=weights)


@pytest.mark.parametrize("name", ["both weights", "class weights in float32", "every output"])
def test_chunks_of_every_client_and_format(ask: Ask, name: str) -> None:
    """So it is for both clients in both formats."""
    arguments = {"logits": LOGITS, "labels": LABELS} | CASES[name]
    assert bits(ask("gradient", chunk_rows=64, **arguments)) == bits(ask("gradient", **arguments))


@pytest.mark.parametrize("options", [{}, {"reduction": "sum"}, {"sample_weights": SAMPLE_WEIGHTS}])
def test_losses_of_chunks(ask: Ask, options: dict[str, Any]) -> None:
    """The loss of chunks is the loss of the batch."""
    arguments = {"logits": LOGITS, "labels": LABELS, **options}
    assert bits(ask("loss", chunk_rows=11, **arguments)) == bits(ask("loss", **arguments))


def test_softmax_of_chunks(ask: Ask) -> None:
    """Probabilities and decisions need no merging, and keep their order."""
    assert bits(ask("softmax", LOGITS, chunk_rows=7)) == bits(ask("softmax", LOGITS))


def test_an_empty_batch_in_chunks(ask: Ask, wire: str) -> None:
    """No rows are one request, with the answer or the refusal of any other."""
    empty = np.empty((0, 3))
    if wire == "json":
        with pytest.raises(ChunkError, match="empty-batch"):
            ask("gradient", empty, [], chunk_rows="auto")
    else:
        assert bits(ask("gradient", empty, [], chunk_rows="auto")) == bits(ask("gradient", empty, []))


def test_chunks_share_an_id(ask: Ask) -> None:
    """The service's log shows one call: all requests bear one id, and the result counts them all."""
    meta = ask("loss", LOGITS, LABELS, chunk_rows=100).meta
    assert len(meta.attempts) == 3
    assert meta.request_bytes > LOGITS.nbytes


def test_progress_counts_rows(ask: Ask) -> None:
    """The function hears of the rows done, in rising order, and of all."""
    heard: list[tuple[int, int]] = []
    ask("loss", LOGITS, LABELS, chunk_rows=90, progress=lambda done, rows: heard.append((done, rows)))
    assert [rows for _, rows in heard] == [ROWS] * 4
    assert [done for done, _ in heard] == sorted({done for done, _ in heard})
    assert heard[-1] == (ROWS, ROWS)


def test_a_failing_chunk_leaves_the_others(ask: Ask) -> None:
    """The error names the rows of the chunk and of the batch, and holds what the finished chunks gave."""
    labels = LABELS.copy()
    labels[215] = CLASSES
    with pytest.raises(ChunkError, match="rows 200 to 219 of 300, row 215: 422 label-out-of-range") as caught:
        ask("gradient", LOGITS, labels, chunk_rows=20)
    error = caught.value
    assert (error.rows, error.row, type(error.error)) == ((200, 220), 215, RejectedInputError)
    whole = ask("gradient", LOGITS, LABELS)
    assert error.partial.keys() >= {(start, start + 20) for start in range(0, 140, 20)}
    for (start, stop), part in error.partial.items():
        assert part.gradient.tobytes() == whole.gradient[start:stop].tobytes()


REFUSED: list[dict[str, Any]] = [
    {"denominator": "rows"},
    {"denominator": "batch", "denominator_value": 2.0},
    {"reduction": "none", "include": ["loss"]},
    {"reduction": "sum", "denominator": "batch"},
    {"class_weights": -CLASS_WEIGHTS},
    {"class_weights": CLASS_WEIGHTS[:3]},
    {"targets": TARGETS},
    {"labels": None},
    {"labels": None, "class_weights": CLASS_WEIGHTS},
    {"labels": None, "targets": TARGETS[:, :3]},
    {"class_weights": []},
    {"logits": np.empty((ROWS, 0)), "class_weights": []},
    {"logits": LOGITS.astype(np.float32), "sample_weights": np.full(ROWS, 1e39)},
    {"logits": LOGITS.astype(np.float32), "class_weights": np.full(CLASSES, 1e39)},
    {"sample_weights": np.where(np.arange(ROWS) < 1, -1e308, 1e-300)},
    {"dtype": "bfloat16"},
    {"dtype": "int8", "sample_weights": SAMPLE_WEIGHTS},
]


@pytest.mark.parametrize("options", REFUSED)
def test_what_is_refused_of_a_batch_is_refused_of_its_chunks(client: GradientClient, options: dict[str, Any]) -> None:
    """What the chunks are asked in place of the batch hides no mistake of the caller."""
    arguments = {"logits": LOGITS, "labels": LABELS} | options
    with pytest.raises(RejectedInputError) as whole:
        client.gradient(**arguments)
    with pytest.raises(ChunkError) as part:
        client.gradient(chunk_rows=ROWS, **arguments)
    assert isinstance(part.value.error, RejectedInputError)
    assert part.value.error.faults == whole.value.faults


LIMIT = 64 * 1024


@pytest.fixture(scope="module")
def narrow() -> Iterator[str]:
    """A service that takes small bodies and small Jacobians only."""
    settings = Settings.model_construct(
        max_json_body_bytes=LIMIT, max_binary_body_bytes=LIMIT, max_jacobian_elements=700
    )
    with serving(settings) as address:
        yield address


@pytest.mark.parametrize("include", [None, ["loss", "jacobian"]])
def test_auto_keeps_the_limits(ask: Ask, narrow: str, include: Any) -> None:
    """Each body and each Jacobian is within the service's limits, and the bits are those of one call."""
    copies = 1 if include else 40
    arguments = {"logits": np.tile(LOGITS, (copies, 1)), "labels": np.tile(LABELS, copies), "include": include}
    result = ask("gradient", at=narrow, chunk_rows="auto", **arguments)
    assert bits(result) == bits(ask("gradient", **arguments))
    assert len(result.meta.attempts) > 3
