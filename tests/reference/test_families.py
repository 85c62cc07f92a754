"""The families of rows keep what their names and fields say."""

from __future__ import annotations

import numpy as np
import pytest

from tests.reference import draws
from tests.reference.families import FAMILIES, JACOBIAN_CLASSES, Family, families_up_to

ALL = list(FAMILIES.values())


def test_families_are_many() -> None:
    """At least 59 families are small enough for a Jacobian."""
    assert len(families_up_to(JACOBIAN_CLASSES)) >= 59


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_rows_are_finite_in_both_dtypes(family: Family) -> None:
    """Rows are finite, have the stated number of classes, and stay finite as float32."""
    logits = family(np.random.default_rng(1))
    rounded = family.float32(np.random.default_rng(1))
    assert logits.shape == rounded.shape == (len(logits), family.num_classes)
    assert np.isfinite(logits).all()
    assert np.isfinite(rounded).all()


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_gaps_beyond_any_loss_are_marked(family: Family) -> None:
    """Only families marked huge hold a row whose range is above 1e300."""
    logits = family(np.random.default_rng(2))
    assert family.is_huge or (logits.max(axis=1) / 2 - logits.min(axis=1) / 2).max() < 1e300


def test_a_seed_draws_the_same_rows() -> None:
    """A family draws the same rows from the same seed, and others from another."""
    first, again, other = (FAMILIES["normal_1"](np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("name", list(draws.TARGETS))
def test_target_rows_sum_to_one(name: str) -> None:
    """Every kind of target row is non-negative and sums to 1 within 1e-9."""
    logits = FAMILIES["normal_10"](np.random.default_rng(4))
    targets = draws.TARGETS[name](np.random.default_rng(5), logits)
    assert (targets >= 0).all()
    np.testing.assert_allclose(targets.sum(axis=1), 1.0, atol=1e-9)


def test_masks_leave_a_class_in_every_row() -> None:
    """Element masks leave every row a class, and labels within a mask stand on such classes."""
    rng = np.random.default_rng(6)
    mask = draws.element_mask(rng, (200, 3))
    assert mask.any(axis=1).all()
    assert mask[np.arange(200), draws.labels_within(rng, mask)].all()
