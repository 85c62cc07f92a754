"""What schemathesis cannot know of a body from its schema: rows of one length, and options that go together.

A request that the schema allows is made rectangular and free of conflicts before it is sent, from what was drawn; one
that the schema forbids is sent as it is. Deadlines are made long enough, since one of a millisecond is rightly missed,
and whole numbers are written without a point, since 1.0 is an integer to JSON Schema, but no label. Bytes that are to
be tensors are those of a file, or stand behind JSON whose length is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import schemathesis

EXAMPLES = Path(__file__).parents[2] / "openapi/examples"
DEADLINE = "X-Request-Deadline-Ms"
PATIENT = "60000"
JSON_BYTES = "Inference-Header-Content-Length"
LOGITS: dict[str, Any] = {"name": "logits", "datatype": "FP64", "shape": [1, 2], "parameters": {"binary_data_size": 16}}
LABELS: dict[str, Any] = {"name": "labels", "datatype": "INT32", "shape": [1], "parameters": {"binary_data_size": 4}}
SIGMOID, TEXTBOOK = "sigmoid_binary_cross_entropy", "softmax_binary_cross_entropy"
LARGEST_LOGIT = 10.0
FLOATS = ("temperature", "denominator_value")
WITHOUT: dict[str, tuple[str, ...]] = {
    "labels": ("targets", "targets_sum"),
    "targets": ("labels", "ignore_label"),
    SIGMOID: ("labels", "ignore_label", "label_smoothing", "targets_sum", "curvature"),
    TEXTBOOK: ("curvature",),
    "mean": ("upstream",),
    "sum": ("denominator", "denominator_value", "upstream"),
    "none": ("denominator", "denominator_value"),
    "denominator_value": ("denominator",),
}
"""What is left out beside a field, an objective or a reduction."""

Body = dict[str, Any]


@schemathesis.hook  # type: ignore[untyped-decorator]  # it is installed for its own test only
def before_call(context: Any, case: Any, kwargs: Mapping[str, Any]) -> None:
    """Make the body of an allowed request fit together."""
    del context, kwargs
    given = str((case.headers or {}).get(DEADLINE, ""))
    if given.isascii() and given.isdecimal() and 0 < int(given) < int(PATIENT):
        case.headers[DEADLINE] = PATIENT
    is_allowed = case.meta is not None and case.meta.generation.mode.is_positive
    if is_allowed and case.operation.path in {"/softmax", "/loss", "/gradient", "/check"}:
        name = case.operation.path.removeprefix("/")
        if case.media_type == "application/json":
            case.body = fitted(case.body, name)
        else:
            case.body = (EXAMPLES / f"{name}.everyday.request.safetensors").read_bytes()
    elif is_allowed and case.operation.path.endswith("/infer"):
        fit_inference(case)


def fitted(body: Body, name: str) -> Body:
    """The fields that were drawn, each as long as the logits need it."""
    rows = fitted_rows(body["logits"])
    if body.get("objective") == TEXTBOOK:
        rows = [[*row, 0.0] for row in rows]  # a single class would make its loss infinite
    num_rows, num_classes = len(rows), len(rows[0])
    made: Body = {
        "logits": rows,
        "labels": [int(label) % num_classes for label in cycled(body.get("labels") or [0], num_rows)],
        "targets": [[1 / num_classes] * num_classes] * num_rows,
        "class_weights": weights(body, "class_weights", num_classes),
        "sample_weights": weights(body, "sample_weights", num_rows),
        "class_mask": [True] * num_classes,
        "element_mask": [[True] * num_classes] * num_rows,
        "upstream": weights(body, "upstream", num_rows),
        "claimed": {"losses": weights(body.get("claimed", {}), "losses", num_rows)},
        "ignore_label": int(body.get("ignore_label", 0)),
    }
    fields: Body = {field: made.get(field, value) for field, value in body.items()}
    fields |= {field: min(max(fields[field], 0.5), 1e6) for field in FLOATS if field in fields}
    return fields if name == "softmax" else without_conflicts(fields, made)


def without_conflicts(fields: Body, made: Body) -> Body:
    """The fields without those that do not go with another one."""
    objective, reduction = fields.get("objective"), fields.get("reduction", "mean")
    compared = "targets" if objective == SIGMOID or "labels" not in fields else "labels"
    reasons = {compared, objective, reduction} | ({"denominator_value"} & fields.keys())
    left_out = {field for reason in reasons for field in WITHOUT.get(str(reason), ())}
    fields = {field: value for field, value in (fields | {compared: made[compared]}).items() if field not in left_out}
    if "include" in fields:
        hidden = {"loss"} if reduction == "none" else set()
        hidden |= {"hessian_diagonal"} if objective == TEXTBOOK else set()
        fields["include"] = [output for output in fields["include"] if output not in hidden]
    return fields


def fitted_rows(rows: list[list[float]]) -> list[list[float]]:
    """The rows that were drawn, as long as the first, one at least; numbers neither large nor tiny."""
    num_classes = max(1, len(rows[0]) if rows else 0)
    return [[bounded(number) for number in cycled(row or [0.0], num_classes)] for row in rows or [[0.0]]]


def bounded(number: float) -> float:
    """The number within the bounds of an ordinary logit."""
    return min(max(number, -LARGEST_LOGIT), LARGEST_LOGIT)


def weights(body: Body, field: str, length: int) -> list[float]:
    """The weights that were drawn, none of them too small for their sum to count."""
    return [1.0 + abs(bounded(number)) for number in cycled(body.get(field) or [0.0], length)]


def cycled(values: list[Any], length: int) -> list[Any]:
    """The values, again and again."""
    return [values[position % len(values)] for position in range(length)]


def fit_inference(case: Any) -> None:
    """Make the body of an allowed inference one that can be computed, and its head tell how long the JSON is."""
    model = case.path_parameters["model"]
    case.headers.pop(JSON_BYTES, None)
    if case.media_type == "application/json":
        case.body = fitted_inference(case.body, model)
        return
    inputs, tensors = [LOGITS], bytes(LOGITS["parameters"]["binary_data_size"])
    if model != "softmax":
        inputs, tensors = [LOGITS, LABELS], tensors + bytes(LABELS["parameters"]["binary_data_size"])
    text = json.dumps({"inputs": inputs}).encode()
    case.headers[JSON_BYTES] = str(len(text))
    case.body = text + tensors


def fitted_inference(body: Body, model: str) -> Body:
    """As many rows as inputs were drawn, under the id that was."""
    rows = max(1, len(body.get("inputs", ())))
    inputs = [{"name": "logits", "datatype": "FP64", "shape": [rows, 2], "data": [0.5, 1.5] * rows}]
    if model != "softmax":
        inputs.append({"name": "labels", "datatype": "INT32", "shape": [rows], "data": [1] * rows})
    return {"inputs": inputs} | {member: body[member] for member in ("id",) if member in body}
