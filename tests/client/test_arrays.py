"""Which arrays are taken, how they travel, and how the others are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradient_client import HttpRequest, InputError
from gradient_client._fields import read_integer, read_integers, read_mask, read_number, read_numbers
from gradient_client._protocol import GRADIENT, SOFTMAX, build_request
from gradient_client._wire import WIRES, JsonWire, WireName

from .formats import fields_of

BASE = np.arange(6.0).reshape(2, 3)


class OnlyArray:
    """What pandas, polars and JAX offer."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return BASE


class OnlyDlpack:
    """What an array without NumPy knowledge offers."""

    def __dlpack__(self, **keywords: Any) -> Any:
        return BASE.__dlpack__(**keywords)

    def __dlpack_device__(self) -> Any:
        return BASE.__dlpack_device__()


class Tensor:
    """A torch tensor that requires grad, on a device, of a dtype NumPy does not know."""

    dtype = "torch.bfloat16"
    steps: tuple[str, ...] = ()

    def _step(self, name: str) -> Tensor:
        after = Tensor()
        after.steps = (*self.steps, name)
        return after

    def detach(self) -> Tensor:
        """Forget how the numbers came about."""
        return self._step("detach")

    def cpu(self) -> Tensor:
        """Leave the device."""
        return self._step("cpu")

    def float(self) -> Tensor:
        """Widen to float32."""
        return self._step("float")

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        if self.steps != ("detach", "cpu", "float"):
            raise TypeError("not yet")
        return BASE.astype(np.float32)


TAKEN = {
    "lists": BASE.tolist(),
    "tuples of integers": ((0, 1, 2), (3, 4, 5)),
    "list of arrays": list(BASE),
    "fortran order": np.asfortranarray(BASE),
    "negative strides": np.ascontiguousarray(BASE[::-1, ::-1])[::-1, ::-1],
    "big-endian": BASE.astype(">f8"),
    "float16": BASE.astype(np.float16),
    "uint8": BASE.astype(np.uint8),
    "long double": BASE.astype(np.longdouble),
    "read-only": np.broadcast_to(BASE, (2, 3)),
    "__array__": OnlyArray(),
    "__dlpack__": OnlyDlpack(),
    "torch": Tensor(),
}


@pytest.mark.parametrize("value", TAKEN.values(), ids=TAKEN.keys())
def test_taken(value: Any) -> None:
    """Every kind of array gives the same numbers."""
    assert read_numbers("logits", value, rank=2).tolist() == BASE.tolist()


class MaskedRows(np.ma.MaskedArray[Any, Any]):
    """A masked array of another library, as of astronomers."""


REFUSED = {
    "ragged": ([[1, 2], [3]], (1,), "length"),
    "boolean array": (np.array([[True]]), (), "masks"),
    "boolean in a list": ([[1.0, True]], (0, 1), "masks"),
    "NumPy's boolean in a list": ([[1.0, 2.0], [np.True_, 1.0]], (1, 0), "masks"),
    "boolean row among rows": ([np.array([1.0, 2.0]), np.array([True, False])], (1,), "masks"),
    "boolean row among lists": ([[1.0, 2.0], np.array([True, False])], (1,), "masks"),
    "boolean in an object array": (np.array([[1.0, 2.0], [0.5, True]], dtype=object), (1, 1), "dtype"),
    "None": ([[1.0], [None]], (1, 0), "number"),
    "text": ([["1"]], (0, 0), "number"),
    "complex": (np.array([[1j]]), (), "real"),
    "object": (np.array([[1.0, None]], dtype=object), (0, 1), "dtype"),
    "dates": (np.array([["2026-01-01"]], dtype="M8[D]"), (), "dates"),
    "masked": (np.ma.masked_equal(BASE, 1), (), "filled"),
    "masked by a subclass": (np.ma.masked_equal(BASE, 1).view(MaskedRows), (), "filled"),
    "masked row": ([BASE[0], np.ma.masked_equal(BASE[1], 4).view(MaskedRows)], (), "filled"),
    "one row": ([1.0, 2.0], (), "None, :"),
    "too deep": ([[[[[1.0]]]]], (), "two axes"),
    "no array": (object(), (), "dtype"),
    "huge integer": ([[10**400]], (), "dtype"),
}


