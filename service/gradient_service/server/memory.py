"""How the C library keeps memory: freed blocks stay with the process, so that the next block finds its pages in place.

By default glibc gives a few hundred kilobytes back to the system as soon as they are free, and the arrays of every
row block fault each page in anew: that took more than half of the time of a computation.
"""

import ctypes
from contextlib import suppress

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
KEPT_BYTES = 16 * 1024 * 1024
"""What a thread may keep; a row block and its companions take a fourth of it."""
MAPPED_BYTES = 4 * 1024 * 1024
"""Larger arrays, those of whole batches, come from the system and go back to it at once."""


def keep_freed_blocks() -> None:
    """Set the thresholds, where the C library has them."""
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES)
        library.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
