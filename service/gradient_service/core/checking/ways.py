"""The ways in which mistakes are made: from the right recipe to wrong ones, or to what they multiply by.

A way that does not apply yields nothing, or what changes nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from gradient_service.core.checking.claims import BFLOAT16, FLOAT16, FLOAT32
from gradient_service.core.checking.recipes import Floor, Layout, Recipe
from gradient_service.core.options import Objective

USUAL_LEAST = (1e-7, 1e-8, 1e-12, 1e-15, float(np.finfo(np.float32).eps), float(np.finfo(np.float64).eps))
"""What most people keep probabilities above."""
OTHER_LEAST = (
    *(10.0**-power for power in (3, 4, 5, 6, 9, 10, 16, 20, 30)),
    float(np.finfo(np.float16).eps),
    float(np.finfo(np.float32).tiny),
)
"""What some do."""
LEAST_OF_PYTORCH = 1e-12
"""What PyTorch keeps p (1−p) above, in the derivative of its binary cross-entropy."""
SUM_TOLERANCE = 1e-3
"""Rows of logits that sum to 1 within it, as half precision does, may be probabilities."""
NO_CLASS = -1
"""A label that stands for a target row of zeros."""
LOOKED_AT = 1024
"""Elements that tell whether they are."""


def by_batch_size(recipe: Recipe) -> Iterator[float]:
    """A mean too many, or none."""
    yield from (recipe.batch_size, 1 / recipe.batch_size)


def by_class_count(recipe: Recipe) -> Iterator[float]:
    """The same over the elements of a row."""
    yield from (recipe.num_classes, 1 / recipe.num_classes)


def by_denominator(recipe: Recipe) -> Iterator[float]:
    """No mean at all."""
    if recipe.is_mean:
        yield recipe.denominator


def by_other_denominators(recipe: Recipe) -> Iterator[float]:
    """The sum over some other number: of weights, of rows that count, of all rows, of all elements."""
    unweighted = replace(recipe, class_weights=None, sample_weights=None)
    rows = float(recipe.batch_size)
    counted = rows if recipe.ignored is None else rows - np.count_nonzero(recipe.ignored)
    for other in (recipe.weight_total, unweighted.weight_total, counted, rows, rows * recipe.num_classes):
        if other:
            yield recipe.denominator / other


def by_temperature(recipe: Recipe) -> Iterator[float]:
    """The derivative by s taken for that by the logits."""
    yield recipe.temperature


def ignored_counted(recipe: Recipe) -> Iterator[Recipe]:
    """Ignored rows with the class that their label says, with that counted from the end, without any; or as rows only.

    Each with the denominator as it was, as it becomes, and with all rows.
    """
    if recipe.ignored is None or recipe.labels is None or not recipe.ignored.any():
        return
    all_rows = float(recipe.batch_size) if recipe.is_mean else recipe.denominator
    counted = replace(recipe, ignored=None)
    for each in (counted, replace(counted, labels=recipe.labels % recipe.num_classes)):
        yield each.weighed_again()
        yield each
        yield replace(each, denominator=all_rows)
    without_class = replace(counted, labels=np.where(recipe.ignored, NO_CLASS, recipe.labels), is_by_hand=True)
    yield without_class
    yield replace(without_class, denominator=all_rows)
    yield replace(recipe, denominator=all_rows)


def weights_ignored(recipe: Recipe) -> Iterator[Recipe]:
    """Without both kinds of weights, or one of them; with the denominator that is left, or as it was."""
    without_classes, without_samples = replace(recipe, class_weights=None), replace(recipe, sample_weights=None)
    for each in (replace(without_classes, sample_weights=None), without_classes, without_samples):
        yield each.weighed_again()
        yield each


def temperature_ignored(recipe: Recipe) -> Iterator[Recipe]:
    """T = 1."""
    if recipe.temperature != 1:
        yield replace(recipe, temperature=1.0)


def smoothing_ignored(recipe: Recipe) -> Iterator[Recipe]:
    """ε = 0."""
    if recipe.smoothing:
        yield replace(recipe, smoothing=0.0)


def smoothing_over_others(recipe: Recipe) -> Iterator[Recipe]:
    """ε/(K−1) for each class but the label's."""
    if recipe.smoothing and recipe.num_classes > 1:
        yield replace(recipe, smooths_others=True)


