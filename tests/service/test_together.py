"""Calls computed together: each has the bits that it has alone."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from gradient_service import operations
from gradient_service.core.limits import WorkLimits
from gradient_service.operations import Work, kind_of
from gradient_service.operations.alike import PER_ROW, joined
from gradient_service.schemas.fields import Dtype
from gradient_service.schemas.requests import (
    GradientOutput,
    GradientRequest,
    LossRequest,
    SoftmaxOutput,
    SoftmaxRequest,
)
from gradient_service.wire import json_body, safetensors_body

WORK = Work(WorkLimits(10**6, 10**6, 10**8, 25))
SIZES = (1, 3, 0, 2, 65)
NUM_CLASSES = 5
rng = np.random.default_rng(20261127)


def logits(size: int, dtype: Any = np.float64) -> Any:
    """Scores of so many rows, now near each other and now far apart."""
    return (rng.normal(size=(size, NUM_CLASSES)) * 10 ** rng.uniform(-2, 2, (size, 1))).astype(dtype)


def labels(size: int) -> Any:
    """A class a row."""
    return rng.integers(0, NUM_CLASSES, size)


def targets(size: int) -> Any:
    """A distribution a row."""
    drawn = rng.uniform(size=(size, NUM_CLASSES))
    return drawn / drawn.sum(axis=1, keepdims=True)


NO_FIRST = np.arange(NUM_CLASSES) > 0.0
"""Weights of all classes but the first."""
ALL = [each for each in GradientOutput if each is not GradientOutput.HESSIAN_DIAGONAL]
DERIVATIVES = [
    GradientOutput.GRADIENT,
    GradientOutput.GRADIENT_DIAGONAL_ONLY,
    GradientOutput.LOSS_WRT_PROBABILITIES,
    GradientOutput.LOSSES,
]
GRADIENTS: dict[str, Any] = {
    "labels": lambda size: {"labels": labels(size)},
    "float32": lambda size: {"labels": labels(size), "dtype": Dtype.FLOAT32},
    "fast": lambda size: {"labels": labels(size), "precision": "fast"},
    "every output": lambda size: {"labels": labels(size), "include": ALL},
    "sum": lambda size: {"labels": labels(size), "reduction": "sum"},
    "none": lambda size: {"labels": labels(size), "reduction": "none", "upstream": rng.normal(size=size)},
    "targets": lambda size: {"targets": targets(size)},
    "smoothed": lambda size: {"labels": labels(size), "label_smoothing": 0.1},
    "ignored": lambda size: {"labels": labels(size), "ignore_label": 2},
    "sample weights": lambda size: {"labels": labels(size), "sample_weights": rng.uniform(0.5, 2, size)},
    "examples": lambda size: {
        "labels": labels(size), "sample_weights": rng.uniform(0.5, 2, size), "denominator": "examples"
    },
    "batch": lambda size: {"labels": labels(size), "ignore_label": 0, "denominator": "batch"},
    "value": lambda size: {"labels": labels(size), "denominator_value": 3.5},
    "mask": lambda size: {
        "labels": np.zeros(size, int), "element_mask": rng.uniform(size=(size, NUM_CLASSES)) < [1, 0.5, 0.5, 0.5, 0.5]
    },
    "sigmoid": lambda size: {
        "targets": rng.uniform(size=(size, NUM_CLASSES)), "objective": "sigmoid_binary_cross_entropy"
    },
    "textbook": lambda size: {"labels": labels(size), "objective": "softmax_binary_cross_entropy"},
    "temperature": lambda size: {"labels": labels(size), "temperature": 1e-100},
    "fast sigmoid in float32": lambda size: {
        "targets": rng.uniform(size=(size, NUM_CLASSES)), "objective": "sigmoid_binary_cross_entropy",
        "precision": "fast", "dtype": Dtype.FLOAT32, "include": DERIVATIVES, "temperature": 50.0,
    },
    "fast targets in float32": lambda size: {
        "targets": targets(size), "precision": "fast", "dtype": Dtype.FLOAT32, "include": DERIVATIVES,
        "temperature": 50.0,
    },
    "weights of which some are 0": lambda size: {
        "labels": np.zeros(size, int), "objective": "softmax_binary_cross_entropy", "include": ALL,
        "sample_weights": np.arange(size) % 2.0 if size > 1 else np.ones(size), "class_weights": NO_FIRST,
        "reduction": "sum",
    },
    "upstream of both signs": lambda size: {
        "labels": labels(size), "include": DERIVATIVES, "reduction": "none", "upstream": np.sign(rng.normal(size=size)),
    },
}  # fmt: skip


def assert_as_alone(requests: list[Any], operation: Any, alone: Any) -> None:
    """All are of one kind, and each reply has the bytes that it has by itself."""
    assert len({kind_of(each) for each in requests}) == 1
    together = operation(requests, WORK)
    for request, reply in zip(requests, together, strict=True):
        assert type(reply) is type(alone(request, WORK))
        for encode in (json_body.encode, safetensors_body.encode):
            assert b"".join(encode(reply)) == b"".join(encode(alone(request, WORK)))


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_computed_together_are_those_computed_alone(name: str) -> None:
    """To the bit, with loss, summary and denominator, for every kind of option, and for batches of any size."""
    requests = [GradientRequest(logits=logits(size), **GRADIENTS[name](size)) for size in SIZES]
    assert_as_alone(requests, operations.gradient_of_each, operations.gradient)


def test_losses_and_probabilities_computed_together_are_those_computed_alone() -> None:
    """The other two operations keep their bits too."""
    losses = [LossRequest(logits=logits(size), labels=labels(size)) for size in SIZES]
    assert_as_alone(losses, operations.loss_of_each, operations.loss)
    scores = [SoftmaxRequest(logits=logits(size, np.float32), include=list(SoftmaxOutput)) for size in SIZES]
    assert_as_alone(scores, operations.softmax_of_each, operations.softmax)


def test_what_differs_is_of_another_kind() -> None:
    """Another option, another number of classes, another type, and arrays that count for all rows part calls."""
    one = logits(2)
    given: list[dict[str, Any]] = [
        {},
        {"temperature": 2.0},
        {"label_smoothing": 0.0},
        {"label_smoothing": -0.0},
        {"reduction": "sum"},
        {"precision": "fast"},
        {"dtype": Dtype.FLOAT32},
        {"include": [GradientOutput.LOSS]},
        {"include": [GradientOutput.LOSS, GradientOutput.GRADIENT, GradientOutput.SUMMARY]},
        {"logits": one[:, :3]},
        {"logits": one.astype(np.float32)},
        {"sample_weights": np.ones(2)},
        {"class_weights": np.ones(NUM_CLASSES)},
        {"class_weights": np.ones(NUM_CLASSES) * 2},
        {"class_mask": np.ones(NUM_CLASSES, bool)},
    ]
    requests = [GradientRequest(**({"logits": one, "labels": np.array([0, 1])} | each)) for each in given]
    requests.append(LossRequest(logits=one, labels=np.array([0, 1])))  # type: ignore[arg-type]
    for left, right in itertools.combinations(requests, 2):
        assert kind_of(left) != kind_of(right)


@pytest.mark.parametrize("name", sorted(PER_ROW - {"logits"}))
def test_what_does_not_fit_its_own_rows_is_of_another_kind(name: str) -> None:
    """A surplus of one call and a lack in another make no whole: neither may have a row of its neighbour's."""
    fields: dict[str, Any] = {"labels": labels, "targets": targets, "element_mask": lambda size: targets(size) > 0}
    each_row = fields.get(name, lambda size: rng.uniform(size=size))
    supervised: dict[str, Any] = {} if name in {"labels", "targets"} else {"labels": np.array([0, 1])}
    requests = [GradientRequest(logits=logits(2), **{name: each_row(size)}, **supervised) for size in (1, 2, 2, 3)]
    kinds = [kind_of(each) for each in requests]
    assert [kinds.count(kind) for kind in kinds] == [1, 2, 2, 1]


def test_one_call_is_not_copied() -> None:
    """A call that nobody joins is computed from its own arrays."""
    request = SoftmaxRequest(logits=logits(2))
    assert joined([request]) is request


def test_each_request_has_its_own_list_of_outputs() -> None:
    """What one call leaves out is not shared with the next."""
    first, second = (SoftmaxRequest(logits=logits(2)) for _ in range(2))
    assert first.include == second.include == [SoftmaxOutput.PROBABILITIES, SoftmaxOutput.PREDICTED_LABELS]
    assert first.include is not second.include
