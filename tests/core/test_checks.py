"""Every rule of the inputs: its code, its field, the first offending element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradient_service.core.errors import MAX_FAULTS, InvalidInputError
from tests.core.calls import SIGMOID, TEXTBOOK, evaluated, softmax_of

INF, NAN = np.inf, np.nan
LOGITS = [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]
MASK_FIRST: dict[str, Any] = {"element_mask": [[False, True, True], [True, True, True]]}
MASK_ROW = [[True, True, True], [False, False, False]]
ONLY_FIRST: dict[str, Any] = {"class_mask": [True, False, False]}
SOFT: dict[str, Any] = {"labels": None, "targets": [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]}
Index = tuple[int, ...]


def with_targets(*rows: list[float], **more: Any) -> dict[str, Any]:
    """Targets in place of labels."""
    return {"labels": None, "targets": list(rows), **more}


FAULTS: dict[str, tuple[str, str, Index, dict[str, Any]]] = {
    "no rows": ("empty-batch", "logits", (), {"logits": np.empty((0, 0)), "labels": []}),
    "no classes": ("empty-classes", "logits", (), {"logits": np.empty((2, 0))}),
    "labels of another length": ("length-mismatch", "labels", (), {"labels": [0]}),
    "targets of another shape": ("length-mismatch", "targets", (), with_targets([1.0, 0.0], [1.0, 0.0])),
    "class weights": ("length-mismatch", "class_weights", (), {"class_weights": [1, 2]}),
    "sample weights": ("length-mismatch", "sample_weights", (), {"sample_weights": [1, 2, 3]}),
    "class mask": ("length-mismatch", "class_mask", (), {"class_mask": [True]}),
    "element mask": ("length-mismatch", "element_mask", (), {"element_mask": [[True] * 3]}),
    "upstream": ("length-mismatch", "upstream", (), {"upstream": [1.0], "reduction": "none"}),
    "NaN logit": ("non-finite", "logits", (0, 1), {"logits": [[1.0, NAN, 3.0], [0.0, INF, 0.0]]}),
    "infinite logit": ("non-finite", "logits", (1, 2), {"logits": [[1.0, 0.0, 3.0], [0.0, 0.0, INF]]}),
    "NaN logit in an ignored row": (
        "non-finite",
        "logits",
        (0, 0),
        {"logits": [[NAN, 0.0, 0.0], [0.0, 0.0, 0.0]], "labels": [-1, 0], "ignore_label": -1},
    ),
    "NaN logit in a masked class": (
        "non-finite",
        "logits",
        (0, 0),
        {"logits": [[NAN, 0.0, 0.0], [0.0, 0.0, 0.0]], **MASK_FIRST},
    ),
    "NaN class weight": ("non-finite", "class_weights", (1,), {"class_weights": [1, NAN, 1]}),
    "infinite sample weight": ("non-finite", "sample_weights", (0,), {"sample_weights": [INF, 1]}),
    "NaN upstream": ("non-finite", "upstream", (1,), {"upstream": [1.0, NAN], "reduction": "none"}),
    "infinite target": ("non-finite", "targets", (1, 0), with_targets([1.0, 0, 0], [INF, 0, 0], targets_sum="any")),
    "label too large": ("label-out-of-range", "labels", (1,), {"labels": [0, 3]}),
    "negative label": ("label-out-of-range", "labels", (0,), {"labels": [-100, 0]}),
    "label beside the ignored one": ("label-out-of-range", "labels", (1,), {"labels": [-1, -2], "ignore_label": -1}),
    "negative class weight": ("out-of-range", "class_weights", (2,), {"class_weights": [1, 1, -1e-300]}),
    "negative sample weight": ("out-of-range", "sample_weights", (1,), {"sample_weights": [0, -1]}),
    "negative target": ("out-of-range", "targets", (0, 1), with_targets([1.5, -0.5, 0], [1, 0, 0])),
    "target above one": ("out-of-range", "targets", (1, 2), with_targets([0, 0, 1], [0, 0, 1.5], objective=SIGMOID)),
    "textbook target above one": (
        "out-of-range",
        "targets",
        (0, 0),
        with_targets([2, 0, 0], [0, 0, 1], objective=TEXTBOOK, targets_sum="any"),
    ),
    "targets that do not sum to one": ("invalid-distribution", "targets", (1,), with_targets([1, 0, 0], [0.5, 0, 0])),
    "targets whose sum leaves the range": (
        "invalid-distribution",
        "targets",
        (1,),
        with_targets([1, 0, 0], [1e308, 1e308, 0]),
    ),
    "temperature of 0": ("out-of-range", "temperature", (), {"temperature": 0.0}),
    "temperature below 0": ("out-of-range", "temperature", (), {"temperature": -5e-324}),
    "infinite temperature": ("out-of-range", "temperature", (), {"temperature": INF}),
    "temperature that is no number": ("out-of-range", "temperature", (), {"temperature": NAN}),
    "denominator of 0": ("out-of-range", "denominator_value", (), {"denominator_value": 0.0}),
    "smoothing above 1": ("out-of-range", "label_smoothing", (), {"label_smoothing": 1.0000000000000002}),
    "smoothing below 0": ("out-of-range", "label_smoothing", (), {"label_smoothing": -5e-324}),
    "targets just off": ("invalid-distribution", "targets", (0,), with_targets([1 + 2e-6, 0, 0], [0, 1, 0])),
    "textbook targets too": (
        "invalid-distribution",
        "targets",
        (0,),
        with_targets([0.5, 0, 0], [0, 1, 0], objective=TEXTBOOK),
    ),
    "row without classes": ("undefined-row", "element_mask", (1,), {"element_mask": MASK_ROW}),
    "ignored row without classes": (
        "undefined-row",
        "element_mask",
        (1,),
        {"element_mask": MASK_ROW, "labels": [0, 9], "ignore_label": 9},
    ),
    "no class at all": ("undefined-row", "class_mask", (), {"class_mask": [False] * 3}),
    "label on a masked class": ("infinite-loss", "labels", (0,), {"labels": [0, 0], **MASK_FIRST}),
    "target on a masked class": ("infinite-loss", "targets", (0, 0), {**SOFT, **MASK_FIRST}),
    "sigmoid target on a masked class": (
        "infinite-loss",
        "targets",
        (0, 0),
        {**SOFT, **MASK_FIRST, "objective": SIGMOID},
    ),
    "textbook, one class left, not all of it": (
        "infinite-loss",
        "targets",
        (1, 0),
        with_targets([1, 0, 0], [0.5, 0, 0], objective=TEXTBOOK, targets_sum="any", **ONLY_FIRST),
    ),
    "textbook, K = 1, not all of it": (
        "infinite-loss",
        "targets",
        (0, 0),
        with_targets([0.5], objective=TEXTBOOK, targets_sum="any", logits=[[1.0]]),
    ),
    "mean over weight 0": (
        "number-out-of-range",
        "logits",
        (),
        {"class_weights": [0, 0, 1], "labels": [0, 0], "label_smoothing": 0.1},
    ),
    "sum of losses above the range": (
        "number-out-of-range",
        "logits",
        (),
        {"logits": [[1.7e308, 0.0, 0.0]] * 2, "labels": [1, 1], "reduction": "sum"},
    ),
    "row loss above the range": (
        "number-out-of-range",
        "logits",
        (1,),
        {"logits": [[0.0, 0.0, 0.0], [1e308, -1e308, 0.0]], "labels": [0, 1], "reduction": "sum"},
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str) -> None:
    """A breach of a rule is refused under its code, at its first element."""
    code, field, index, options = FAULTS[name]
    question = {"logits": LOGITS, "labels": [0, 1], **options}
    with pytest.raises(InvalidInputError) as refusal:
        evaluated(names=["loss"], **question)
    fault = refusal.value.faults[0]
    assert (fault.code, fault.field, fault.index) == (code, field, index)


ALLOWED: dict[str, dict[str, Any]] = {
    "a row of targets off by rounding": with_targets([1 / 3, 1 / 3, 1 / 3], [0.1, 0.2, 0.7]),
    "any sum": with_targets([2, 1, 1], [0, 0, 0], targets_sum="any"),
    "any sum for sigmoids": with_targets([1, 1, 1], [0, 0, 0], objective=SIGMOID),
    "masked label with class weight 0": {**MASK_FIRST, "labels": [0, 0], "class_weights": [0, 1, 1]},
    "masked label with sample weight 0": {**MASK_FIRST, "labels": [0, 0], "sample_weights": [0, 1]},
    "masked label in an ignored row": {**MASK_FIRST, "labels": [0, 1], "ignore_label": 0},
    "textbook, one class left, all of it": with_targets([1, 0, 0], [1, 0, 0], objective=TEXTBOOK, **ONLY_FIRST),
    "all weights 0": {"sample_weights": [0, 0]},
    "subnormals and negative zero": {"logits": [[5e-324, -0.0, 0.0], [-5e-324, 0.0, 0.0]]},
}


@pytest.mark.parametrize("name", ALLOWED)
def test_questions_at_the_edge_of_a_rule(name: str) -> None:
    """What just keeps a rule is answered with finite numbers."""
    question = {"logits": LOGITS, "labels": [0, 1], **ALLOWED[name]}
    found = evaluated(names=["loss", "gradient", "losses"], **question)
    assert found.loss is not None
    assert np.isfinite(found.loss)
    assert np.isfinite(found.arrays["gradient"]).all()


def test_an_ignored_row_has_loss_and_gradient_zero() -> None:
    """An ignored row's loss is +0 and so is each element of its gradient."""
    found = evaluated(LOGITS, ["losses", "gradient"], labels=[-1, 0], ignore_label=-1)
    for name in ("losses", "gradient"):
        assert not found.arrays[name][0].any()
        assert not np.signbit(found.arrays[name][0]).any()


