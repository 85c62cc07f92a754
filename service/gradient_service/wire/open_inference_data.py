"""JSON data of an Open Inference tensor, flat or nested, to an array of the datatype that it declares."""

from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradient_service.core.errors import MAX_FAULTS, Fault, InvalidInputError
from gradient_service.schemas.tensor import Tensor
from gradient_service.wire.json_array import element_faults, find_faults, read_array
from gradient_service.wire.json_values import flat_values, is_array
from gradient_service.wire.tensor_codec import ElementType


def read_data(name: str, data: Any, shape: tuple[int, ...], tensor: Tensor) -> NDArray[Any]:
    """Return the data as an array of the shape: float64, int64 or bool.

    Raises:
        InvalidInputError: it is no array, rows differ in length, an element has another type, or there are not as
            many elements as the shape needs. Deeper nesting may go unnoticed, so the caller counts brackets.
    """
    try:
        array = _rows(data, tensor) if is_nested(data) else _flat(data, tensor).reshape(shape)
    except (TypeError, ValueError):
        array = None
    if array is None or array.shape != shape:
        raise InvalidInputError(data_faults(name, data, shape, tensor) or [_length_fault(name)])
    return array


def data_faults(name: str, data: Any, shape: tuple[int, ...], tensor: Tensor) -> list[Fault]:
    """Return what is wrong with the data beside their number, in document order."""
    faults: Iterator[Fault]
    if is_nested(data) or not is_array(data):
        faults = find_faults(name, data, tensor)
    else:
        faults = element_faults(name, data, tensor, partial(index_of, shape))
    return list(islice(faults, MAX_FAULTS))


def num_brackets(data: Any) -> int:
    """Return how many brackets open in data without hidden arrays: its own, and where it is nested one a row."""
    return 1 + (len(data) if is_nested(data) else 0)


def is_nested(data: Any) -> bool:
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


def _rows(data: Any, tensor: Tensor) -> NDArray[Any]:
    if tensor.rank == 1:
        raise TypeError
    return read_array(data, tensor)


def _flat(data: Any, tensor: Tensor) -> NDArray[Any]:
    if not is_array(data):
        raise TypeError
    return flat_values(data, tensor.kind)


def _length_fault(name: str) -> Fault:
    return Fault("length-mismatch", name, (), f"{name} has not as many elements as its shape needs.")


def _refuse(name: str, is_outside: NDArray[np.bool_], code: str) -> None:
    if is_outside.any():
        places = np.argwhere(is_outside)[:MAX_FAULTS]
        detail = f"{name}: this number leaves the range of its datatype."
        raise InvalidInputError([Fault(code, name, tuple(map(int, place)), detail) for place in places])
