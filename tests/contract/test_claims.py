"""Claims and targets of every dtype are judged by their own precision, by the real service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from ml_dtypes import bfloat16

from gradient_client import GradientClient

LOGITS = np.random.default_rng(7).normal(scale=2, size=(4, 7))
LABELS = np.array([0, 3, 6, 2])


@pytest.fixture(scope="module")
def client() -> Iterator[GradientClient]:
    """A client without a network."""
    with GradientClient.in_process(timeout=60) as asked:
        yield asked


@pytest.mark.parametrize("dtype", [bfloat16, np.float16, np.float32, np.float64])
def test_right_claims_match(client: GradientClient, dtype: Any) -> None:
    """A right gradient rounded to its dtype matches, as those of bfloat16 did not when they were widened."""
    gradient = client.gradient(LOGITS, LABELS).gradient
    assert client.check(LOGITS, LABELS, gradient=gradient.astype(dtype)).verdict == "match"


@pytest.mark.parametrize("dtype", [bfloat16, np.float16, np.float32, np.float64])
def test_right_claims_in_lists_match(client: GradientClient, dtype: Any) -> None:
    """So does a list of its rows, or of its numbers."""
    rows = [*client.gradient(LOGITS, LABELS).gradient.astype(dtype)]
    assert client.check(LOGITS, LABELS, gradient=rows).verdict == "match"
    assert client.check(LOGITS, LABELS, gradient=[[*row] for row in rows]).verdict == "match"


@pytest.mark.parametrize("dtype", [bfloat16, np.float16])
def test_target_rows_sum_to_1_within_their_rounding(client: GradientClient, dtype: Any) -> None:
    """Rows of seven rounded sevenths are distributions, in either half precision."""
    rounded = np.full((4, 7), 1 / 7, dtype)
    found = client.loss(LOGITS, targets=rounded).loss
    assert found == client.loss(LOGITS, targets=rounded.astype(np.float64), targets_sum="any").loss


def test_bfloat16_is_answered_as_the_float32_equal_to_it(client: GradientClient) -> None:
    """Logits of either dtype have the same answer to the last bit, in chunks too."""
    half = LOGITS.astype(bfloat16)
    expected = client.gradient(half.astype(np.float32), LABELS).gradient
    np.testing.assert_array_equal(client.gradient(half, LABELS).gradient, expected, strict=True)
    np.testing.assert_array_equal(client.gradient(half, LABELS, chunk_rows=3).gradient, expected, strict=True)
