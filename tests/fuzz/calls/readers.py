"""A second reading of the three dialects, apart from the service's: bytes to fields, or a refusal.

It shares no code with the service, takes Python's own JSON, and is as strict as the contract.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.fuzz.calls.questions import Array

MAX_NESTING = 8
RANKS = {
    "logits": (2, "number"),
    "labels": (1, "integer"),
    "targets": (2, "number"),
    "class_weights": (1, "number"),
    "sample_weights": (1, "number"),
    "class_mask": (1, "boolean"),
    "element_mask": (2, "boolean"),
    "upstream": (1, "number"),
}
CLAIMED = {"loss": 0, "losses": 1, "gradient": 2, "probabilities": 2}
RANKS |= {f"claimed.{name}": (rank, "number") for name, rank in CLAIMED.items()}
SAFETENSORS_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BOOL": "?", "BF16": "bf16"} | {
    f"{sign}{8 * size}": f"<{sign.lower()}{size}" for sign in "IU" for size in (1, 2, 4, 8)
}
INFERENCE_TYPES = {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "BOOL": "?", "BF16": "bf16"} | {
    f"{name}{8 * size}": f"<{sign}{size}" for name, sign in (("INT", "i"), ("UINT", "u")) for size in (1, 2, 4, 8)
}
KINDS = {"f": "number", "b": "boolean", "i": "integer", "u": "integer"}
INFERENCE_MEMBERS = {"id", "inputs", "model_name", "model_version", "outputs", "parameters"}
OF_THE_CLIENT = {"content_type", "priority", "sequence_end", "sequence_id", "sequence_start", "timeout"}
ROUNDOFFS = {"<f2": 2.0**-11, "bf16": 2.0**-8}


class RefusedError(Exception):
    """The bytes are no request, or one that breaks the contract."""


@dataclass(frozen=True)
class Fields:
    """What a body says."""

    arrays: dict[str, Array]
    options: dict[str, Any]
    roundoffs: dict[str, float]
    """Unit roundoff of numbers that came in half precision."""
    is_binary: bool
    """Whether results have the logits' own dtype."""
    forms: dict[str, bool] | None = None
    """In the inference protocol, which outputs are wanted as binary data; of others the name '' tells."""


def check(is_kept: object, rule: str) -> None:
    """Refuse what does not keep a rule."""
    if not is_kept:
        raise RefusedError(rule)


def parse_json(body: bytes, max_nesting: int = MAX_NESTING) -> Any:
    """Read one document of RFC 8259."""
    try:
        value = json.loads(body.decode("utf-8"), object_pairs_hook=_members, parse_constant=_refuse, parse_int=_integer)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise RefusedError(str(error)) from None
    check(not body.startswith(b"\xef\xbb\xbf"), "no byte order mark")
    check(_depth(value) <= max_nesting, "depth")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    check(len(members) == len(pairs), "a name once")
    return members


def _refuse(constant: str) -> None:
    raise RefusedError(constant)


def _integer(text: str) -> int | float:
    return int(text) if len(text) < 4000 else math.inf


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def read_json(body: bytes) -> Fields:
    """Read the fields of a JSON body."""
    members = parse_json(body)
    check(isinstance(members, dict), "an object")
    members = _with_claims(members)
    arrays = {name: array_of(value, *RANKS[name]) for name, value in members.items() if name in RANKS}
    options = {name: value for name, value in members.items() if name not in RANKS}
    return Fields(arrays, options, {}, is_binary=False)


