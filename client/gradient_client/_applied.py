"""The options in force of a request, as the service tells them: what was asked for, and its defaults."""

from __future__ import annotations

from collections.abc import Mapping

from ._denominator import SIGMOID, denominator_of
from ._fields import Value
from ._protocol import CHECK, GRADIENT, SOFTMAX, Expectation
from ._records import Result

_TEXTBOOK = "softmax_binary_cross_entropy"


def applied_of(fields: Mapping[str, Value], expected: Expectation[Result]) -> dict[str, object]:
    """Each scalar option in force, and the number that a mean divides by.

    Args:
        fields: of the request.
        expected: what they imply about the reply.
    """
    options: dict[str, object] = {"temperature": 1.0}
    if expected.operation is not CHECK:
        options["precision"] = "accurate"
    if expected.operation is not SOFTMAX:
        options |= _of_objective(fields)
        options |= _of_reduction(fields)
    if expected.operation is GRADIENT and fields.get("objective") != _TEXTBOOK:
        options["curvature"] = "exact"
    given = {name: value for name, value in fields.items() if isinstance(value, str | float | int)}
    return {**options, **given, "dtype": expected.dtype}


def _of_objective(fields: Mapping[str, Value]) -> dict[str, object]:
    options: dict[str, object] = {"objective": "softmax_cross_entropy"}
    if fields.get("objective") != SIGMOID:
        options["label_smoothing"] = 0.0
        if "targets" in fields:
            options["targets_sum"] = "one"
    return options


def _of_reduction(fields: Mapping[str, Value]) -> dict[str, object]:
    options: dict[str, object] = {"reduction": "mean"}
    if (denominator := denominator_of(fields)) is not None:
        options["denominator_value"] = denominator.value
        if "denominator_value" not in fields:
            options["denominator"] = "weights"
    return options
