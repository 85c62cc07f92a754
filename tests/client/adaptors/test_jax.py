"""JAX differentiates, compiles and maps the losses of the service as it does those of optax."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pytest

from tests.client.adaptors.jax_programs import calls_and_dtypes, refused_integers, scaled_gradient, worst_errors

pytestmark = pytest.mark.full


def in_a_process_of_its_own(program: Callable[[], Any]) -> Any:
    """What a program returns."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(program).result()


def test_losses_and_gradients_are_those_of_optax() -> None:
    """By themselves, compiled, mapped and both; and JAX's own difference quotients agree."""
    errors = in_a_process_of_its_own(worst_errors)
    assert len(errors) == 9
    assert max(errors.values()) < 1e-14, errors


def test_what_is_mapped_over_becomes_rows() -> None:
    """A mapped gradient is one call, and losses have the dtype of the logits."""
    assert in_a_process_of_its_own(calls_and_dtypes) == (1, ["float16", "bfloat16", "float32"])


def test_loss_scaling_keeps_small_gradients() -> None:
    """What half precision would flush to 0 is multiplied first; it was the other way round."""
    found = in_a_process_of_its_own(scaled_gradient)
    expected = 4096 * np.exp([[0.0, -18.0, -20.0]])
    assert found.dtype == np.float16
    np.testing.assert_array_max_ulp(found[:, 1:], expected[:, 1:].astype(np.float16))


def test_logits_are_floats() -> None:
    """Losses of whole numbers would be cut."""
    assert "logits are of dtype int32: pass floats" in in_a_process_of_its_own(refused_integers)
