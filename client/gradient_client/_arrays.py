"""Any array in, a checked NumPy array out; what cannot be sent is refused with its place and cure."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ._bfloat16 import marked
from ._nested import check_nested, is_nested
from ._refusal import refusal

AnyArray = NDArray[Any]


class SupportsDLPack(Protocol):
    """An array that only speaks DLPack."""

    def __dlpack__(self, *, stream: Any = None) -> Any: ...
    def __dlpack_device__(self) -> Any: ...


_CURES = {
    "b": "booleans are for masks only; write array.astype(float) if numbers are meant",
    "c": "send array.real or array.imag",
    "O": "give it one numeric dtype first, such as numpy.asarray(array, dtype=float)",
    "S": "convert text to numbers first",
    "U": "convert text to numbers first",
    "M": "convert dates to numbers first",
    "m": "convert durations to numbers first",
}
_SHAPES = {
    0: "it takes one number",
    1: "it takes one entry each, shape (n,)",
    2: "it takes rows, shape (rows, classes)",
}


def to_array(field: str, value: object) -> AnyArray:
    """A NumPy view or copy of any array, whatever library it comes from; its dtype is not judged here.

    Args:
        field: the argument's name, for the error.
        value: nested lists, or anything with `__array__` or `__dlpack__`.

    Returns:
        The array, of native byte order; the 8-bit floats are widened to float32, and so is bfloat16, under its mark.

    Raises:
        InputError: the value is ragged, holds no numbers or cannot be read as an array.
    """
    if is_nested(value):
        value = [to_array(field, item) if is_foreign(item) else item for item in value]
        check_nested(field, value)
    elif any(kind.__module__.startswith("numpy.ma") for kind in type(value).__mro__):
        # NumPy would drop the mask in silence and send the hidden numbers.
        raise refusal(field, "is a masked array", "fill it with array.filled(0) and pass the mask as mask=")
    try:
        array = _convert(value)
    except (TypeError, ValueError, RuntimeError, BufferError, OverflowError) as failure:
        reason = f"cannot be read as an array ({type(failure).__name__})"
        raise refusal(field, reason, "convert it with numpy.asarray first") from failure
    return _native(array)


def is_foreign(value: object) -> bool:
    """Whether a value is an array of any library, as opposed to a list or a scalar."""
    return (hasattr(value, "__array__") or hasattr(value, "__dlpack__")) and not isinstance(value, np.generic)


def _convert(value: Any) -> AnyArray:
    # torch: an array with a history or on a device has neither __array__ nor DLPack to offer.
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        if str(value.dtype).endswith("bfloat16"):  # which NumPy does not know
            return marked(np.asarray(value.float()))
    if not hasattr(value, "__array__") and hasattr(value, "__dlpack__"):
        return _from_dlpack(value)
    try:
        return np.asarray(value)
    except (TypeError, RuntimeError):
        # CuPy has __array__ only to say that it will not copy by itself; through DLPack it does.
        if hasattr(value, "__dlpack__"):
            return _from_dlpack(value)
        raise


def _from_dlpack(value: SupportsDLPack) -> AnyArray:
    try:
        return np.from_dlpack(value, device="cpu")
    except TypeError:  # an array, or a NumPy, from before DLPack could copy between devices
        return np.from_dlpack(value)


def _native(array: AnyArray) -> AnyArray:
    # ml_dtypes registers bfloat16 and the 8-bit floats as kind V (or f) under their own names.
    if array.dtype.name == "bfloat16":
        return marked(array)
    if "float" in array.dtype.name and array.dtype.name not in {"float16", "float32", "float64"}:
        return array.astype(np.float64 if array.dtype.itemsize > np.dtype(np.float64).itemsize else np.float32)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def check_rank(field: str, array: AnyArray, rank: int) -> None:
    """Refuse an array that has not exactly `rank` axes."""
    if array.ndim == rank:
        return
    cure = _SHAPES[rank]
    if array.ndim == rank - 1:
        cure += "; write one row as array[None, :]"
    raise refusal(field, f"has {array.ndim} axes instead of {rank}", cure)


def check_kind(field: str, array: AnyArray, kinds: str, cure: str) -> None:
    """Refuse an array whose NumPy dtype kind is not one of `kinds`; `cure` is for numbers of a wrong kind."""
    kind = array.dtype.kind
    if kind in kinds:
        return
    # Converting is the cure of what is no number at all, unless booleans are wanted.
    advice = cure if kinds == "b" else _CURES.get(kind, cure)
    raise refusal(field, f"has dtype {array.dtype.name}", advice, _first_non_number(array))


def _first_non_number(array: AnyArray) -> tuple[int, ...]:
    """Where the first element of an object array is that is no number; nowhere for other dtypes."""
    if array.dtype.kind != "O":
        return ()
    numbers = (int, float, np.number)
    return next(
        (index for index, item in np.ndenumerate(array) if isinstance(item, bool) or not isinstance(item, numbers)), ()
    )


def check_finite(field: str, array: AnyArray) -> None:
    """Refuse NaN and infinities, naming the first."""
    if array.dtype.kind != "f":
        return
    finite = np.isfinite(array)
    if not finite.all():
        place = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), array.shape))
        raise refusal(field, "is not a finite number", "to leave a class out of a row, pass mask=", place)
