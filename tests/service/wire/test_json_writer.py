"""JSON in parts is the JSON that the library writes at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import Field

from gradient_service.schemas.fields import Array, Body
from gradient_service.wire import json_writer
from gradient_service.wire.json_writer import dump, dump_in_parts

ARRAYS = arrays.arrays(
    st.sampled_from([np.float64, np.float32, np.int64, np.uint8]),
    arrays.array_shapes(min_dims=1, max_dims=3, min_side=0),
)
SCALARS = st.integers() | st.text(st.characters(exclude_categories=["Cs"])) | st.floats() | st.none()


def values_of(small: int, large: int) -> dict[str, Any]:
    """A reply with an array of each size."""
    return {"small": np.arange(small), "loss": np.float64(0.1), "large": np.arange(large).reshape(-1, 2) / 7}


class Part(Body):
    """A body within a body, with a name that is written in another way."""

    array: Array
    kind: Array | None = Field(None, alias="class")
    others: list[Part] = Field(default_factory=list)


def parts_of(found: Mapping[str, Any]) -> list[Part]:
    """Each array in a body of its own, all but the first also under the other name, and all within one more."""
    parts = [
        Part.model_validate({"array": each} | ({"class": each} if n else {})) for n, each in enumerate(found.values())
    ]
    return [Part.model_validate({"array": np.arange(2), "others": parts})]


def plain(value: Any) -> Any:
    """The same with dictionaries in place of bodies."""
    if isinstance(value, Part):
        names = {"array": "array", "kind": "class", "others": "others"}
        return {names[name]: plain(each) for name, each in value if name in value.model_fields_set}
    return [plain(each) for each in value] if isinstance(value, list) else value


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(st.sampled_from("abc"), ARRAYS),
    SCALARS.filter(lambda each: abs(each) < 2**63 if isinstance(each, int) else True),
    st.integers(1, 20),
)
def test_the_parts_are_the_text(found: dict[str, Any], other: Any, numbers: int) -> None:
    """However few numbers a part may have, the parts together are what is written at once."""
    inner, parts = [{"data": each} for each in found.values()], parts_of(found)
    values = {"first": other, "\0": "\0", **found, "inner": inner, "parts": parts, "last": other}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_writer, "NUMBERS_AT_ONCE", numbers)
        assert b"".join(dump_in_parts(values)) == dump(values) == dump(values | {"parts": plain(parts)})


def test_parts_are_small() -> None:
    """No part is much longer than the numbers that the library writes at once."""
    parts = dump_in_parts(values_of(10, 10**6))
    assert len(parts) > 10**6 / json_writer.NUMBERS_AT_ONCE
    assert max(map(len, parts)) < 25 * json_writer.NUMBERS_AT_ONCE


def test_writing_ends_at_a_checkpoint() -> None:
    """Between two parts the caller is asked after, and ends the writing."""
    asked: list[int] = []

    def check() -> None:
        asked.append(1)
        if len(asked) == 5:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        dump_in_parts(values_of(10, 10**6), check)
    assert len(asked) == 5
