"""Weights of a batch as multiples of a power of two, where they are so small that its chunks would lose digits.

One call divides the exact sum of the losses; chunks send that of the losses as float64, whose small ones have few
digits. The mean does not change when all weights and what it divides by grow alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ._arrays import AnyArray
from ._denominator import SIGMOID, Denominator, is_by_weights
from ._fields import Value
from ._refusal import refusal
from ._wire import number_type, reply_dtype
from .results import Summary

_LEAST_MAGNITUDE = -64
"""Of what chunks divide by: far enough from the least exponents for any loss that does not come near them itself."""


@dataclass(frozen=True, slots=True)
class Shift:
    """By which power of two weights grow on their way, and what is answered of them shrinks again."""

    bits: int = 0
    field: str = "sample_weights"
    """Which weights."""

    def fields(self, fields: Mapping[str, Value]) -> dict[str, Value]:
        """The fields with larger weights."""
        if not self.bits:
            return {**fields}
        num_classes = np.shape(fields["logits"])[1]
        weights = cast("AnyArray", {"class_weights": np.ones(num_classes), **fields}[self.field])
        return {**fields, self.field: np.ldexp(weights, self.bits)}

    def outputs(self, outputs: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs of a mean as they are without the shift."""
        shrunk = {**outputs}
        if self.bits and "losses" in shrunk:
            shrunk["losses"] = np.ldexp(shrunk["losses"], -self.bits)
        if self.bits and "summary" in shrunk:
            shrunk["summary"] = self._summary(shrunk["summary"])
        return shrunk

    def _summary(self, summary: Summary) -> Summary:
        return replace(
            summary,
            loss_sum=self._number(summary.loss_sum),
            weight_sum=self._number(summary.weight_sum),
            loss_tail=tuple(map(self._number, summary.loss_tail)),
            weight_tail=tuple(map(self._number, summary.weight_tail)),
        )

    def _number(self, number: float) -> float:
        return math.ldexp(number, -self.bits)


def shift_of(fields: Mapping[str, Value], denominator: Denominator | None) -> Shift:
    """The shift by which rows weigh 1 on average, if they weigh less.

    Args:
        fields: of the whole batch.
        denominator: of its mean.

    Raises:
        InputError: there is no room for it, because other weights are so large.
    """
    # What float32 can hold, divided or not, float64 holds with all its digits.
    is_exact = number_type(reply_dtype(fields)) == np.float32
    if is_exact or not is_by_weights(fields) or denominator is None or not denominator.value:
        return Shift()
    num_rows, num_classes = np.shape(fields["logits"])
    weights = {"class_weights": np.ones(num_classes), **fields}
    # With this objective no mean divides by the weights of classes.
    names = {"sample_weights"} if fields.get("objective") == SIGMOID else {"sample_weights", "class_weights"}
    room, field = max((_room(cast("AnyArray", weights[name])), name) for name in names & weights.keys())
    wanted = num_rows.bit_length() - denominator.magnitude
    bits = max(0, min(wanted, room))
    if denominator.magnitude + bits < _LEAST_MAGNITUDE:
        raise refusal(field, "are too far apart to be sent in chunks", "leave out chunk_rows")
    return Shift(bits, field)


def _room(weights: AnyArray) -> int:
    """By which power of two the largest weight can grow in its dtype."""
    return int(np.finfo(weights.dtype).maxexp) - math.frexp(float(weights.max(initial=0.0)))[1]
