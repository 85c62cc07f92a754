"""What a mean divides by, from the fields of the whole batch, so that its chunks can be told it as a number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ._exact_sum import Floats, exact_sum, two_product, two_sum
from ._fields import Value
from ._refusal import refusal
from ._wire import number_type, reply_dtype

_SIGMOID = "sigmoid_binary_cross_entropy"


def denominator_of(fields: Mapping[str, Value]) -> float | None:
    """The number that the mean of a batch divides by.

    Formula: D = Σ r_n V_n over counted rows with V_n = Σ_j w_j c_nj, or the number of rows, by `denominator`

    Args:
        fields: of the whole batch.

    Returns:
        D, correctly rounded; None without a mean, or where the service will refuse the fields, and say why.

    Raises:
        InputError: D leaves the range of float64.
    """
    if fields.get("reduction", "mean") != "mean" or not _is_complete(fields):
        return None
    if "denominator_value" in fields:
        return float(cast("float", fields["denominator_value"]))
    match fields.get("denominator", "weights"):
        case "batch":
            return float(len(_array(fields, "logits")))
        case "weights" if _is_weighted(fields):
            return _weight_sum(fields)
        case "weights" | "examples":
            return float(np.count_nonzero(_is_counted(fields)))
        case _:
            return None


def _is_complete(fields: Mapping[str, Value]) -> bool:
    """Whether there is what rows are compared with, and what has an entry for each class has as many."""
    num_classes = np.shape(fields["logits"])[1]
    widths = [np.shape(fields[name])[-1] for name in ("targets", "class_weights") if name in fields]
    return num_classes > 0 and {*widths} <= {num_classes} and not {"labels", "targets"}.isdisjoint(fields)


def _is_weighted(fields: Mapping[str, Value]) -> bool:
    """Whether rows may count for something else than 1 each."""
    if "sample_weights" in fields or "class_weights" in fields:
        return True
    return "targets" in fields and fields.get("objective") != _SIGMOID


def _is_counted(fields: Mapping[str, Value]) -> NDArray[np.bool]:
    """Which rows are not ignored, (N,)."""
    if "labels" not in fields or "ignore_label" not in fields:
        return np.ones(len(_array(fields, "logits")), np.bool)
    counted: NDArray[np.bool] = _array(fields, "labels") != fields["ignore_label"]
    return counted


def _weight_sum(fields: Mapping[str, Value]) -> float | None:
    counted = _is_counted(fields)
    weights = _numbers(fields, "sample_weights")[counted] if "sample_weights" in fields else np.ones(counted.sum())
    with np.errstate(over="ignore", invalid="ignore"):
        row_weights, row_exponent = _below_1(weights)
        target_sums, exponent = _target_sums(fields, counted)
        parts = [part for sums in target_sums for part in two_product(row_weights, sums)]
    if not all(np.isfinite(part).all() for part in parts):
        return None  # numbers beyond the dtype
    try:
        total = math.ldexp(exact_sum(parts), row_exponent + exponent)
    except OverflowError:
        given = next(name for name in ("sample_weights", "class_weights", "targets") if name in fields)
        raise refusal(given, "add up beyond the range of float64", "divide them by a power of two") from None
    # Weights below 0 are for the service to refuse, by their own name.
    return max(total, 0.0)


def _target_sums(fields: Mapping[str, Value], counted: NDArray[np.bool]) -> tuple[tuple[Floats, ...], int]:
    """V_n of each counted row, as numbers that add up to it, as multiples of a power of two, and its exponent."""
    num_rows, num_classes = int(counted.sum()), np.shape(fields["logits"])[1]
    if fields.get("objective") == _SIGMOID:
        return (np.ones(num_rows),), 0
    weights = _numbers(fields, "class_weights") if "class_weights" in fields else np.ones(num_classes)
    class_weights, exponent = _below_1(weights)
    if "targets" not in fields:
        # What is no class is refused by the service, whatever it would weigh.
        labels = cast("NDArray[np.integer]", fields["labels"])[counted]
        return (np.take(class_weights, labels, mode="clip"),), exponent
    targets = _array(fields, "targets")
    target_exponent = _exponent(targets)
    sums, left_out = np.zeros((2, num_rows))
    for column, class_weight in zip(targets.T, class_weights, strict=True):
        numbers = np.ldexp(_rounded(fields, column), -target_exponent)
        products, errors = two_product(numbers, np.asarray(class_weight))
        sums, more = two_sum(sums, products)
        left_out += more + errors
    return (sums, left_out), exponent + target_exponent


def _below_1(numbers: Floats) -> tuple[Floats, int]:
    """Numbers as multiples of a power of two, and its exponent: products of them are within the range."""
    exponent = _exponent(numbers)
    return np.ldexp(numbers, -exponent), exponent


def _exponent(numbers: NDArray[np.floating]) -> int:
    """Of the least power of two above all numbers."""
    return math.frexp(float(numbers.max(initial=0.0)))[1]


def _numbers(fields: Mapping[str, Value], name: str) -> Floats:
    return _rounded(fields, _array(fields, name))


def _rounded(fields: Mapping[str, Value], array: NDArray[np.floating]) -> Floats:
    """Numbers as the service reads them: rounded to the dtype of the answer."""
    with np.errstate(over="ignore"):  # the service refuses what becomes infinite
        numbers: Floats = array.astype(number_type(reply_dtype(fields))).astype(np.float64)
    return numbers


def _array(fields: Mapping[str, Value], name: str) -> NDArray[np.floating]:
    return cast("NDArray[np.floating]", fields[name])
