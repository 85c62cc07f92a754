"""Requests to `/check` made of drawn ones to `/gradient`: claims that are right, wrong, and none at all."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import numpy as np

from tests.fuzz.calls.doubles import Answer
from tests.fuzz.calls.questions import NOT_FINITE, Array, Question
from tests.fuzz.calls.readers import CLAIMED, Fields, RefusedError
from tests.fuzz.calls.rules import case_of

SHARE = 0.4
NOT_OF_CHECK = ("include", "precision", "curvature")
TOLERANCES = (0, 1e-12, 1e-6, 0.01, 3)


def claimed(random: Random, question: Question) -> Question:
    """Make some of the questions for a gradient questions whether a claim is right."""
    if question.operation != "gradient" or random.random() > SHARE:
        return question
    options = {name: value for name, value in question.options.items() if name not in NOT_OF_CHECK}
    options |= {name: random.choice(TOLERANCES) for name in ("rtol", "atol") if random.random() < 0.2}
    names = [name for name in CLAIMED if name != "loss" or options.get("reduction") != "none"]
    right = _right(question, options)
    claims = {f"claimed.{name}": _claim(random, right[name]) for name in random.sample(names, random.randint(1, 2))}
    if random.random() < 0.1:
        return _malformed(random, replace(question, operation="check", options=options), claims)
    return replace(question, operation="check", arrays=question.arrays | claims, options=options)


def _right(question: Question, options: dict[str, Any]) -> dict[str, Array]:
    """Return each output as float64; zeros of its shape where the question breaks a rule."""
    rows, classes = question.arrays["logits"].shape
    shapes = {"loss": (), "losses": (rows,), "gradient": (rows, classes), "probabilities": (rows, classes)}
    probe = {name: value for name, value in options.items() if name not in {"rtol", "atol"}}
    try:
        case = case_of("gradient", Fields(question.arrays, probe, {}, is_binary=False))
    except RefusedError:
        return {name: np.zeros(shape) for name, shape in shapes.items()}
    with np.errstate(all="ignore"):
        answer = Answer(case)
        return {name: np.nan_to_num(np.asarray(answer.sized(name)[0]).astype(np.float64)) for name in shapes}


def _claim(random: Random, right: Array) -> Array:
    """Return a claim that is right, or wrong by a factor, a sign, noise, one number, or all of them."""
    noise = np.array([random.gauss(0, 1) for _ in range(right.size)]).reshape(right.shape)
    one = np.zeros(right.size)
    one[: min(1, right.size)] = random.choice([1e-9, 0.5])
    with np.errstate(over="ignore"):
        made = random.choice(
            [
                *[right] * 6,
                right * random.choice([2, 3, 0.5, 7, 1.0000001]),
                -right,
                right + noise * random.choice([1e-9, 0.1]),
                right + one.reshape(right.shape),
                np.zeros(right.shape),
                noise,
            ]
        )
    return np.asarray(np.nan_to_num(made), np.float64)


def _malformed(random: Random, question: Question, claims: dict[str, Array]) -> Question:
    """Return a question with a claim of another shape, of what is no number, or without any."""
    name, claim = random.choice(list(claims.items()))
    others: list[dict[str, Array]] = [
        {},
        {name: np.append(claim, 1.0)},
        {name: claim[np.newaxis]},
        {name: claim[:0] if claim.ndim else np.zeros(0)},
        {name: np.full(claim.shape, random.choice(NOT_FINITE))},
        {"claimed.jacobian": claim},
    ]
    return replace(question, arrays=question.arrays | random.choice(others), is_plain=False)
