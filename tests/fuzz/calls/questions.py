"""Requests drawn at random as fields, before they are bytes: sensible ones, and ones that go to every extreme."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

SOFTMAX, SIGMOID, TEXTBOOK = (
    "softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "softmax_binary_cross_entropy",
)
OPERATIONS = ("softmax", "loss", "gradient")
OUTPUTS = {
    "softmax": ("probabilities", "predicted_labels", "log_probabilities", "one_hot", "entropy", "log_normalizer"),
    "loss": ("loss", "summary", "losses"),
    "gradient": (
        "loss",
        "gradient",
        "summary",
        "losses",
        "probabilities",
        "predicted_labels",
        "loss_wrt_probabilities",
        "jacobian",
        "gradient_by_chain_rule",
        "gradient_diagonal_only",
        "hessian_diagonal",
    ),
}
CURVATURES = {
    SOFTMAX: ("exact", "upper_bound", "class_scaled", "absolute_residual"),
    SIGMOID: ("exact", "absolute_residual"),
    TEXTBOOK: ("exact",),
}
LEAVES_THE_RANGE = frozenset({"loss_wrt_probabilities", "gradient_by_chain_rule"})
EXTREMES = (0.0, 1.0, 0.5, 5e-324, 1e-310, 2.3e-308, 1e-45, 1e-38, 1e-16, 40.0, 745.0, 800.0, 3e38, 1e308, 1.7e308)
NOT_FINITE = (float("nan"), float("inf"), float("-inf"))


@dataclass(frozen=True)
class Question:
    """The fields of one request."""

    operation: str
    arrays: dict[str, Array]
    """Numbers as float64, labels as int64, masks as booleans; in the order in which they are written."""
    options: dict[str, Any]
    is_plain: bool
    """Whether it must be answered: nothing in it breaks a rule, or comes near the end of a range."""


def draw(random: Random) -> Question:
    """Draw the fields of a request, plain in two cases of three."""
    operation = random.choice(OPERATIONS)
    shape = _shape(random)
    if random.random() < 2 / 3:
        return _shuffled(random, _plain(random, operation, shape))
    return _shuffled(random, random.choice([_wild, _wild, _spread])(random, operation, shape))


def _shape(random: Random) -> tuple[int, int]:
    if random.random() < 0.005:
        return random.choice([(1, 300), (200, 3), (40, 40), (70, 2), (2, 70)])
    return random.randint(1, 4), random.choice([1, 2, 2, 3, 3, 4, 5, 7])


def _shuffled(random: Random, question: Question) -> Question:
    """Return a question whose arrays stand in any order, now and then with the dtype of its results."""
    options = dict(question.options)
    if random.random() < 0.3:
        options["dtype"] = random.choice(["float32", "float64"])
    if random.random() < 0.3:
        options["precision"] = random.choice(["accurate", "fast"])
    names = random.sample(sorted(question.arrays), len(question.arrays))
    return replace(question, arrays={name: question.arrays[name] for name in names}, options=options)


def _normal(random: Random, scale: float, *shape: int) -> Array:
    return np.array([random.gauss(0, scale) for _ in range(int(np.prod(shape)))]).reshape(shape)


def _among(random: Random, values: Any, *shape: int) -> Array:
    return np.array([random.choice(values) for _ in range(int(np.prod(shape)))]).reshape(shape)


def _plain(random: Random, operation: str, shape: tuple[int, int]) -> Question:
    classes = shape[1]
    scale = random.choice([0.0, 1.0, 5.0, 20.0])
    arrays: dict[str, Array] = {"logits": np.round(_normal(random, scale, *shape), random.choice([0, 2, 17]))}
    options: dict[str, Any] = {"temperature": random.choice([0.5, 0.7, 2, 3.5])} if random.random() < 0.3 else {}
    mask: Any = _among(random, [True, True, False], *shape)
    if operation == "softmax":
        mask[:, 0] = True
    else:
        more, options = _plain_supervision(random, operation, shape, options)
        arrays |= more
        mask |= more["targets"] > 0 if "targets" in more else np.arange(classes) == more["labels"][:, np.newaxis]
        mask[:, :2] = True
    if random.random() < 0.2:
        arrays["element_mask"] = mask
    if random.random() < 0.1:
        arrays["class_mask"] = mask.any(axis=0)
    include = _include(random, operation, options)
    if include is not None:
        options["include"] = include
    return Question(operation, arrays, options, is_plain=LEAVES_THE_RANGE.isdisjoint(include or ()))


def _spread(random: Random, operation: str, shape: tuple[int, int]) -> Question:
    """Return a plain question whose weights, and targets of any sum, leave the range where they meet, or come near.

    Those of the rows bring back what those of the classes and the targets make.
    """
    question = _plain(random, operation, shape)
    if operation == "softmax":
        return question
    rows, classes = shape
    arrays = {"class_weights": np.ones(classes), "sample_weights": np.ones(rows), **question.arrays}
    options = question.options
    powers = {"class_weights": random.uniform(-320, 290)}
    if "targets" in arrays and options.get("objective", SOFTMAX) == SOFTMAX:
        options = {**options, "targets_sum": "any"}
        powers["targets"] = random.uniform(-320, 290)
    powers["sample_weights"] = max(-300.0, min(-sum(powers.values()), 290.0))
    for name, power in powers.items():
        decades = [max(-320.0, power + random.uniform(-9, 9)) for _ in range(arrays[name].size)]
        arrays[name] = arrays[name] * 10.0 ** np.reshape(decades, arrays[name].shape)
    return Question(operation, arrays, options, is_plain=False)


def _plain_supervision(
    random: Random, operation: str, shape: tuple[int, int], options: dict[str, Any]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return labels or targets that suit the objective, with weights, and the options with more of them."""
    rows, classes = shape
    objectives = (SOFTMAX, SOFTMAX, SIGMOID) if classes == 1 else (SOFTMAX, SOFTMAX, SIGMOID, TEXTBOOK)
    objective = random.choice(objectives)
    options = options | ({"objective": objective} if objective != SOFTMAX or random.random() < 0.1 else {})
    arrays: dict[str, Array] = {}
    if objective == SIGMOID:
        arrays["targets"] = _among(random, [0.0, 1.0, 0.25, 0.3], *shape)
    elif random.random() < 0.7:
        arrays["labels"] = _among(random, range(classes), rows)
        if random.random() < 0.2:
            options["ignore_label"] = -100
            arrays["labels"][random.randrange(rows)] = -100
    else:
        arrays["targets"] = _distributions(random, shape)
    if objective != SIGMOID and random.random() < 0.2:
        options["label_smoothing"] = random.choice([0.1, 0, 1, 1e-9])
    return _plain_reduction(random, operation, arrays, options, shape)