def labels_off(recipe: Recipe) -> Iterator[Recipe]:
    """Labels one up or down; at the ends they wrap around, stop, or stand for no class."""
    for step in (1, -1):
        if recipe.labels is None:
            yield replace(recipe, shift=step).weighed_again()
            continue
        labels = recipe.labels + step
        yield replace(recipe, labels=labels % recipe.num_classes).weighed_again()
        yield replace(recipe, labels=labels.clip(0, recipe.num_classes - 1)).weighed_again()
        without_class = replace(recipe, labels=labels)
        yield without_class
        yield replace(without_class, is_by_hand=True)


def masked_late(recipe: Recipe) -> Iterator[Recipe]:
    """Masked classes taken out after the softmax, or not at all, or given the logit 0."""
    if recipe.mask is None or not recipe.is_softmax:
        return
    yield replace(recipe, is_mask_late=True)
    yield replace(recipe, mask=None)
    yield replace(recipe, is_mask_zero=True)
    yield replace(recipe, is_mask_zero=True, is_mask_late=True)


def softmax_twice(recipe: Recipe) -> Iterator[Recipe]:
    """The softmax of the probabilities, derived by hand as p − c, or as it is."""
    if recipe.is_softmax:
        yield replace(recipe, is_applied_twice=True, is_by_hand=True)
        yield replace(recipe, is_applied_twice=True)


def probabilities_as_logits(recipe: Recipe) -> Iterator[Recipe]:
    """What is given as logits taken for the probabilities that it is; or the probabilities of the logits for logits."""
    if not recipe.is_softmax:
        return
    first = recipe.logits[: 1 + LOOKED_AT // recipe.num_classes]
    if (first >= 0).all() and (np.abs(first.sum(axis=1) - 1) < SUM_TOLERANCE).all():
        yield replace(recipe, read=np.log)
    yield from softmax_twice(recipe)


def binary_formula(recipe: Recipe) -> Iterator[Recipe]:
    """The third objective in place of another, with its whole derivative or by the diagonal."""
    if recipe.objective is not Objective.SOFTMAX_BINARY_CROSS_ENTROPY:
        textbook = replace(recipe, objective=Objective.SOFTMAX_BINARY_CROSS_ENTROPY)
        yield textbook
        yield replace(textbook, is_diagonal=True)


def diagonal_only(recipe: Recipe) -> Iterator[Recipe]:
    """p_i (1−p_i) for the whole Jacobian."""
    if recipe.is_softmax:
        yield replace(recipe, is_diagonal=True)


def over_batch(recipe: Recipe) -> Iterator[Recipe]:
    """Softmax along the other axis, derived by hand as p − c, or as it is."""
    if recipe.is_softmax:
        yield replace(recipe, is_over_batch=True, is_by_hand=True)
        if recipe.objective is Objective.SOFTMAX_CROSS_ENTROPY:
            yield replace(recipe, is_over_batch=True)


def other_layout(recipe: Recipe) -> Iterator[Recipe]:
    """Outputs, or what is read, or both, that lie class by class."""
    if min(recipe.logits.shape) == 1:
        return
    turned_back = Layout.CLASSES.turned_back
    yield replace(recipe, layout=Layout.CLASSES)
    yield replace(recipe, layout=Layout.UNTURNED)
    turned = [replace(recipe, logits=turned_back(recipe.logits))]
    if recipe.targets is not None:
        turned.append(replace(turned[0], targets=turned_back(recipe.targets)))
    for each in turned:
        yield each
        yield replace(each, layout=Layout.CLASSES)


def clipped(recipe: Recipe) -> Iterator[Recipe]:
    """Probabilities kept away from 0 and 1 by any usual number."""
    yield from _clipped_to(recipe, USUAL_LEAST + OTHER_LEAST)


def clipped_as_usual(recipe: Recipe) -> Iterator[Recipe]:
    """The same by the most usual ones."""
    yield from _clipped_to(recipe, USUAL_LEAST)


def _clipped_to(recipe: Recipe, least_probabilities: Iterable[float]) -> Iterator[Recipe]:
    if recipe.is_binary:
        yield replace(recipe, floor=Floor.OF_PYTORCH, least=LEAST_OF_PYTORCH)
    for least in least_probabilities:
        for floor in (Floor.CLIPPED, Floor.RAISED):
            bounded = replace(recipe, floor=floor, least=least)
            yield bounded
            yield replace(bounded, is_by_hand=True)
        yield replace(recipe, floor=Floor.ADDED, least=least)


def read_with_fewer_digits(recipe: Recipe) -> Iterator[Recipe]:
    """Logits rounded to a type with fewer digits."""
    for lower in (FLOAT32, BFLOAT16, FLOAT16):
        yield replace(recipe, read=lower.rounded)
