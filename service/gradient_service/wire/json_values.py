"""The JSON parser behind one small face: simdjson, or orjson where simdjson has no wheel.

Values are what the parser makes of them: objects that name their fields in the order of the document, arrays that have
a length and iterate, and Python scalars.
"""

from collections.abc import Collection
from itertools import islice
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from gradient_service.schemas.tensor import Kind

try:
    import simdjson as installed_simdjson
except ImportError:  # no wheel for this Python
    simdjson: Any = None
else:
    simdjson = installed_simdjson

PYTHON_TYPES: dict[Kind, frozenset[type]] = {
    "number": frozenset({int, float}),
    "integer": frozenset({int}),
    "boolean": frozenset({bool}),
}
DTYPES: dict[Kind, np.dtype[Any]] = {
    "number": np.dtype(np.float64),
    "integer": np.dtype(np.int64),
    "boolean": np.dtype(np.bool_),
}
BUFFER_CODES: dict[Kind, Literal["d", "i"]] = {"number": "d", "integer": "i"}

MAX_NAMES = 64
"""More than any object has that is accepted."""
OBJECT_TYPES: tuple[type, ...] = (dict,) if simdjson is None else (dict, simdjson.Object)
ARRAY_TYPES: tuple[type, ...] = (list,) if simdjson is None else (list, simdjson.Array)


def is_fast() -> bool:
    """Return whether it is simdjson: its objects show a field twice that is given twice, its integers are no floats."""
    return simdjson is not None


def parse(body: bytes) -> Any:
    """Return the document; raise ValueError or RuntimeError for bytes that the parser does not take."""
    return orjson.loads(body) if simdjson is None else simdjson.Parser().parse(body)


def parse_quickly(body: bytes) -> Any | None:
    """Return the document, None for bytes that the parser does not take, and for the document null."""
    try:
        return parse(body)
    except (ValueError, RuntimeError):  # bytes that are no JSON, or numbers that 64 bits do not hold
        return None


def is_object(value: Any) -> bool:
    """Return whether a value is a JSON object."""
    return isinstance(value, OBJECT_TYPES)


def first_names(value: Any) -> list[str]:
    """Return the names of an object, of millions the first: enough to tell that there are some too many."""
    return list(islice(value, MAX_NAMES + 1))


def members_of(value: Any, known: Collection[str]) -> dict[str, Any]:
    """Return the members of an object by their first names, none for another value; of those not known the name alone.

    The parser finds a member by walking to it, so that finding all of a million takes an hour, and its own listing
    of them makes Python's lists of all arrays.
    """
    names = first_names(value) if is_object(value) else []
    return {name: value[name] if name in known else None for name in names}


def is_array(value: Any) -> bool:
    """Return whether a value is a JSON array."""
    return isinstance(value, ARRAY_TYPES)


def is_nested(value: Any) -> bool:
    """Return whether a value is more than a scalar or an array of scalars."""
    return is_object(value) or (is_array(value) and any(is_array(element) or is_object(element) for element in value))


def is_scalar_of(value: Any, kind: Kind) -> bool:
    """Return whether a value is a scalar of a kind; true is no number, and 1.0 no integer."""
    return type(value) in PYTHON_TYPES[kind]


def are_scalars_of(values: list[Any], kind: Kind) -> bool:
    """Return whether `flat_values` takes all of some values, and none is an array."""
    return {*ARRAY_TYPES}.isdisjoint(map(type, values)) and _are_taken(values, kind)


def are_rows_of(values: list[Any], kind: Kind, num_columns: int) -> bool:
    """Return whether all of some values are arrays of so many such scalars."""
    are_rows = {*ARRAY_TYPES}.issuperset(map(type, values)) and {num_columns}.issuperset(map(len, values))
    return are_rows and _are_taken(values, kind)


def _are_taken(values: list[Any], kind: Kind) -> bool:
    try:
        flat_values(values, kind)
    except (TypeError, ValueError):
        return False
    return True


def flat_values(array: Any, kind: Kind) -> NDArray[Any]:
    """Return all scalars of an array and of the arrays in it, in order, as float64, int64 or bool.

    Raises:
        TypeError: a scalar is of another kind.
        ValueError: an integer does not fit int64, or a number is infinite: no float64 held it.
    """
    if kind in BUFFER_CODES and not isinstance(array, list):
        return np.frombuffer(array.as_buffer(of_type=BUFFER_CODES[kind]), DTYPES[kind])
    scalars = [scalar for row in array for scalar in (row if is_array(row) else (row,))]  # deeper ones are no scalars
    if not PYTHON_TYPES[kind].issuperset(map(type, scalars)):
        raise TypeError
    try:
        values = np.array(scalars, DTYPES[kind])
    except OverflowError:
        raise ValueError from None
    if kind == "number" and np.isinf(values).any():
        raise ValueError
    return values


def python_value(value: Any) -> Any:
    """Return a value as Python's own lists, dictionaries and scalars."""
    if isinstance(value, list | dict):
        return value
    if is_array(value):
        return value.as_list()
    return value.as_dict() if is_object(value) else value
