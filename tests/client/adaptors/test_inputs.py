"""The arrays of every library are read as the numbers they hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradient_client import GradientClient, InputError
from gradient_client._fields import read_integers, read_numbers
from tests.client.adaptors.jax_programs import inputs
from tests.client.adaptors.test_jax import in_a_process_of_its_own

pytestmark = pytest.mark.full

NUMBERS = np.array([[1.0, 2.0, -0.5], [0.25, 3.0, 8.0]])


def torch_tensors() -> dict[str, Any]:
    """Tensors that have a history, that NumPy has no dtype for, that lie otherwise in memory."""
    import torch  # noqa: PLC0415 - only the tests of frameworks need it

    tensor = torch.tensor(NUMBERS)
    return {
        "torch": tensor,
        "torch with a history": tensor.requires_grad_() * 1.0,
        "torch bfloat16": tensor.detach().to(torch.bfloat16),
        "torch float16": tensor.detach().half(),
        "torch not contiguous": tensor.detach().T.contiguous().T,
        "list of torch": [row for row in tensor.detach()],  # noqa: C416 - a list is what is meant
    }


def frames() -> dict[str, Any]:
    """Tables of columns."""
    import pandas as pd  # noqa: PLC0415 - only the tests of frameworks need it
    import polars as pl  # noqa: PLC0415 - the same

    columns = {name: NUMBERS[:, place].tolist() for place, name in enumerate("abc")}
    return {
        "pandas": pd.DataFrame(columns),
        "pandas of mixed widths": pd.DataFrame(columns).astype({"a": "float32"}),
        "polars": pl.DataFrame(columns),
    }


@pytest.mark.parametrize("library", [torch_tensors, frames])
def test_numbers_are_read(library: Callable[[], dict[str, Any]]) -> None:
    """Tensors and frames give the same rows."""
    for name, value in library().items():
        np.testing.assert_array_equal(read_numbers("logits", value, rank=2), NUMBERS, err_msg=name)


def test_labels_are_read() -> None:
    """Series and tensors of integers are labels."""
    import pandas as pd  # noqa: PLC0415 - only the tests of frameworks need it
    import polars as pl  # noqa: PLC0415 - the same
    import torch  # noqa: PLC0415 - the same

    for value in (pd.Series([2, 0]), pl.Series([2, 0]), torch.tensor([2, 0]), pd.Categorical([2, 0]).codes):
        assert read_integers("labels", value).shape == (2,)


def test_a_frame_with_a_column_of_booleans_or_words_is_refused() -> None:
    """Field, index and cure are named before anything is sent."""
    import pandas as pd  # noqa: PLC0415 - only the tests of frameworks need it

    for column in ([True, False], ["x", "y"]):
        with pytest.raises(InputError, match=r"logits\[0, 1\]") as caught:
            read_numbers("logits", pd.DataFrame({"a": [1.0, 2.0], "b": column}), rank=2)
        assert caught.value.cure


def test_arrays_of_jax() -> None:
    """Three floating dtypes of JAX are answered in float32."""
    with GradientClient.in_process() as client:
        expected = client.softmax(np.array([[1.0, 2.0]], np.float32)).probabilities
    for found in in_a_process_of_its_own(inputs):
        np.testing.assert_array_equal(found, expected, strict=True)
