"""The arrays of a reply: what is computed in its place is not copied there."""

from __future__ import annotations

import numpy as np
import pytest

from gradient_service.core.blocks import SHORT_ROW, never_stops
from gradient_service.core.inputs import Scores
from gradient_service.core.outputs import Outputs

ROWS = 7


def outputs_of(num_classes: int) -> Outputs:
    """An output of some rows."""
    return Outputs(["gradient"], Scores(logits=np.zeros((ROWS, num_classes), np.float32)), never_stops)


def test_the_place_of_long_rows_is_the_output() -> None:
    """What is computed in the place of some rows stands in the output, before it is written and after."""
    outputs = outputs_of(SHORT_ROW)
    outputs.arrays["gradient"][:] = 0.0
    place = outputs.place("gradient", slice(2, 5), np.float32)
    assert place is not None
    assert place.shape == (SHORT_ROW, 3)
    place[:] = 1.0
    for _ in range(2):
        assert outputs.arrays["gradient"].sum(axis=1).tolist() == [0, 0, *[SHORT_ROW] * 3, 0, 0]
        outputs.write("gradient", slice(2, 5), place.T)


def test_rows_by_number_are_written_from_their_place() -> None:
    """The place of single rows is a copy, which reaches the output when it is written."""
    outputs = outputs_of(SHORT_ROW)
    outputs.arrays["gradient"][:] = 0.0
    rows = np.array([1, 4])
    place = outputs.place("gradient", rows, np.float32)
    assert place is not None
    place[:] = 1.0
    assert not outputs.arrays["gradient"].any()
    outputs.write("gradient", rows, place.T)
    assert outputs.arrays["gradient"].sum(axis=1).tolist() == [0, SHORT_ROW, 0, 0, SHORT_ROW, 0, 0]


@pytest.mark.parametrize("num_classes", [1, SHORT_ROW - 1])
def test_short_rows_have_no_place(num_classes: int) -> None:
    """Short rows lie otherwise in a block than in an output."""
    assert outputs_of(num_classes).place("gradient", slice(0, 3), np.float32) is None


def test_numbers_of_another_dtype_have_no_place() -> None:
    """What is computed in float64 is rounded to float32 when it is written."""
    assert outputs_of(SHORT_ROW).place("gradient", slice(0, 3), np.float64) is None
