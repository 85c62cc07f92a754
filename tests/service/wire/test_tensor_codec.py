"""Tensors to bytes and back: each element type to the last bit, and without a copy where NumPy knows the type."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest

from gradient_service.schemas.tensor import roundoff
from gradient_service.wire.errors import MalformedBodyError
from gradient_service.wire.tensor_codec import (
    BFLOAT16,
    BOOLEAN,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    INTEGERS,
    ElementType,
    decode_tensor,
    encode_tensor,
    num_bytes,
)

HALVES: list[Any] = [0.0, -0.0, 1.0, -1.5, 2.0**-24, 2.0**-14, 65504.0, -65504.0, math.inf, -math.inf]
FLOATS: list[Any] = [*HALVES, 2.0**-149, -(2.0**-149), 2.0**-126, float(np.finfo(np.float32).max), 0.333251953125]
DOUBLES: list[Any] = [*FLOATS, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, 0.1]
CODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q"}
ELEMENTS = [
    pytest.param(FLOAT16, "e", HALVES, id="F16"),
    pytest.param(FLOAT32, "f", FLOATS, id="F32"),
    pytest.param(FLOAT64, "d", DOUBLES, id="F64"),
    pytest.param(BOOLEAN, "?", [True, False, False, True], id="BOOL"),
    *(
        pytest.param(
            element,
            CODES[element.stored.str[-2:]],
            [0, 1, int(np.iinfo(element.stored).max), int(np.iinfo(element.stored).min)],
            id=name.upper(),
        )
        for name, element in INTEGERS.items()
    ),
]
ALL = [*(pytest.param(case.values[0], id=case.id) for case in ELEMENTS), pytest.param(BFLOAT16, id="BF16")]
NOT_BOOLEAN = [pytest.param(bytes([0, value, 1]), id=str(value)) for value in (2, 3, 127, 128, 254, 255)]


def shown_dtype(element: ElementType) -> np.dtype[Any]:
    """What NumPy calls the elements of a type."""
    return np.dtype(np.bool_) if element.kind == "boolean" else element.stored


@pytest.mark.parametrize(("element", "code", "values"), ELEMENTS)
def test_bytes_become_their_values(element: ElementType, code: str, values: list[Any]) -> None:
    """Little-endian bytes as the struct module packs them are read as the values that were packed."""
    packed = struct.pack(f"<{len(values)}{code}", *values)
    array = decode_tensor(memoryview(packed), element, (len(values),), "/x")
    assert array.dtype == shown_dtype(element)
    assert [(value, math.copysign(1, value)) for value in array.tolist()] == [
        (value, math.copysign(1, value)) for value in values
    ]


@pytest.mark.parametrize(("element", "code", "values"), ELEMENTS)
def test_values_become_their_bytes(element: ElementType, code: str, values: list[Any]) -> None:
    """Arrays are written as the struct module packs their values."""
    array = np.array(values, shown_dtype(element))
    assert encode_tensor(array).tobytes() == struct.pack(f"<{len(values)}{code}", *values)


@pytest.mark.parametrize("element", [FLOAT16, FLOAT32, FLOAT64], ids=["F16", "F32", "F64"])
def test_the_bits_of_nan_are_kept(element: ElementType) -> None:
    """A NaN with a payload and a sign is the same NaN after a round trip."""
    ones = b"\xff" * element.size
    quiet = np.array([math.nan], element.stored).tobytes()
    array = decode_tensor(memoryview(ones + quiet), element, (2,), "/x")
    assert np.isnan(array).all()
    assert encode_tensor(array).tobytes() == ones + quiet


def test_every_bfloat16_is_widened_exactly() -> None:
    """Each of the 65 536 patterns is the float32 with these upper bits: subnormals, −0.0, infinities and NaN too."""
    patterns = np.arange(2**16, dtype="<u2")
    array = decode_tensor(memoryview(patterns.tobytes()), BFLOAT16, (2**16,), "/x")
    assert array.dtype == np.float32
    assert np.array_equal(array.view(np.uint32), patterns.astype(np.uint32) << 16)


@pytest.mark.parametrize(("pattern", "value"), [
    pytest.param(0x0001, math.ldexp(1, -133), id="least subnormal"),
    pytest.param(0x807F, -math.ldexp(127, -133), id="largest negative subnormal"),
    pytest.param(0x0080, math.ldexp(1, -126), id="least normal"),
    pytest.param(0x8000, -0.0, id="-0.0"),
    pytest.param(0x3F80, 1.0, id="one"),
    pytest.param(0x3F81, 1 + 2.0**-7, id="next after one"),
    pytest.param(0x7F7F, math.ldexp(255, 120), id="largest"),
    pytest.param(0xFF80, -math.inf, id="-inf"),
])  # fmt: skip
def test_a_bfloat16_is_its_value(pattern: int, value: float) -> None:
    """A BF16 has a sign, eight bits of exponent and seven of fraction."""
    array = decode_tensor(memoryview(struct.pack("<H", pattern)), BFLOAT16, (), "/x")
    assert (type(array), array.shape, array.item().hex()) == (np.ndarray, (), float(value).hex())


@pytest.mark.parametrize(("element", "expected"), [
    pytest.param(BFLOAT16, 2.0**-8, id="BF16"),
    pytest.param(FLOAT16, 2.0**-11, id="F16"),
    pytest.param(FLOAT32, 2.0**-24, id="F32"),
    pytest.param(FLOAT64, 2.0**-53, id="F64"),
])  # fmt: skip
def test_arrays_tell_their_roundoff(element: ElementType, expected: float) -> None:
    """The unit roundoff is half the spacing at 1 of the type that was sent, whatever it was widened to."""
    array = decode_tensor(memoryview(bytes(2 * element.size)), element, (1, 2), "/x")
    assert roundoff(array) == expected


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 4)], ids=["0-d", "1-d", "2-d", "3-d"])
@pytest.mark.parametrize("element", ALL)
def test_shapes_are_row_major(element: ElementType, shape: tuple[int, ...]) -> None:
    """Elements lie with the last index running fastest, in any number of dimensions."""
    flat = (np.arange(math.prod(shape)) % 2).astype(element.stored)
    array = decode_tensor(memoryview(flat.tobytes()), element, shape, "/x")
    assert array.shape == shape
    for place, index in enumerate(np.ndindex(*shape)):
        assert bool(array[index]) == bool(flat[place])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 4)], ids=str)
@pytest.mark.parametrize("element", ALL)
def test_empty_tensors_are_arrays(element: ElementType, shape: tuple[int, ...]) -> None:
    """No bytes are an array of the shape, and back no bytes."""
    array = decode_tensor(memoryview(b""), element, shape, "/x")
    assert array.shape == shape
    assert len(encode_tensor(array)) == 0


@pytest.mark.parametrize("offset", [1, 2, 3, 5, 7])
@pytest.mark.parametrize(("element", "code", "values"), ELEMENTS)
def test_any_alignment_is_read(element: ElementType, code: str, values: list[Any], offset: int) -> None:
    """Tensors are read wherever in the body they begin."""
    packed = struct.pack(f"<{len(values)}{code}", *values)
    array = decode_tensor(memoryview(b"x" * offset + packed)[offset:], element, (len(values),), "/x")
    assert array.tolist() == values


@pytest.mark.parametrize("element", ALL)
def test_arrays_are_views(element: ElementType) -> None:
    """An array lies over the bytes it was read from; BF16 alone needs new ones."""
    body = np.zeros(24 * element.size, np.uint8)
    array = decode_tensor(body.data, element, (4, 6), "/x")
    assert np.shares_memory(array, body) is not element.is_bfloat16


def test_written_bytes_are_views() -> None:
    """What is written lies in the array itself."""
    array = np.arange(12, dtype="<f4").reshape(3, 4)
    assert np.shares_memory(np.frombuffer(encode_tensor(array), np.uint8), array)


@pytest.mark.parametrize("array", [
    pytest.param(np.arange(6, dtype="<f8").reshape(2, 3).T, id="transposed"),
    pytest.param(np.arange(24, dtype="<f4").reshape(4, 6)[::2, 1::2], id="strided"),
    pytest.param(np.arange(6, dtype="<i8")[::-1], id="reversed"),
    pytest.param(np.arange(6, dtype=">f4").reshape(2, 3), id="big-endian"),
    pytest.param(np.broadcast_to(np.array(7, "<f4"), (2, 3)), id="broadcast"),
    pytest.param(np.asfortranarray(np.arange(6, dtype=">i8").reshape(2, 3)), id="big-endian columns"),
])  # fmt: skip
def test_any_layout_is_written_row_major(array: np.ndarray[Any, Any]) -> None:
    """Bytes are little-endian and row-major, however the array lies in memory."""
    element = {"f4": FLOAT32, "f8": FLOAT64, "i8": INTEGERS["i64"]}[array.dtype.str[1:]]
    found = decode_tensor(encode_tensor(array), element, array.shape, "/x")
    assert found.tolist() == array.tolist()


@pytest.mark.parametrize("body", NOT_BOOLEAN)
def test_a_boolean_is_0_or_1(body: bytes) -> None:
    """Any other byte in a BOOL is malformed."""
    with pytest.raises(MalformedBodyError) as caught:
        decode_tensor(memoryview(body), BOOLEAN, (3,), "/class_mask")
    assert (caught.value.code, caught.value.pointer) == ("malformed-tensor", "/class_mask")


@pytest.mark.parametrize("difference", [-1, 1])
@pytest.mark.parametrize("element", ALL)
def test_the_length_is_that_of_the_shape(element: ElementType, difference: int) -> None:
    """A byte more or less than the shape needs is malformed."""
    body = bytes(num_bytes(element, (2, 3)) + difference)
    with pytest.raises(MalformedBodyError) as caught:
        decode_tensor(memoryview(body), element, (2, 3), "/x")
    assert (caught.value.code, caught.value.pointer) == ("malformed-tensor", "/x")


def test_lengths_do_not_overflow() -> None:
    """The length of a shape whose product has more than 64 bits is the true one."""
    assert num_bytes(FLOAT64, (2**40, 2**40)) == 2**83