def _plain_reduction(
    random: Random, operation: str, arrays: dict[str, Array], options: dict[str, Any], shape: tuple[int, int]
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays with weights, and the options with a reduction that goes with them."""
    rows, classes = shape
    if random.random() < 0.2:
        arrays["class_weights"] = _among(random, [1.0, 2.0, 0.1, 3.5], classes)
    if random.random() < 0.2:
        arrays["sample_weights"] = _among(random, [1.0, 2.0, 0.1, 3.5], rows)
    reduction = random.choice(["mean", "mean", "sum", "none"])
    if reduction != "mean" or random.random() < 0.1:
        options["reduction"] = reduction
    elif random.random() < 0.3:
        options |= random.choice([{"denominator": "examples"}, {"denominator": "batch"}, {"denominator_value": 7}])
    if "ignore_label" in options and reduction == "mean":
        options = {name: value for name, value in options.items() if name != "denominator"}
    if operation == "gradient" and reduction == "none" and random.random() < 0.5:
        arrays["upstream"] = _normal(random, 2.0, rows)
    return arrays, options


def _distributions(random: Random, shape: tuple[int, int]) -> Array:
    shares = _among(random, [0.0, 1.0, 2.0, 0.5], *shape)
    shares[:, random.randrange(shape[1])] += 1.0
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _include(random: Random, operation: str, options: dict[str, Any]) -> list[str] | None:
    if random.random() < 0.4:
        return None
    hidden = {"loss"} if options.get("reduction") == "none" else set()
    hidden |= {"hessian_diagonal"} if options.get("objective") == TEXTBOOK else set()
    names = [name for name in OUTPUTS[operation] if name not in hidden]
    include = random.sample(names, random.randint(1, len(names)))
    if "hessian_diagonal" in include and random.random() < 0.5:
        options["curvature"] = random.choice(CURVATURES[options.get("objective", SOFTMAX)])
    return include


def _number(random: Random, *, is_finite: bool = True) -> float:
    if not is_finite and random.random() < 0.05:
        return random.choice(NOT_FINITE)
    if random.random() < 0.5:
        return random.choice((-1.0, 1.0)) * random.choice(EXTREMES)
    return random.gauss(0, 30)


def _numbers(random: Random, *shape: int) -> Array:
    is_finite = random.random() < 0.8
    return np.array([_number(random, is_finite=is_finite) for _ in range(int(np.prod(shape)))]).reshape(shape)


def _wild(random: Random, operation: str, shape: tuple[int, int]) -> Question:
    """Return fields that may break any rule of values, and go together or not."""
    rows, classes = shape
    chance = random.choice([0.1, 0.3])
    arrays: dict[str, Array] = {"logits": _numbers(random, *shape)}
    fields: dict[str, Any] = {
        "class_mask": lambda: _among(random, [True, True, False], classes),
        "element_mask": lambda: _among(random, [True, True, False], rows, classes),
    }
    choices: dict[str, tuple[Any, ...]] = {"temperature": (1, 0.7, 1e-300, 1e300, 5e-324, 1e-3, 0, -1)}
    if operation != "softmax":
        if random.random() < 0.6:
            arrays["labels"] = _among(random, [*range(classes), *range(classes), -1, classes, 2**63 - 1], rows)
        else:
            arrays["targets"] = random.choice([_distributions(random, shape), np.abs(_numbers(random, *shape))])
        fields |= {
            "class_weights": lambda: np.abs(_numbers(random, classes)),
            "sample_weights": lambda: _among(random, [0.0, 1.0, 1e300, 1e-300, 5e-324, -1.0], rows),
        }
        choices |= {
            "objective": (SOFTMAX, SIGMOID, TEXTBOOK),
            "reduction": ("mean", "sum", "none"),
            "denominator": ("weights", "examples", "batch"),
            "denominator_value": (1, 1e-300, 5e-324, 1e300, 0),
            "ignore_label": (-1, 0, classes, 2**62),
            "label_smoothing": (0, 0.1, 1, 5e-324, 1e-17, 1.5),
            "targets_sum": ("one", "any", "any"),
        }
    if operation == "gradient":
        fields["upstream"] = lambda: _numbers(random, rows)
        choices["curvature"] = CURVATURES[SOFTMAX]
    arrays |= {name: make() for name, make in fields.items() if random.random() < chance}
    options = {name: random.choice(values) for name, values in choices.items() if random.random() < chance}
    if random.random() < 0.5:
        options["include"] = random.sample(OUTPUTS[operation], random.randint(0, 3))
    return Question(operation, arrays, options, is_plain=False)
