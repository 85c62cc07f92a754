"""Which rows go into which chunk: as many as the service's limits leave room for, or as the caller says."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from ._arrays import AnyArray
from ._fields import Value, index_of
from ._progress import Progress
from ._protocol import MOST_JSON_BYTES_A_NUMBER, Expectation, ResultT
from ._records import ROW_FIELDS
from ._refusal import refusal
from ._wire import WIRES, Wire
from .results import Limits

MOST_LANES = 4
"""Chunks on their way at the same time."""
_WORTHWHILE_BYTES = 16 * 1024 * 1024  # of request and reply; larger ones cost memory and go no faster
_OTHER_BYTES = 4096  # of a header, options and scalars
_SQUARE_OUTPUTS = {"jacobian", "gradient_by_chain_rule"}


@dataclass(frozen=True, slots=True)
class Chunking:
    """What the caller asked for."""

    rows: int | None
    """At most; None is as the service's limits say."""
    progress: Progress


def take_chunking(given: MutableMapping[str, object]) -> Chunking | None:
    """What a call says about chunks, taken out of its arguments; None if it is to be one request.

    Raises:
        InputError: it cannot be done.
    """
    rows, progress = given.pop("chunk_rows", None), given.pop("progress", None)
    if not (progress is None or isinstance(progress, bool) or callable(progress)):
        raise refusal("progress", f"is of type {type(progress).__name__}", "it takes a function, or True for a bar")
    if rows is None:
        if progress:
            raise refusal("progress", "is given without chunk_rows", 'add chunk_rows="auto"')
        return None
    if isinstance(rows, str) and rows == "auto":
        return Chunking(None, cast("Progress", progress or False))
    number = index_of(rows)
    if number is None or number < 1:
        raise refusal("chunk_rows", "is no number of rows", 'it takes an integer of 1 or more, or "auto"')
    return Chunking(number, cast("Progress", progress or False))


def check_rows(fields: Mapping[str, Value]) -> int:
    """The number of rows, if every field that has rows has as many."""
    num_rows = len(cast("AnyArray", fields["logits"]))
    for name in ROW_FIELDS:
        if name in fields and len(cast("AnyArray", fields[name])) != num_rows:
            raise refusal(name, f"does not have the {num_rows} rows of logits", "give one entry for each row")
    return num_rows


def part_of(fields: Mapping[str, Value], rows: slice) -> dict[str, Value]:
    """The fields of some of the rows, as views."""
    return {name: cast("AnyArray", value)[rows] if name in ROW_FIELDS else value for name, value in fields.items()}


def rows_within(limits: Limits, fields: Mapping[str, Value], wire: Wire, expected: Expectation[ResultT]) -> int:
    """How many rows a request may have, at least 1: if one is too many, the service says so better.

    Args:
        limits: the service's.
        fields: of the whole batch.
        wire: of the request.
        expected: what one call for the whole batch would answer.
    """
    num_rows, num_classes = np.shape(fields["logits"])
    request_bytes = sum(_sent_bytes(fields, name, wire) for name in ROW_FIELDS) / max(1, num_rows)
    other_bytes = _OTHER_BYTES + sum(_sent_bytes(fields, name, wire) for name in fields if name not in ROW_FIELDS)
    body = "max_json_body_bytes" if wire is WIRES["json"] else "max_binary_body_bytes"
    in_flight_bytes = min(_WORTHWHILE_BYTES, limits.get("max_in_flight_bytes", math.inf) / (4 * MOST_LANES))
    bounds = [
        (limits.get(body, math.inf) - other_bytes, request_bytes),
        (limits.get("max_reply_bytes", math.inf) - _OTHER_BYTES, expected.bytes_a_row),
        (limits.get("max_elements", math.inf), num_classes),
        (in_flight_bytes, request_bytes + expected.bytes_a_row),
    ]
    if _SQUARE_OUTPUTS & {*expected.outputs}:
        bounds.append((limits.get("max_jacobian_elements", math.inf), num_classes**2))
    return max(1, int(min(room / max(1.0, each) for room, each in bounds)))


def _sent_bytes(fields: Mapping[str, Value], name: str, wire: Wire) -> int:
    array = fields.get(name)
    if not isinstance(array, np.ndarray):
        return 0
    return array.size * MOST_JSON_BYTES_A_NUMBER if wire is WIRES["json"] else array.nbytes
