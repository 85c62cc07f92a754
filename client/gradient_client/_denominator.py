"""What a mean divides by, from the fields of the whole batch, so that its chunks can be told it as a number."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from ._exact_sum import Exponents, Floats, exact_sum, scaled_product, two_sum
from ._fields import Value
from ._refusal import refusal
from ._wire import number_type, reply_dtype

_LEAST = -(2**30)  # below every exponent
SIGMOID = "sigmoid_binary_cross_entropy"


@dataclass(frozen=True, slots=True)
class Denominator:
    """What a mean divides by: significand · 2^exponent, with all its digits also where they are beyond float64."""

    significand: float
    exponent: int = 0

    def shifted(self, bits: int) -> float:
        """It times a power of two. Raises OverflowError if that leaves the range of float64."""
        return math.ldexp(self.significand, self.exponent + bits)

    @property
    def value(self) -> float:
        """It as float64; 0 below its range."""
        return self.shifted(0)

    @property
    def magnitude(self) -> int:
        """The exponent of the least power of two above it."""
        return math.frexp(self.significand)[1] + self.exponent


def denominator_of(fields: Mapping[str, Value]) -> Denominator | None:
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
        return Denominator(float(cast("float", fields["denominator_value"])))
    match fields.get("denominator", "weights"):
        case "batch":
            return Denominator(float(len(_array(fields, "logits"))))
        case "weights" if is_by_weights(fields):
            return _weight_sum(fields)
        case "weights" | "examples":
            return Denominator(float(np.count_nonzero(_is_counted(fields))))
        case _:
            return None


def _is_complete(fields: Mapping[str, Value]) -> bool:
    """Whether there is what rows are compared with, and what has an entry for each class has as many."""
    num_classes = np.shape(fields["logits"])[1]
    widths = [np.shape(fields[name])[-1] for name in ("targets", "class_weights") if name in fields]
    return num_classes > 0 and {*widths} <= {num_classes} and not {"labels", "targets"}.isdisjoint(fields)


def is_by_weights(fields: Mapping[str, Value]) -> bool:
    """Whether the mean divides by weights, which may be other than 1 each."""
    if "denominator_value" in fields or fields.get("denominator", "weights") != "weights":
        return False
    if "sample_weights" in fields or "class_weights" in fields:
        return True
    return "targets" in fields and fields.get("objective") != SIGMOID


def _is_counted(fields: Mapping[str, Value]) -> NDArray[np.bool]:
    """Which rows are not ignored, (N,)."""
    if "labels" not in fields or "ignore_label" not in fields:
        return np.ones(len(_array(fields, "logits")), np.bool)
    counted: NDArray[np.bool] = _array(fields, "labels") != fields["ignore_label"]
    return counted


def _weight_sum(fields: Mapping[str, Value]) -> Denominator | None:
    counted = _is_counted(fields)
    weights = _numbers(fields, "sample_weights")[counted] if "sample_weights" in fields else np.ones(counted.sum())
    with np.errstate(over="ignore", invalid="ignore"):
        *sums, exponents = _target_sums(fields, counted)
        products = [scaled_product(weights, part) for part in sums]
    products = [(product, left_out, exponent + exponents) for product, left_out, exponent in products]
    if not all(np.isfinite(product).all() for product, _, _ in products):
        return None  # numbers beyond the dtype
    largest = max(int(exponent.max(initial=_LEAST, where=product != 0)) for product, _, exponent in products)
    parts = [np.ldexp(part, exponent - largest) for *both, exponent in products for part in both]
    significand = exact_sum(parts)
    if significand <= 0:  # weights below 0 are for the service to refuse, by their own name
        return Denominator(0.0)
    total = Denominator(significand, largest)
    if total.magnitude > sys.float_info.max_exp:
        given = next(name for name in ("sample_weights", "class_weights", "targets") if name in fields)
        raise refusal(given, "add up beyond the range of float64", "divide them by a power of two")
    return total


def _target_sums(fields: Mapping[str, Value], counted: NDArray[np.bool]) -> tuple[*tuple[Floats, ...], Exponents]:
    """V_n of each counted row: numbers that add up to it over a power of two, whose exponent is the last."""
    num_rows, num_classes = int(counted.sum()), np.shape(fields["logits"])[1]
    none = np.zeros(num_rows, np.int32)
    if fields.get("objective") == SIGMOID:
        return np.ones(num_rows), none
    class_weights = _numbers(fields, "class_weights") if "class_weights" in fields else np.ones(num_classes)
    if "targets" not in fields:
        # What is no class is refused by the service, whatever it would weigh.
        labels = cast("NDArray[np.integer]", fields["labels"])[counted]
        return np.take(class_weights, labels, mode="clip"), none
    sums, left_out = np.zeros((2, num_rows))
    largest = none + _LEAST
    for column, class_weight in zip(_array(fields, "targets").T, class_weights, strict=True):
        product, error, exponent = scaled_product(_rounded(fields, column), np.asarray(class_weight))
        exponent = np.where(product > 0, exponent, _LEAST)
        before, largest = largest, np.maximum(largest, exponent)
        sums, more = two_sum(np.ldexp(sums, before - largest), np.ldexp(product, exponent - largest))
        left_out = np.ldexp(left_out, before - largest) + np.ldexp(error, exponent - largest) + more
    return sums, left_out, largest


def _numbers(fields: Mapping[str, Value], name: str) -> Floats:
    return _rounded(fields, _array(fields, name))


def _rounded(fields: Mapping[str, Value], array: NDArray[np.floating]) -> Floats:
    """Numbers as the service reads them: rounded to the dtype of the answer."""
    with np.errstate(over="ignore"):  # the service refuses what becomes infinite
        numbers: Floats = array.astype(number_type(reply_dtype(fields))).astype(np.float64)
    return numbers


def _array(fields: Mapping[str, Value], name: str) -> NDArray[np.floating]:
    return cast("NDArray[np.floating]", fields[name])
