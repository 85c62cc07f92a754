"""Well-formed requests whose options conflict or whose values break a rule; the columns are those of `Case`."""

from __future__ import annotations

from .bad_bytes import Case
from .bad_fields import SUPERVISED, Fields

SIGMOID = {"objective": "sigmoid_binary_cross_entropy"}
TEXTBOOK = {"objective": "softmax_binary_cross_entropy"}
LABELLED: Fields = {"logits": [[1, 2, 3], [0, 0, 0]], "labels": [2, 0]}
TARGETED: Fields = {"logits": [[1, 2, 3], [0, 0, 0]], "targets": [[0, 0, 1], [0.5, 0.5, 0]]}
INFINITE = {"class_mask": [True, True, False]}


def on(paths: tuple[str, ...], base: Fields, changes: Fields, slug: str, pointer: str) -> list[Case]:
    """The case of some changes to a good request on each path."""
    name = " ".join(f"{field}={str(value)[:24]}" for field, value in changes.items())
    return [(f"{name} {pointer}", path, base | changes, 422, slug, pointer) for path in paths]


def conflict(base: Fields, changes: Fields, pointer: str, paths: tuple[str, ...] = SUPERVISED) -> list[Case]:
    """The case of options that do not go together."""
    return on(paths, base, changes, "conflicting-fields", pointer)


GRADIENT = ("gradient",)

CONFLICTS: list[Case] = [
    *conflict(LABELLED, SIGMOID, "/labels"),
    *conflict(TARGETED, SIGMOID | {"label_smoothing": 0.1}, "/label_smoothing"),
    *conflict(TARGETED, SIGMOID | {"targets_sum": "any"}, "/targets_sum"),
    *conflict(LABELLED, {"targets_sum": "any"}, "/targets_sum"),
    *conflict(TARGETED, {"ignore_label": 0}, "/ignore_label"),
    *conflict(LABELLED, {"reduction": "sum", "denominator": "batch"}, "/denominator"),
    *conflict(LABELLED, {"reduction": "none", "denominator": "examples"}, "/denominator"),
    *conflict(LABELLED, {"reduction": "sum", "denominator_value": 2}, "/denominator_value"),
    *conflict(LABELLED, {"reduction": "none", "denominator_value": 2}, "/denominator_value"),
    *conflict(LABELLED, {"denominator": "batch", "denominator_value": 2}, "/denominator_value"),
    *conflict(LABELLED, {"reduction": "none", "include": ["loss"]}, "/include/0"),
    *conflict(LABELLED, {"reduction": "none", "include": ["losses", "summary", "loss"]}, "/include/2"),
    *conflict(LABELLED, {"upstream": [1, 1]}, "/upstream", GRADIENT),
    *conflict(LABELLED, {"upstream": [1, 1], "reduction": "sum"}, "/upstream", GRADIENT),
    *conflict(LABELLED, TEXTBOOK | {"curvature": "upper_bound"}, "/curvature", GRADIENT),
    *conflict(LABELLED, TEXTBOOK | {"curvature": "absolute_residual"}, "/curvature", GRADIENT),
    *conflict(LABELLED, TEXTBOOK | {"include": ["hessian_diagonal"]}, "/include/0", GRADIENT),
    *conflict(TARGETED, SIGMOID | {"curvature": "upper_bound"}, "/curvature", GRADIENT),
    *conflict(TARGETED, SIGMOID | {"curvature": "class_scaled"}, "/curvature", GRADIENT),
]

