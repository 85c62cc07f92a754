"""safetensors requests and replies: what the library writes is read, and what is written the library loads."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load, save

from gradient_service import operations
from gradient_service.core.errors import InvalidInputError
from gradient_service.core.limits import WorkLimits
from gradient_service.operations import Work
from gradient_service.schemas.replies import (
    GradientApplied,
    GradientReply,
    LossApplied,
    LossReply,
    SoftmaxApplied,
    SoftmaxReply,
)
from gradient_service.schemas.requests import GradientRequest, LossRequest, SoftmaxRequest
from gradient_service.wire import safetensors_body
from gradient_service.wire.errors import MalformedBodyError

from .safetensors_files import bits, file_of, header_of, reply_of, stored, stored_bfloat16

FLOAT_TYPES = ["float16", "float32", "float64"]
INTEGER_TYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
KIB = 1024
WORK = Work(
    WorkLimits(max_elements=10_000, max_jacobian_elements=10_000, max_reply_bytes=1_000_000, bytes_per_number=8)
)


def decode(body: bytes) -> GradientRequest:
    """The request that a body to `/gradient` holds."""
    return safetensors_body.decode(body, GradientRequest, max_nesting=8).request


def joined(reply: SoftmaxReply | LossReply | GradientReply) -> bytes:
    """A reply as one file."""
    return b"".join(bytes(part) for part in safetensors_body.encode(reply))


def random_bits(seed: int, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """An array whose every bit is random; Booleans are 0 or 1."""
    generator = np.random.default_rng(seed)
    if dtype == "bool":
        return generator.integers(0, 2, shape).astype(np.bool_)
    width = np.dtype(dtype).itemsize
    return generator.integers(0, 256, (*shape, width), np.uint8).view(dtype).reshape(shape)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(0, 9), st.integers(0, 9), st.sampled_from(FLOAT_TYPES),
    st.sampled_from(INTEGER_TYPES),
)  # fmt: skip
def test_files_of_the_library_are_read(seed: int, rows: int, columns: int, number: str, integer: str) -> None:
    """Every bit of every tensor that the safetensors library writes arrives, whatever the types and shapes."""
    tensors = {
        "logits": random_bits(seed, (rows, columns), number),
        "labels": random_bits(seed + 1, (rows,), integer),
        "class_mask": random_bits(seed + 2, (columns,), "bool"),
        "element_mask": random_bits(seed + 3, (rows, columns), "bool"),
        "sample_weights": random_bits(seed + 4, (rows,), "float64"),
        "upstream": random_bits(seed + 5, (rows,), number),
    }
    request = decode(save(tensors, {"options": json.dumps({"temperature": 0.1, "reduction": "none"})}))
    assert (request.temperature, request.reduction.value) == (0.1, "none")
    for name, array in tensors.items():
        assert (name, bits(getattr(request, name))) == (name, bits(array))


@pytest.mark.parametrize(
    "metadata", [None, {}, {"format": "pt"}, {"options": "{}"}, {"format": "np", "options": " {} "}]
)
def test_options_may_be_left_out(metadata: dict[str, str] | None) -> None:
    """A file without options, or with empty ones, has the defaults."""
    logits = np.zeros((1, 2), np.float32)
    request = safetensors_body.decode(save({"logits": logits}, metadata), SoftmaxRequest, max_nesting=8).request
    assert (request.temperature, request.model_fields_set) == (1.0, {"logits"})


@pytest.mark.parametrize("blanks", range(8))
def test_data_may_begin_anywhere(blanks: int) -> None:
    """Data behind a header of any length is read to the bit."""
    logits = random_bits(blanks, (3, 5), "float64")
    found = decode(file_of({"labels": stored([1], "uint8"), "logits": stored(logits, "float64")}, blanks=blanks))
    assert bits(found.logits) == bits(logits)


def test_data_may_lie_in_another_order() -> None:
    """Tensors are found where the header says, not in the order of its names."""
    header = {
        "logits": {"dtype": "F32", "shape": [1, 2], "data_offsets": [1, 9]},
        "labels": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
    }
    data = b"\x01" + np.array([3, 4], "<f4").tobytes()
    text = json.dumps(header).encode()
    request = decode(len(text).to_bytes(8, "little") + text + data)
    assert request.labels is not None
    assert (request.logits.tolist(), request.labels.tolist()) == ([[3, 4]], [1])


def test_fields_keep_the_order_of_the_header() -> None:
    """Faults are told in the order in which the header, then the options name the fields."""
    tensors = {"labels": stored([0], "int64"), "logits": stored([[1, 2]])}
    body = file_of(tensors, {"reduction": "sum", "temperature": 2})
    decoded = safetensors_body.decode(body, LossRequest, max_nesting=8)
    assert list(decoded.field_order) == ["labels", "logits", "reduction", "temperature"]


def test_reading_copies_nothing() -> None:
    """Reading 8 MiB allocates less than 128 KiB: no list, no second array."""
    logits = np.zeros((2048, 1024), np.float32)
    body = save({"logits": logits, "labels": np.zeros(2048, np.int64)})
    decode(body)
    tracemalloc.start()
    try:
        decode(body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 128 * KIB


def softmax_reply(seed: int, rows: int, columns: int, dtype: str) -> SoftmaxReply:
    """A reply of random bits."""
    return SoftmaxReply.model_construct(
        None,
        probabilities=random_bits(seed, (rows, columns), dtype),
        predicted_labels=random_bits(seed + 1, (rows,), "int64"),
        one_hot=random_bits(seed + 2, (rows, columns), "uint8"),
        entropy=random_bits(seed + 3, (rows,), dtype),
        applied=SoftmaxApplied.model_construct(None, temperature=0.1, precision="fast", dtype=dtype),
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 9), st.integers(0, 9), st.sampled_from(["float32", "float64"]))
def test_the_library_loads_replies(seed: int, rows: int, columns: int, dtype: str) -> None:
    """Every bit of every array arrives in the safetensors library."""
    reply = softmax_reply(seed, rows, columns, dtype)
    loaded = load(joined(reply))
    assert set(loaded) == {"probabilities", "predicted_labels", "one_hot", "entropy"}
    for name, array in loaded.items():
        assert (name, bits(array)) == (name, bits(getattr(reply, name)))


def test_three_dimensions_are_written() -> None:
    """A Jacobian loads as it was."""
    jacobian = random_bits(1, (2, 3, 3), "float64")
    applied = GradientApplied.model_construct(None, temperature=1.0)
    loaded = load(joined(GradientReply.model_construct(None, jacobian=jacobian, applied=applied)))
    assert bits(loaded["jacobian"]) == bits(jacobian)


def test_scalars_are_the_result() -> None:
    """What is no array stands in `result`, numbers as their shortest text."""
    applied = LossApplied.model_construct(None, temperature=0.1, ignore_label=-100)
    content = joined(LossReply.model_construct(None, loss=0.30000000000000004, applied=applied))
    tensors, result = reply_of(content)
    assert tensors == {}
    assert result == {"loss": 0.30000000000000004, "applied": {"temperature": 0.1, "ignore_label": -100}}


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 300))
def test_data_of_replies_begins_aligned(scale: int, rows: int) -> None:
    """The header is filled up with blanks to a multiple of 64 bytes, its length included."""
    reply = softmax_reply(0, rows, 2, "float32")
    applied = reply.applied.model_copy(update={"temperature": scale / 7})
    content = joined(reply.model_copy(update={"applied": applied}))
    length = int.from_bytes(content[:8], "little")
    assert (8 + length) % 64 == 0
    assert content[8 : 8 + length].rstrip(b" ").endswith(b"}")
    assert len(content) == 8 + length + max(entry["data_offsets"][1] for name, entry in header_of(content).items()
                                            if name != "__metadata__")  # fmt: skip


VALID = [
    file_of({"logits": stored([[1, 2], [3, 4]]), "labels": stored([0, 1], "int8")}),
    file_of({"logits": stored([[1, -2]], "float16"), "targets": stored_bfloat16([[0.5, 0.5]])}, {"label_smoothing": 0}),
    save(
        {
            "logits": np.zeros((2, 3)),
            "labels": np.array([1, 2], np.uint64),
            "class_mask": np.array([False, True, True]),
            "element_mask": np.ones((2, 3), np.bool_),
        },
        {"options": json.dumps({"include": ["gradient", "jacobian", "hessian_diagonal"], "ignore_label": 1})},
    ),
    file_of({"logits": ("F32", (0, 3), b""), "labels": ("I64", (0,), b"")}, {"reduction": "none"}),
]
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["set", "insert", "delete"]),
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.integers(0, 255), st.sampled_from(b'0123456789"[]{},:-.eE \\')),
    ),
    min_size=1,
    max_size=8,
)


def changed(body: bytes, changes: list[tuple[str, float, int]]) -> bytes:
    """A body with some bytes set, inserted or deleted."""
    content = bytearray(body)
    for how, where, value in changes:
        place = int(where * len(content))
        content[place : place + (how != "insert")] = b"" if how == "delete" else bytes([value])
    return bytes(content)


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(VALID), CHANGES, st.booleans())
def test_spoiled_files_are_read_or_refused(body: bytes, changes: list[tuple[str, float, int]], mends: bool) -> None:
    """A file with random bytes changed is answered, malformed or invalid: nothing else is ever raised."""
    spoiled = changed(body, changes)
    if mends and len(spoiled) > len(body):
        # The header's length is set right, so that what was inserted into it is looked at.
        length = int.from_bytes(body[:8], "little") + len(spoiled) - len(body)
        spoiled = length.to_bytes(8, "little") + spoiled[8:]
    try:
        reply = operations.gradient(decode(spoiled), WORK)
    except (MalformedBodyError, InvalidInputError):
        return
    assert load(joined(reply)).keys() <= set(GradientReply.model_fields)


@pytest.mark.parametrize("body", VALID, ids=["labels", "targets", "library", "empty"])
def test_what_is_spoiled_is_good(body: bytes) -> None:
    """The files that are spoiled are answered as they stand."""
    assert operations.gradient(decode(body), WORK).applied.temperature == 1
