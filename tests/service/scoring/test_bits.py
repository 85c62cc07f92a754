"""A file in blocks is answered as one call with all its rows, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from gradient_client import GradientClient

from .conftest import CLASSES, ROWS, Scored, example, rows_of

generator = np.random.default_rng(5)
TARGETS = generator.dirichlet(np.full(CLASSES, 0.3), ROWS)
LOGITS, LABELS, WEIGHTS = example().values()
CLASS_WEIGHTS = generator.uniform(0, 3, CLASSES).tolist()
MASK = np.arange(CLASSES) != LABELS[:, None] - 1
SIGMOID, TEXTBOOK = "sigmoid_binary_cross_entropy", "softmax_binary_cross_entropy"
OF_ROWS = [
    "gradient", "losses", "probabilities", "predicted_labels", "loss_wrt_probabilities", "jacobian",
    "gradient_by_chain_rule", "gradient_diagonal_only", "hessian_diagonal",
]  # fmt: skip
CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    "float32": {"logits": LOGITS.astype(np.float32)},
    "float16": {"logits": LOGITS.astype(np.float16), "class_weights": CLASS_WEIGHTS},
    "asked for float32": {"dtype": "float32", "sample_weights": WEIGHTS},
    "sum": {"reduction": "sum"},
    "none": {"reduction": "none", "upstream": WEIGHTS},
    "by examples": {"denominator": "examples", "ignore_label": 2},
    "by batch": {"denominator": "batch", "ignore_label": 2},
    "by a number": {"denominator_value": 7.0},
    "all ignored": {"labels": np.full(ROWS, 2), "ignore_label": 2},
    "both weights": {"class_weights": CLASS_WEIGHTS, "sample_weights": WEIGHTS, "ignore_label": 2},
    "weights of 0": {"sample_weights": np.zeros(ROWS)},
    "tiny weights": {"sample_weights": np.full(ROWS, 1e-200), "class_weights": [1e-150] * CLASSES},
    "targets": {"labels": None, "targets": TARGETS, "class_weights": CLASS_WEIGHTS, "sample_weights": WEIGHTS},
    "targets of any sum": {"labels": None, "targets": TARGETS * WEIGHTS[:, None], "targets_sum": "any"},
    "textbook": {"objective": TEXTBOOK, "class_weights": CLASS_WEIGHTS},
    "sigmoid": {"labels": None, "targets": TARGETS.clip(0, 1), "objective": SIGMOID, "sample_weights": WEIGHTS},
    "masked": {"element_mask": MASK, "temperature": 0.7, "label_smoothing": 0.1},
    "fast": {"precision": "fast"},
}  # fmt: skip


def split(fields: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that lie in the file, and the options."""
    present = {name: value for name, value in fields.items() if value is not None}
    arrays = {name: value for name, value in present.items() if isinstance(value, np.ndarray)}
    return arrays, {name: value for name, value in present.items() if name not in arrays}


def answered(operation: str, fields: dict[str, Any], **more: object) -> Any:
    """What one call answers."""
    named = {"mask" if name == "element_mask" else name: value for name, value in fields.items()}
    with GradientClient.in_process() as client:
        return getattr(client, operation)(**named, **more)


@pytest.mark.parametrize("operation", ["loss", "gradient"])
@pytest.mark.parametrize("name", CASES)
def test_a_file_in_blocks_has_the_bits_of_one_call(tmp_path: Path, scored: Scored, name: str, operation: str) -> None:
    """Whatever the options: the rows, their sum and what it is divided by."""
    fields = {"logits": LOGITS, "labels": LABELS} | CASES[name]
    if operation == "loss":
        fields.pop("upstream", None)
    arrays, options = split(fields)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, tmp_path / "rows.safetensors")
    told = scored(
        tmp_path / "rows.safetensors", tmp_path / "out", "--operation", operation, "--block-rows", "64", **options
    )
    rows = "losses" if operation == "loss" else "gradient"
    whole = answered(operation, fields, include=[rows, "summary"] + ["loss"] * (options.get("reduction") != "none"))
    found = rows_of(tmp_path / "out")
    assert found[rows].dtype == getattr(whole, rows).dtype
    assert found[rows].tobytes() == getattr(whole, rows).tobytes()
    if "loss" in told:
        assert np.dtype(told["applied"]["dtype"]).type(told["loss"]) == whole.loss
    assert {name: tuple(value) if isinstance(value, list) else value for name, value in told["summary"].items()} == {
        name: getattr(whole.summary, name) for name in told["summary"]
    }
    assert told["applied"] == dict(whole.applied)


def test_softmax_has_the_bits_of_one_call(tmp_path: Path, scored: Scored, source: Path) -> None:
    """Probabilities and predicted labels are written unless other outputs are named; nothing is summed."""
    told = scored(source, tmp_path / "out", "--operation", "softmax", "--block-rows", "64", temperature=3)
    whole, found = answered("softmax", {"logits": LOGITS, "temperature": 3.0}), rows_of(tmp_path / "out")
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: getattr(whole, name).tobytes() for name in ("probabilities", "predicted_labels")
    }
    assert told.keys() == {"rows", "classes", "applied"}


def test_each_output_of_the_rows_can_be_had(tmp_path: Path, scored: Scored) -> None:
    """What `include` names is written, with the bits of one call."""
    save_file({"logits": LOGITS / 8, "labels": LABELS}, tmp_path / "rows.safetensors")
    more = ("--operation", "gradient", "--include", ",".join(OF_ROWS), "--block-rows", "70")
    scored(tmp_path / "rows.safetensors", tmp_path / "out", *more)
    whole = answered("gradient", {"logits": LOGITS / 8, "labels": LABELS}, include=OF_ROWS)
    found = rows_of(tmp_path / "out")
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: getattr(whole, name).tobytes() for name in OF_ROWS
    }


def test_the_size_of_blocks_does_not_matter(tmp_path: Path, scored: Scored, source: Path) -> None:
    """Rows of any number at a time give the same rows, loss and summary; weights here spread over 40 magnitudes."""
    found = set()
    for rows in (5, 64, 299, 300, 1000):
        out = tmp_path / str(rows)
        told = scored(source, out, "--operation", "gradient", "--block-rows", str(rows))
        assert len(list(out.glob("rows-*"))) == -(-ROWS // rows)
        found.add((repr(told), rows_of(out)["gradient"].tobytes()))
    assert len(found) == 1


def test_a_loss_alone_needs_no_rows_written(tmp_path: Path, scored: Scored, source: Path) -> None:
    """With nothing of the rows in `include`, the blocks hold only what they add to the whole."""
    told = scored(source, tmp_path / "out", "--include", "loss,summary", "--block-rows", "64")
    assert rows_of(tmp_path / "out") == {}
    assert told["loss"] == answered("loss", example()).loss


def test_no_rows_are_answered(tmp_path: Path, scored: Scored) -> None:
    """A file of no rows, whose classes are known, is one block without rows, and its loss is 0."""
    save_file({"logits": np.zeros((0, 3)), "labels": np.zeros(0, np.int64)}, tmp_path / "rows.safetensors")
    told = scored(tmp_path / "rows.safetensors", tmp_path / "out", "--operation", "gradient")
    assert (told["rows"], told["loss"], told["summary"]["example_count"]) == (0, 0.0, 0)
    assert rows_of(tmp_path / "out")["gradient"].shape == (0, 3)