@pytest.mark.parametrize(("value", "index", "cure"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(value: Any, index: tuple[int, ...], cure: str) -> None:
    """What is no array of numbers is refused with field, index and cure."""
    with pytest.raises(InputError, match="logits") as caught:
        read_numbers("logits", value, rank=2)
    assert (caught.value.field, caught.value.index) == ("logits", index)
    assert cure in caught.value.cure


def test_input_is_left_alone() -> None:
    """Reading changes neither the array nor its flags."""
    array = BASE.astype(">f4")
    before = array.copy()
    read_numbers("logits", array, rank=2)
    assert array.dtype == before.dtype
    assert (array == before).all()


@pytest.mark.parametrize(
    ("labels", "cure"), [([0.0, 1.0], "astype"), ([[1, 0]], "targets="), (np.array([True]), "masks")]
)
def test_labels_are_integers(labels: Any, cure: str) -> None:
    """Floats, rows and booleans are no class indices."""
    with pytest.raises(InputError) as caught:
        read_integers("labels", labels)
    assert cure in caught.value.cure


def test_integers_are_numbers_as_the_service_reads_them() -> None:
    """Integers of any width become the nearest float64, whatever the format."""
    numbers = read_numbers("logits", np.array([[2**53 + 1, -3]]), rank=2)
    assert (numbers.dtype.name, numbers.tolist()) == ("float64", [[2.0**53, -3.0]])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_arrays_must_be_finite(value: float) -> None:
    """NaN and infinities are refused with their place, and a mask is named as the cure."""
    with pytest.raises(InputError, match=r"targets\[0, 1\]") as caught:
        read_numbers("targets", [[0.0, value]], rank=2)
    assert "mask=" in caught.value.cure


@pytest.mark.parametrize(("mask", "name"), [([True, False], "class_mask"), ([[True, False]], "element_mask")])
def test_rank_of_mask_picks_field(mask: Any, name: str) -> None:
    """A mask over classes and one over elements travel under different names."""
    message, _ = build_request(SOFTMAX, {"logits": [[1, 2]], "mask": mask}, JsonWire())
    assert JsonWire().decode(message.body)[name] == mask


def test_mask_given_twice() -> None:
    """A mask beside the field it would become is refused."""
    inputs = {"logits": [[1, 2]], "mask": [True, True], "class_mask": [True, True]}
    with pytest.raises(InputError, match="class_mask"):
        build_request(SOFTMAX, inputs, JsonWire())


def test_mask_of_numbers_is_refused() -> None:
    """Zeros and ones are no booleans."""
    with pytest.raises(InputError, match="!= 0"):
        read_mask("mask", [0, 1], ranks=(1, 2))


@pytest.mark.parametrize("value", [np.float32(0.5), np.array(0.5), 0.5])
def test_scalar_of_any_library(value: Any) -> None:
    """NumPy scalars and 0-d arrays are numbers."""
    assert read_number("temperature", value) == 0.5


@pytest.mark.parametrize("value", [1.5, True, "1", np.array(1.5), np.array([1, 2]), np.ones((), np.bool)])
def test_the_ignored_label_is_an_integer(value: Any) -> None:
    """What is none is refused by name, an array like a number."""
    with pytest.raises(InputError, match="ignore_label"):
        read_integer("ignore_label", value)


@pytest.mark.parametrize("value", [-100, np.int8(-100), np.array(-100)])
def test_integers_of_any_library(value: Any) -> None:
    """NumPy's integers and arrays of one are integers."""
    assert read_integer("ignore_label", value) == -100


@pytest.mark.parametrize(
    ("dtype", "sent"),
    [(np.float16, "float32"), (np.float32, "float32"), (np.float64, None), (np.int32, None)],
)
def test_dtype_follows_logits(dtype: type[np.generic], sent: str | None) -> None:
    """Logits of at most 32 bits ask for float32 answers, as they would on a binary wire."""
    message, _ = build_request(SOFTMAX, {"logits": BASE.astype(dtype)}, JsonWire())
    assert JsonWire().decode(message.body).get("dtype") == sent


def test_asked_dtype_wins() -> None:
    """An explicit dtype is sent whatever the logits are."""
    message, _ = build_request(SOFTMAX, {"logits": BASE.astype("f4"), "dtype": "float64"}, JsonWire())
    assert JsonWire().decode(message.body)["dtype"] == "float64"


def test_every_bit_travels(wire: WireName) -> None:
    """Float32 and float64 numbers, −0 and subnormals included, come back from the body unchanged."""
    for kind in (np.float32, np.float64):
        info = np.finfo(kind)
        values = np.array([[0.1, -0.0, info.smallest_subnormal, info.max, 1 / 3]], dtype=kind)
        message, _ = build_request(SOFTMAX, {"logits": values}, WIRES[wire])
        request = HttpRequest("POST", "", {"Content-Type": WIRES[wire].media_type}, message.body)
        sent = np.array(fields_of(request)["logits"], dtype=kind)
        assert sent.tobytes() == values.tobytes()


@pytest.mark.parametrize("option", ["temperature", "label_smoothing", "denominator_value"])
def test_scalars_must_be_finite(option: str, wire: WireName) -> None:
    """An infinite option is refused by name, as JSON cannot carry it, in either format."""
    with pytest.raises(InputError, match=option):
        build_request(GRADIENT, {"logits": [[1.0]], option: float("inf")}, WIRES[wire])


@pytest.mark.parametrize("value", ["gradient", 3, [1], np.array(1.5)])
def test_include_is_a_list_of_words(value: Any) -> None:
    """A lone string would be a list of letters."""
    with pytest.raises(InputError, match="include"):
        build_request(GRADIENT, {"logits": [[1.0]], "include": value}, JsonWire())