@pytest.mark.parametrize("objective", [SIGMOID, TEXTBOOK, "softmax_cross_entropy"])
def test_a_masked_class_answers_zero(objective: str) -> None:
    """A masked class has p = 0 and 0 in the gradient, the factors and the Jacobian."""
    names = ["probabilities", "gradient", "loss_wrt_probabilities", "gradient_diagonal_only"]
    targets = [[0.0, 0.25, 0.75], [0.0, 1.0, 0.0]]
    mask = [False, True, True]
    found = evaluated(LOGITS, [*names, "jacobian"], targets=targets, objective=objective, class_mask=mask)
    for name in names:
        assert not found.arrays[name][:, 0].any(), name
    assert not found.arrays["jacobian"][:, 0].any()
    assert not found.arrays["jacobian"][:, :, 0].any()
    log_probabilities = softmax_of(LOGITS, ["log_probabilities"], class_mask=mask)["log_probabilities"]
    assert (log_probabilities[:, 0] == -INF).all()


def test_faults_of_all_fields_are_told_together() -> None:
    """One refusal names what is wrong in several fields."""
    with pytest.raises(InvalidInputError) as refusal:
        evaluated([[NAN, 0.0]], ["loss"], labels=[2], class_weights=[-1, INF], sample_weights=[-1])
    found = [(fault.code, fault.field) for fault in refusal.value.faults]
    assert found == [
        ("non-finite", "logits"),
        ("label-out-of-range", "labels"),
        ("non-finite", "class_weights"),
        ("out-of-range", "class_weights"),
        ("out-of-range", "sample_weights"),
    ]


