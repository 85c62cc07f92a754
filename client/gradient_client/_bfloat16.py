"""bfloat16, which NumPy does not have: the float32 equal to it, under a mark that says how it travels.

The service judges claims and targets by their own precision, so one that was widened for good would be held to
digits it never had.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_MARKED = np.dtype(np.float32, metadata={"travels_as": "bfloat16"})


def marked(array: NDArray[Any]) -> NDArray[np.float32]:
    """Numbers of bfloat16, or equal to some, as float32 with the mark; views and slices keep it."""
    return np.asarray(array).astype(np.float32, copy=False).view(_MARKED)


def is_marked(array: NDArray[Any]) -> bool:
    """Whether the numbers are of bfloat16."""
    return array.dtype.metadata == _MARKED.metadata


def bits_of(array: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The upper half of each float32, which is the bfloat16."""
    return (array.view(np.uint32) >> 16).astype(np.uint16)


def from_bits(bits: NDArray[np.uint16]) -> NDArray[np.float32]:
    """What the bits of bfloat16 stand for, with the mark."""
    return marked((bits.astype(np.uint32) << 16).view(np.float32))
