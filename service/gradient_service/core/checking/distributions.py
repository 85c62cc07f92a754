"""Probabilities as most would write them, with their logarithms, and as they are kept away from 0."""

from dataclasses import dataclass, replace

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.checking.recipes import Floor, Recipe

LEAST_LOG = -100.0
"""PyTorch's, of a probability in its binary cross-entropy."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """Probabilities of some rows, each (rows, K)."""

    values: Array
    logs: Array
    complements: Array
    complement_logs: Array
    shares: Array | None = None
    """p_i / (1 − p_top), 0 at the top, where it was made before anything could underflow."""


def softmax(scores: Array, *, has_complements: bool) -> Distribution:
    """Shift by the largest score; 1 − p, where anything is made of it, of the top class is the share of the others."""
    difference = scores - scores.max(axis=1, keepdims=True)
    exponentials = np.exp(difference)
    total = exponentials.sum(axis=1, keepdims=True)
    values, logs = exponentials / total, difference - np.log(total)
    if not has_complements:
        return Distribution(values, logs, values, logs)
    top = scores.argmax(axis=1)[:, np.newaxis]
    np.put_along_axis(exponentials, top, 0, axis=1)
    complements = 1 - values
    np.put_along_axis(complements, top, exponentials.sum(axis=1, keepdims=True) / total, axis=1)
    shares, log_rest = _without(difference, top)
    complement_logs = np.log(complements)
    np.put_along_axis(complement_logs, top, log_rest - np.log(total), axis=1)
    return Distribution(values, logs, complements, complement_logs, shares)


def _without(difference: Array, top: Array) -> tuple[Array, Array]:
    """Return the softmax of the other classes, 0 at the top, and the logarithm of the sum of their exponentials."""
    others = difference.copy()
    np.put_along_axis(others, top, -np.inf, axis=1)
    second = np.maximum(others.max(axis=1, keepdims=True), np.finfo(others.dtype).min)  # there may be no other
    exponentials = np.exp(others - second)
    total = exponentials.sum(axis=1, keepdims=True)
    return exponentials / np.where(total > 0, total, 1), second + np.log(total)


def sigmoid(scores: Array) -> Distribution:
    """log p and log(1 − p) from log1p(exp(−|s|))."""
    tail = np.log1p(np.exp(-np.abs(scores)))
    logs, complement_logs = np.minimum(scores, 0) - tail, -np.maximum(scores, 0) - tail
    return Distribution(np.exp(logs), logs, np.exp(complement_logs), complement_logs)


def floored(recipe: Recipe, found: Distribution) -> tuple[Distribution, Array | float]:
    """Keep probabilities away from 0; return also what is left of the derivative of each logarithm."""
    values, least = found.values, found.values.dtype.type(recipe.least)
    if recipe.floor is Floor.OF_PYTORCH:
        logs, complement_logs = (np.maximum(each, LEAST_LOG) for each in (found.logs, found.complement_logs))
        return replace(found, logs=logs, complement_logs=complement_logs), np.minimum(
            values * found.complements / least, 1
        )
    if recipe.floor is Floor.ADDED:
        logs, complement_logs = np.log(values + least), np.log(found.complements + least)
        return replace(found, logs=logs, complement_logs=complement_logs), values / (values + least)
    most = 1 if recipe.floor is Floor.RAISED else 1 - least
    clipped = np.clip(values, least, most)
    logs, complement_logs = np.log(clipped), np.log(1 - clipped)
    if recipe.is_by_hand:
        return Distribution(clipped, logs, 1 - clipped, complement_logs), 1.0
    is_kept = (values >= least) & (values <= most)
    return replace(found, logs=logs, complement_logs=complement_logs), is_kept.astype(values.dtype)