def test_a_sum_of_weights_above_the_range_is_refused() -> None:
    """Weights whose products leave the range of float64 are refused where their sum is sent."""
    with pytest.raises(InvalidInputError) as refusal:
        evaluated(LOGITS, ["summary"], labels=[0, 1], class_weights=[1e300] * 3, sample_weights=[1e300] * 2)
    assert refusal.value.faults[0].code == "number-out-of-range"


def test_a_mean_of_losses_whose_sum_is_above_the_range() -> None:
    """Two losses of 1.7e308 have the mean 1.7e308, though their sum leaves the range."""
    assert evaluated([[1.7e308, 0.0]] * 2, ["loss"], labels=[1, 1]).loss == 1.7e308


def test_a_million_faults_are_not_told() -> None:
    """A field full of faults tells its first twenty."""
    with pytest.raises(InvalidInputError) as refusal:
        softmax_of(np.full((1000, 1000), NAN), ["probabilities"])
    assert [fault.index for fault in refusal.value.faults] == [(0, column) for column in range(MAX_FAULTS)]


def test_an_output_out_of_range_names_row_and_class() -> None:
    """∂E/∂p of a probability that underflows is refused at its element; the fused gradient is answered."""
    question: dict[str, Any] = {"logits": [[0.0, 0.0], [0.0, 800.0]], "labels": [0, 0]}
    for name in ("loss_wrt_probabilities", "gradient_by_chain_rule"):
        with pytest.raises(InvalidInputError) as refusal:
            evaluated(names=[name], **question)
        fault = refusal.value.faults[0]
        assert (fault.code, fault.field, fault.index) == ("number-out-of-range", "logits", (1, 0))
    assert evaluated(names=["gradient"], **question).arrays["gradient"][1].tolist() == [-0.5, 0.5]