VALUES: list[Case] = [
    *(case for label in (-1, 3, 2**62, -(2**63), 2**63 - 1)
      for case in on(SUPERVISED, LABELLED, {"labels": [0, label]}, "label-out-of-range", "/labels/1")),
    *on(SUPERVISED, LABELLED, {"labels": [-1, -2], "ignore_label": -1}, "label-out-of-range", "/labels/1"),
    *(case for field, size in (("class_weights", 3), ("sample_weights", 2))
      for case in on(SUPERVISED, LABELLED, {field: [1] * (size - 1) + [-1e-300]}, "out-of-range",
                     f"/{field}/{size - 1}")),
    *on(SUPERVISED, TARGETED, {"targets": [[0, 0, 1], [2, -1, 0]]}, "out-of-range", "/targets/1/1"),
    *on(SUPERVISED, TARGETED, {"targets": [[0, 0, 1], [2, -1, 0]], "targets_sum": "any"}, "out-of-range",
        "/targets/1/1"),
    *on(SUPERVISED, TARGETED, SIGMOID | {"targets": [[0, 0, 1.5], [0, 0, 0]]}, "out-of-range", "/targets/0/2"),
    *on(SUPERVISED, TARGETED, TEXTBOOK | {"targets": [[0, 2, 0], [0, 0, 0]], "targets_sum": "any"}, "out-of-range",
        "/targets/0/1"),
    *on(SUPERVISED, TARGETED, {"targets": [[0, 0, -0.5], [1, 0, 0]]}, "out-of-range", "/targets/0/2"),
    *on(SUPERVISED, TARGETED, {"targets": [[0, 0.5, 0.4], [0, 0, 1]]}, "invalid-distribution", "/targets/0"),
    *on(SUPERVISED, TARGETED, {"targets": [[0, 0, 1], [0, 0, 1.000002]]}, "invalid-distribution", "/targets/1"),
    *on(SUPERVISED, TARGETED, {"targets": [[0, 0, 1], [0, 0, 0]]}, "invalid-distribution", "/targets/1"),
    *on(SUPERVISED, TARGETED, {"targets": [[0, 0, 1], [1e308, 1e308, 0]]}, "invalid-distribution", "/targets/1"),
    *on(SUPERVISED, TARGETED, {"targets": [[0, 0, 1], [1e308, 1e308, 0]], "targets_sum": "any"}, "number-out-of-range",
        "/targets/1"),
    *(case for option, value in (("denominator_value", 0), ("denominator_value", -5e-324), ("temperature", -1e308),
                                 ("label_smoothing", 1e308), ("label_smoothing", -5e-324))
      for case in on(SUPERVISED, LABELLED, {option: value}, "out-of-range", f"/{option}")),
    *on(SUPERVISED, LABELLED, {"class_weights": [-1, -1, 0], "sample_weights": [-1, 1], "labels": [7, 0]},
        "label-out-of-range", "/labels/0"),
    *on(SUPERVISED, TARGETED, TEXTBOOK | {"targets": [[0, 0, 1], [1, 0, 1]]}, "invalid-distribution", "/targets/1"),
    *on(("softmax",), {"logits": [[1, 2]]}, {"class_mask": [False, False]}, "undefined-row", "/class_mask"),
    *on(("softmax",), {"logits": [[1, 2], [3, 4]]}, {"element_mask": [[True, True], [False, False]]},
        "undefined-row", "/element_mask/1"),
    *on(("softmax",), {"logits": [[1, 2]]}, {"element_mask": [[True, False]], "class_mask": [False, True]},
        "undefined-row", "/element_mask/0"),
    *on(SUPERVISED, LABELLED, {"labels": [-1, 0], "ignore_label": -1, "element_mask": [[False] * 3, [True] * 3]},
        "undefined-row", "/element_mask/0"),
    *on(SUPERVISED, LABELLED, INFINITE, "infinite-loss", "/labels/0"),
    *on(SUPERVISED, TARGETED, INFINITE, "infinite-loss", "/targets/0/2"),
    *on(SUPERVISED, LABELLED, INFINITE | {"label_smoothing": 0.5}, "infinite-loss", "/labels/0"),
    *on(SUPERVISED, TARGETED, INFINITE | SIGMOID, "infinite-loss", "/targets/0/2"),
    *on(SUPERVISED, {"logits": [[1]], "targets": [[0.5]], "targets_sum": "any"}, TEXTBOOK, "infinite-loss",
        "/targets/0/0"),
    *on(SUPERVISED, {"logits": [[1e308, -1e308]], "labels": [1]}, {}, "number-out-of-range", "/logits/0"),
    *on(SUPERVISED, {"logits": [[0, -1e308]], "labels": [1]}, {"temperature": 1e-308}, "number-out-of-range",
        "/logits/0"),
    *on(("softmax",), {"logits": [[0, -1e308]]}, {"temperature": 1e-308, "include": ["log_probabilities"]},
        "number-out-of-range", "/logits/0/1"),
    *on(("softmax",), {"logits": [[1e308]]}, {"temperature": 0.1, "include": ["log_normalizer"]},
        "number-out-of-range", "/logits/0"),
    *on(("softmax",), {"logits": [[0, 1e39]]}, {"dtype": "float32"}, "number-out-of-range", "/logits/0/1"),
    *on(SUPERVISED, LABELLED, {"class_weights": [1, 1, 1e39], "dtype": "float32"}, "number-out-of-range",
        "/class_weights/2"),
    *on(("loss",), LABELLED, {"denominator_value": 5e-324}, "number-out-of-range", "/logits"),
    *on(GRADIENT, LABELLED, {"denominator_value": 5e-324}, "number-out-of-range", "/logits/0/0"),
    *on(SUPERVISED, LABELLED, {"labels": [0, 0], "class_weights": [0, 1, 1], "label_smoothing": 0.1},
        "number-out-of-range", "/logits"),
    *on(GRADIENT, {"logits": [[0, -800]], "labels": [1]}, {"include": ["loss_wrt_probabilities"]},
        "number-out-of-range", "/logits/0/1"),
    *on(GRADIENT, {"logits": [[0, 0], [0, -800]], "labels": [1, 1]}, {"include": ["gradient_by_chain_rule"]},
        "number-out-of-range", "/logits/1/1"),
]  # fmt: skip
