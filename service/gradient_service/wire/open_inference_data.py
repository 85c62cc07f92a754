"""JSON data of an Open Inference tensor, flat or nested, to an array of the datatype that it declares."""

from dataclasses import replace
from functools import partial
from itertools import islice
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradient_service.core.errors import MAX_FAULTS, Fault, InvalidInputError
from gradient_service.schemas.tensor import Tensor
from gradient_service.wire.json_array import find_faults, read_array, stand_in
from gradient_service.wire.json_faults import element_faults
from gradient_service.wire.json_grammar import JsonText
from gradient_service.wire.json_values import is_array
from gradient_service.wire.open_inference_members import Input
from gradient_service.wire.tensor_codec import ElementType


def read_data(entry: Input, tensor: Tensor, source: JsonText) -> NDArray[Any]:
    """Return the data of an input as an array of its shape: float64, int64 or bool.

    Raises:
        InvalidInputError: they are no array, rows differ in length, an element has another type, or there are not as
            many elements as the shape needs. Deeper nesting may go unnoticed, so the caller counts brackets.
        TakesLongError: that may not be told hastily.
    """
    is_flat = not _is_nested(entry.data)
    try:
        array = _flat(entry, tensor) if is_flat else _rows(entry, tensor)
    except (TypeError, ValueError):
        array = None
    if array is None or array.shape != entry.shape:
        source.take_time()
        raise InvalidInputError(data_faults(entry, tensor) or [_length_fault(entry.name)])
    return array


def data_faults(entry: Input, tensor: Tensor) -> list[Fault]:
    """Return what is wrong with the data of an input beside their number, in document order."""
    if is_array(entry.data) and not _is_nested(entry.data):
        faults = element_faults(entry.name, entry.data, tensor, partial(index_of, entry.shape))
    else:
        faults = find_faults(entry.name, entry.data, tensor)
    return list(islice(faults, MAX_FAULTS))


def data_in_place_of(entry: Input, tensor: Tensor) -> NDArray[Any] | None:
    """Return some numbers in place of data of which only elements are wrong, where their number is right."""
    array = stand_in(entry.data, tensor if _is_nested(entry.data) else replace(tensor, rank=1))
    return array.reshape(entry.shape) if array is not None and array.size == prod(entry.shape) else None


def num_brackets(data: Any) -> int:
    """Return how many brackets open in data without hidden arrays: its own, and where it is nested one a row."""
    return 1 + (len(data) if _is_nested(data) else 0)


def _is_nested(data: Any) -> bool:
    """Return whether data are rows; their first element tells."""
    return is_array(data) and len(data) > 0 and is_array(data[0])


def index_of(shape: tuple[int, ...], position: int) -> tuple[int, ...]:
    """Return the index that a position in flat data has in the field."""
    return divmod(position, shape[1]) if len(shape) > 1 and shape[1] else (position,)


def in_datatype(name: str, array: NDArray[Any], element: ElementType) -> NDArray[Any]:
    """Return numbers rounded to their datatype, and integers as they are.

    Raises:
        InvalidInputError: `number-out-of-range` or `label-out-of-range` where one leaves the datatype's range.
    """
    if element.kind == "boolean":
        return array
    if element.kind == "integer":
        bounds = np.iinfo(element.stored)
        _refuse(name, (array < bounds.min) | (array > bounds.max), "label-out-of-range")
        return array
    with np.errstate(over="ignore"):
        rounded = array.astype(element.stored, copy=False)
    _refuse(name, np.isinf(rounded), "number-out-of-range")
    return rounded


def _flat(entry: Input, tensor: Tensor) -> NDArray[Any]:
    return read_array(entry.data, replace(tensor, rank=1)).reshape(entry.shape)


def _rows(entry: Input, tensor: Tensor) -> NDArray[Any]:
    if tensor.rank == 1:
        raise TypeError
    return read_array(entry.data, tensor)


def _length_fault(name: str) -> Fault:
    return Fault("length-mismatch", name, (), f"{name} has not as many elements as its shape needs.")


def _refuse(name: str, is_outside: NDArray[np.bool_], code: str) -> None:
    if is_outside.any():
        places = np.argwhere(is_outside)[:MAX_FAULTS]
        detail = f"{name}: this number leaves the range of its datatype."
        raise InvalidInputError([Fault(code, name, tuple(map(int, place)), detail) for place in places])