def _with_claims(members: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a claim beside the others, by the names that tensors have."""
    check(not any(name.startswith("claimed.") for name in members), "no dots in JSON")
    claim = members.pop("claimed", None)
    if claim is None:
        return members
    check(isinstance(claim, dict) and claim and claim.keys() <= CLAIMED.keys(), "a claim")
    return members | {f"claimed.{name}": value for name, value in claim.items()}


def array_of(value: Any, rank: int, kind: str) -> Array:
    """Return nested lists of one rank and kind as an array."""
    if rank == 0:
        return scalars([value], kind).reshape(())
    check(isinstance(value, list), "an array")
    shape: tuple[int, ...]
    if rank > 1:
        check(all(isinstance(row, list) for row in value), "rows")
        check(len({len(row) for row in value}) <= 1, "rectangular")
        elements, shape = [element for row in value for element in row], (len(value), len(value[0]) if value else 0)
    else:
        elements, shape = value, (len(value),)
    return scalars(elements, kind).reshape(shape)


def scalars(elements: list[Any], kind: str) -> Array:
    """Return scalars of one kind as float64, int64 or bool."""
    types = {"number": (int, float), "integer": (int,), "boolean": (bool,)}[kind]
    check(all(type(element) in types for element in elements), "types")
    try:
        array = np.array(elements, {"number": "f8", "integer": "i8", "boolean": "?"}[kind])
    except OverflowError:
        raise RefusedError("beyond 64 bits") from None
    check(kind != "number" or np.isfinite(array).all(), "within float64")
    return array


def _tensor(data: bytes, dtype: str, shape: tuple[int, ...], name: str) -> Array:
    """Return the array of a field that lies in some bytes."""
    rank, kind = RANKS[name]
    check(("number" if dtype == "bf16" else KINDS[np.dtype(dtype).kind]) == kind, "kind")
    check(len(shape) == rank, "rank")
    check(0 not in shape or max(shape) < 2**60, "an array's shape")
    if dtype == "bf16":
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").reshape(shape)
    if dtype == "?":
        check(set(data) <= {0, 1}, "booleans")
    return np.frombuffer(data, dtype).reshape(shape)


def _size(dtype: str, shape: tuple[int, ...]) -> int:
    return (2 if dtype == "bf16" else np.dtype(dtype).itemsize) * math.prod(shape)


def is_shape(value: Any) -> bool:
    """Whether a value is a list of whole numbers that 64 bits hold."""
    return isinstance(value, list) and all(type(count) is int and 0 <= count < 2**63 for count in value)


def read_safetensors(body: bytes) -> Fields:
    """Read the fields of a safetensors body."""
    check(len(body) >= 8, "a length")
    length = int.from_bytes(body[:8], "little")
    check(length <= 65536 and 8 + length <= len(body), "length")
    text, data = body[8 : 8 + length], body[8 + length :]
    check(text.startswith(b"{"), "an object")
    header = parse_json(text, 3)
    metadata = header.pop("__metadata__", {})
    check(isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values()), "metadata")
    check(set(metadata) <= {"options", "format"}, "metadata")
    options = parse_json(metadata.get("options", "{}").encode())
    check(isinstance(options, dict), "options")
    check(RANKS.keys().isdisjoint(options), "arrays are tensors")
    arrays, roundoffs, end = {}, {}, 0
    for entry in header.values():
        check(isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"}, "an entry")
        check(is_shape(entry["shape"]) and is_shape(entry["data_offsets"]) and len(entry["data_offsets"]) == 2, "entry")
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        check(isinstance(entry["dtype"], str), "a dtype")
        check(name in RANKS and entry["dtype"] in SAFETENSORS_TYPES, "a known tensor")
        (begin, stop), dtype, shape = entry["data_offsets"], SAFETENSORS_TYPES[entry["dtype"]], tuple(entry["shape"])
        check(begin == end and stop >= begin and _size(dtype, shape) == stop - begin, "layout")
        check(stop <= len(data), "layout")
        end = stop
        arrays[name] = _tensor(data[begin:stop], dtype, shape, name)
        roundoffs[name] = ROUNDOFFS.get(dtype, 0.0)
    check(end == len(data), "no bytes behind")
    return Fields(arrays, options, roundoffs, is_binary=True)


def read_inference(body: bytes, json_bytes: str | None, model: str) -> Fields:
    """Read the fields of an Open Inference body for a model."""
    check(json_bytes is None or (json_bytes.isascii() and json_bytes.isdecimal()), "length")
    length = len(body) if json_bytes is None else int(json_bytes)
    check(length <= len(body), "length")
    document, rest = parse_json(body[:length]), body[length:]
    check(isinstance(document, dict) and set(document) <= INFERENCE_MEMBERS, "members")
    check(document.get("model_name", model) == model and document.get("model_version", "1") == "1", "addressee")
    check(isinstance(document.get("id", ""), str), "id")
    inputs, parameters = document.get("inputs", []), document.get("parameters", {})
    check(isinstance(inputs, list) and isinstance(parameters, dict), "inputs, parameters")
    arrays, roundoffs, begin = {}, {}, 0
    for entry in inputs:
        name, dtype, size = _described(entry)
        check(name not in arrays, "an input once")
        shape = tuple(entry["shape"])
        if size is None:
            arrays[name] = _from_data(entry["data"], dtype, shape, name)
        else:
            check(begin + size <= len(rest) and _size(dtype, shape) == size, "size")
            arrays[name] = _tensor(rest[begin : begin + size], dtype, shape, name)
            begin += size
        roundoffs[name] = ROUNDOFFS.get(dtype, 0.0)
    check(begin == len(rest), "no bytes behind")
    forms, options = _wanted(document.get("outputs", [])), dict(parameters)
    check("" not in forms, "an output")
    forms[""] = options.pop("binary_data_output", False)
    check(isinstance(forms[""], bool), "binary_data_output")
    for name in OF_THE_CLIENT & set(options):
        _check_unused(options.pop(name))
    check(RANKS.keys().isdisjoint(options) and "include" not in options, "options")
    if len(forms) > 1:
        options["include"] = [name for name in forms if name]
    return Fields(arrays, options, roundoffs, is_binary=True, forms=forms)


def _check_unused(value: Any) -> None:
    """Raise unless a parameter on which nothing depends is a scalar."""
    is_number = isinstance(value, int | float) and abs(value) <= sys.float_info.max
    check(is_number or isinstance(value, str), "a parameter of the client")


def _described(entry: Any) -> tuple[str, str, int | None]:
    """Return the name, the dtype and the size of an input."""
    check(isinstance(entry, dict) and set(entry) <= {"name", "datatype", "shape", "data", "parameters"}, "an input")
    name, datatype, parameters = entry.get("name"), entry.get("datatype"), entry.get("parameters", {})
    check(isinstance(name, str) and name in RANKS, "a known input")
    check(isinstance(datatype, str) and datatype in INFERENCE_TYPES, "a known datatype")
    check(is_shape(entry.get("shape")) and isinstance(parameters, Mapping), "an input")
    check(set(parameters) <= {"binary_data_size", "content_type"}, "parameters")
    _check_unused(parameters.get("content_type", ""))
    check(("data" in entry) != ("binary_data_size" in parameters), "data or size")
    size = parameters.get("binary_data_size")
    check("binary_data_size" not in parameters or is_shape([size]), "size")
    return str(name), INFERENCE_TYPES[str(datatype)], size


def _from_data(data: Any, dtype: str, shape: tuple[int, ...], name: str) -> Array:
    rank, kind = RANKS[name]
    check(dtype != "bf16" and KINDS[np.dtype(dtype).kind] == kind and len(shape) == rank, "datatype")
    check(isinstance(data, list), "data")
    if data and isinstance(data[0], list):
        array = array_of(data, rank, kind)
        check(array.shape == shape, "shape")
    else:
        check(len(data) == math.prod(shape), "shape")
        check(0 not in shape or max(shape) < 2**60, "an array's shape")
        array = scalars(data, kind).reshape(shape)
    if kind == "integer":
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        check(not array.size or (array.min() >= least and array.max() <= most), "range")
        return array
    with np.errstate(over="ignore"):
        typed = array.astype(dtype)
    check(kind != "number" or np.isfinite(typed).all(), "range")
    return typed


def _wanted(outputs: Any) -> dict[str, bool]:
    """Return the outputs wanted, and whether as binary data; None of those that do not say."""
    check(isinstance(outputs, list), "outputs")
    forms: dict[str, Any] = {}
    for entry in outputs:
        check(isinstance(entry, dict) and set(entry) <= {"name", "parameters"}, "an output")
        parameters = entry.get("parameters", {})
        check(isinstance(entry.get("name"), str) and isinstance(parameters, dict), "an output")
        check(set(parameters) <= {"binary_data", "content_type"}, "parameters of an output")
        _check_unused(parameters.get("content_type", ""))
        check(isinstance(parameters.get("binary_data", True), bool), "binary_data")
        forms[entry["name"]] = parameters.get("binary_data")
    return forms
