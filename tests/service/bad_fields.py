"""Documents whose fields are unknown, missing or of the wrong type or shape; the columns are those of `Case`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .bad_bytes import Case

Fields = dict[str, Any]

SUPERVISED = ("loss", "gradient")
GOOD: dict[str, Fields] = {
    "softmax": {"logits": [[1, 2], [3, 4]]},
    "loss": {"logits": [[1, 2], [3, 4]], "labels": [0, 1]},
    "gradient": {"logits": [[1, 2], [3, 4]], "labels": [0, 1], "reduction": "none"},
}
TARGETED: Fields = {"logits": [[1, 2], [3, 4]], "targets": [[1, 0], [0, 1]]}


def base_of(path: str, field: str) -> Fields:
    """A good request into which the field fits."""
    return TARGETED if field == "targets" else GOOD[path]


WORDS: dict[str, tuple[str, ...]] = {
    "precision": ("softmax", "loss", "gradient"),
    "dtype": ("softmax", "loss", "gradient"),
    "targets_sum": SUPERVISED,
    "objective": SUPERVISED,
    "reduction": SUPERVISED,
    "denominator": SUPERVISED,
    "curvature": ("gradient",),
}
NUMBERS: dict[str, tuple[str, ...]] = {
    "temperature": ("softmax", "loss", "gradient"),
    "denominator_value": SUPERVISED,
    "label_smoothing": SUPERVISED,
}
VECTORS: dict[str, tuple[str, ...]] = {
    "labels": SUPERVISED,
    "class_weights": SUPERVISED,
    "sample_weights": SUPERVISED,
    "upstream": ("gradient",),
}
ROWS: dict[str, tuple[str, ...]] = {"logits": ("softmax", "loss", "gradient"), "targets": SUPERVISED}


def each(field: str, paths: tuple[str, ...], values: Sequence[object], slug: str, at: str = "") -> list[Case]:
    """The case of each bad value of a field on each path."""
    return [
        (f"{field} {str(value)[:40]}", path, base_of(path, field) | {field: value}, 422, slug, f"/{field}{at}")
        for value in values
        for path in paths
    ]


def each_of(fields: Mapping[str, tuple[str, ...]], values: Sequence[object], slug: str, at: str = "") -> Iterator[Case]:
    """The case of each bad value of each of several fields."""
    for field, paths in fields.items():
        yield from each(field, paths, values, slug, at)


ALL = ("softmax", "loss", "gradient")
OF_LABELS = {"labels": SUPERVISED}
MASK: dict[str, tuple[str, ...]] = {"class_mask": ALL}
MASK_ROWS: dict[str, tuple[str, ...]] = {"element_mask": ALL}

OPTIONS: list[Case] = [
    *each_of(WORDS, ("", "Mean", "mean ", "é", "none\u0000"), "unknown-value"),
    *each_of(WORDS, (None, 0, 1.5, True, [], ["mean"], {}), "wrong-type"),
    *each_of(NUMBERS, (None, "1", True, [1], {"value": 1}), "wrong-type"),
    *each("temperature", ALL, (0, -1, -0.0, -5e-324), "out-of-range"),
    *each("denominator_value", ("loss",), (0, -0.0, -1), "out-of-range"),
    *each("label_smoothing", SUPERVISED, (-0.1, 1.0000000000000002, 2), "out-of-range"),
    *each("ignore_label", SUPERVISED, (None, "0", True, 1.0, [0], {}), "wrong-type"),
    *each("include", ALL, (None, "loss", 1, {}, True), "wrong-type"),
    *each("include", ALL, ([None], [1], [True], [[]], [["loss"]]), "wrong-type", "/0"),
    *each("include", ALL, ([""], ["Loss"], ["accuracy"]), "unknown-value", "/0"),
    *each("include", ("loss",), (["loss", "summary", "gradient"],), "unknown-value", "/2"),
    *each("include", ("softmax",), (["loss"],), "unknown-value", "/0"),
    *each("include", ALL, (["probabilities"] * 33,), "out-of-range"),
]

ARRAYS: list[Case] = [
    *each_of(VECTORS | ROWS, (None, "1", 1, True, {}, {"0": [1]}), "wrong-type"),
    *each_of(VECTORS, ([0, "1"], [0, None], [0, True], [0, {}]), "wrong-type", "/1"),
    *each_of(VECTORS, ([[0, 1]], [[[0]]], [0, [1]], [[], []]), "wrong-rank"),
    *each_of(VECTORS, ([], [1], [1, 1, 1]), "length-mismatch"),
    *each_of(ROWS, ([1, 2], [[[1, 2]]], [[1, [2]]], [[1, 2], 3], [[[]]]), "wrong-rank"),
    *each_of(ROWS, ([[1, 0], [0]], [[1, 0], [0, 1, 0]], [[1, 0], []]), "ragged", "/1"),
    *each_of(ROWS, ([[1, 0], [0, "1"]], [[1, 0], [0, None]], [[1, 0], [0, False]]), "wrong-type", "/1/1"),
    *each_of(ROWS, ([[1, 0], "ab"], [[1, 0], None], [[1, 0], {}]), "wrong-type", "/1"),
    *each("targets", SUPERVISED, ([[1, 0]], [[1], [0]], [[1, 0, 0], [0, 0, 1]], [[], []]), "length-mismatch"),
    *each_of(OF_LABELS, ([0.0, 1], [1e0, 1], [0.5, 1]), "wrong-type", "/0"),
    *each_of(MASK, (None, True, "true", 1, {}), "wrong-type"),
    *each_of(MASK, ([1, 0], ["true", True], [None, True]), "wrong-type", "/0"),
    *each_of(MASK, ([[True, True]],), "wrong-rank"),
    *each_of(MASK, ([True], [], [True] * 3), "length-mismatch"),
    *each_of(MASK_ROWS, ([True, True], [[[True, True]]]), "wrong-rank"),
    *each_of(MASK_ROWS, ([[True, True], [True]],), "ragged", "/1"),
    *each_of(MASK_ROWS, ([[True, True], [True, 1]],), "wrong-type", "/1/1"),
    *each_of(MASK_ROWS, ([[True, True]], [[True]] * 2), "length-mismatch"),
    *each("logits", ALL, ([],), "empty-batch"),
    *each("logits", ALL, ([[], []],), "empty-classes"),
]

FIELDS: list[Case] = [
    ("temprature", "softmax", GOOD["softmax"] | {"temprature": 1}, 422, "unknown-field", "/temprature"),
    ("labels of softmax", "softmax", GOOD["softmax"] | {"labels": [0, 1]}, 422, "unknown-field", "/labels"),
    ("upstream of loss", "loss", GOOD["loss"] | {"upstream": [1, 1]}, 422, "unknown-field", "/upstream"),
    ("curvature of loss", "loss", GOOD["loss"] | {"curvature": "exact"}, 422, "unknown-field", "/curvature"),
    ("capital name", "softmax", {"Logits": [[1]], "logits": [[1]]}, 422, "unknown-field", "/Logits"),
    ("name with a blank", "softmax", {" logits": [[1]], "logits": [[1]]}, 422, "unknown-field", "/ logits"),
    ("name with ~ and /", "softmax", {"logits": [[1]], "a/b~c": 1}, 422, "unknown-field", "/a~1b~0c"),
    ("name that looks escaped", "softmax", {"logits": [[1]], "~1~0": 1}, 422, "unknown-field", "/~01~00"),
    ("name of other letters", "softmax", {"l\u043egits": [[1]], "logits": [[1]]}, 422, "unknown-field", "/l\u043egits"),
    ("name with a nul", "softmax", {"logits\0": [[1]], "logits": [[1]]}, 422, "unknown-field", "/logits"),
    ("wide letters", "loss", GOOD["loss"] | {"\uff54emperature": 1}, 422, "unknown-field", "/\uff54emperature"),
    ("parameter of another library", "loss", GOOD["loss"] | {"weight": [1, 1]}, 422, "unknown-field", "/weight"),
    ("option of /check", "loss", GOOD["loss"] | {"rtol": 1e-6}, 422, "unknown-field", "/rtol"),
    ("unknown before missing", "loss", {"x": 1, "labels": [0]}, 422, "unknown-field", "/x"),
    ("empty name", "softmax", {"logits": [[1]], "": 1}, 422, "unknown-field", "/"),
    ("prototype", "softmax", {"logits": [[1]], "__proto__": {}}, 422, "unknown-field", "/__proto__"),
    ("attribute of the model", "softmax", {"logits": [[1]], "model_config": {}}, 422, "unknown-field", "/model_config"),
    ("no field", "softmax", {}, 422, "missing-field", "/logits"),
    ("no logits", "loss", {"labels": [0]}, 422, "missing-field", "/logits"),
    ("neither labels nor targets", "loss", {"logits": [[1]]}, 422, "missing-field", "/labels"),
    ("neither labels nor targets", "gradient", {"logits": [[1]]}, 422, "missing-field", "/labels"),
    ("both labels and targets", "loss", GOOD["loss"] | TARGETED, 422, "conflicting-fields", "/targets"),
    ("labels beside null", "loss", GOOD["loss"] | {"targets": None}, 422, "wrong-type", "/targets"),
    ("targets beside null", "gradient", TARGETED | {"labels": None}, 422, "wrong-type", "/labels"),
    ("null twice", "loss", {"logits": [[1, 2]], "labels": None, "targets": None}, 422, "wrong-type", "/labels"),
    ("null alone", "loss", {"logits": [[1, 2]], "labels": None}, 422, "wrong-type", "/labels"),
    ("both, targets first", "gradient", TARGETED | {"labels": [0, 1]}, 422, "conflicting-fields", "/targets"),
]  # fmt: skip
