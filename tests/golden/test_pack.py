"""The committed pack: made anew with the same bytes, equal in both forms, and about everything that it should be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from safetensors.numpy import load_file

from tests.golden.answers import answer_of
from tests.golden.cases import all_cases
from tests.golden.pack import DTYPES, MANIFEST, entry_of, files_of

PACK = Path(__file__).parents[2] / "openapi" / "golden"
TEXT = (PACK / MANIFEST).read_bytes()
Entry = dict[str, Any]
ENTRIES: list[Entry] = json.loads(TEXT)["cases"]
MAX_PACK_BYTES = 3_000_000
EVERY = 24
"""Of the cases one in so many is made anew each time; `make test-all` makes them all."""


def with_field(name: str, *values: Any) -> Callable[[Entry], bool]:
    """Whether a request has a field, with one of some values if any are named."""
    return lambda entry: name in entry["request"] and (not values or entry["request"][name] in values)


def with_shape(axis: int, count: int) -> Callable[[Entry], bool]:
    """Whether the logits have so many rows or classes."""
    return lambda entry: entry["shape"][axis] == count


def with_result(dtype: str, below: float, above: float = 0.0) -> Callable[[Entry], bool]:
    """Whether some result is a number between two, in magnitude."""

    def has_one(entry: Entry) -> bool:
        outputs = entry["expected"].get(dtype, {}).values()
        return any(above < abs(number) < below for output in outputs for number in numbers_in(output["values"]))

    return has_one


def with_logit(above: float) -> Callable[[Entry], bool]:
    """Whether every logit of a row is beyond a magnitude."""
    return lambda entry: any(row and min(map(abs, row)) >= above for row in entry["request"]["logits"])


def with_ties(entry: Entry) -> bool:
    """Whether a row has its maximum twice."""
    return any(row.count(max(row)) > 1 for row in entry["request"]["logits"] if row)


def with_confident_rows(entry: Entry) -> bool:
    """Whether a loss is nearly 0 and is not."""
    losses = entry["expected"].get("float64", {}).get("losses", {"values": []})["values"]
    return any(0 < loss < 1e-15 for loss in losses)


def numbers_in(value: Any) -> Iterator[Any]:
    """Every number in lists of lists, without the nulls."""
    if isinstance(value, list):
        for part in value:
            yield from numbers_in(part)
    elif value is not None:
        yield value


TOPICS: dict[str, tuple[int, Callable[[Entry], bool]]] = {
    "extreme offsets": (10, with_logit(1e8)),
    "extreme offsets in float32": (3, lambda entry: "float32" in entry["expected"] and with_logit(1e7)(entry)),
    "ties": (10, with_ties),
    "one class": (4, with_shape(1, 1)),
    "two classes": (10, with_shape(1, 2)),
    "long rows": (3, lambda entry: entry["shape"][1] >= 1000),
    "no rows": (5, with_shape(0, 0)),
    "class masks": (5, with_field("class_mask")),
    "element masks": (5, with_field("element_mask")),
    "minus infinity": (5, lambda entry: "null" in json.dumps(entry["expected"])),
    "ignored labels": (10, with_field("ignore_label")),
    "smoothing": (10, with_field("label_smoothing")),
    "class weights": (10, with_field("class_weights")),
    "sample weights": (10, with_field("sample_weights")),
    "targets": (10, with_field("targets")),
    "targets of any sum": (10, with_field("targets_sum", "any")),
    "sigmoids": (10, with_field("objective", "sigmoid_binary_cross_entropy")),
    "binary sum over softmax": (10, with_field("objective", "softmax_binary_cross_entropy")),
    "temperature": (10, with_field("temperature")),
    "sum": (10, with_field("reduction", "sum")),
    "none": (10, with_field("reduction", "none")),
    "mean by examples": (2, with_field("denominator", "examples")),
    "mean by batch": (2, with_field("denominator", "batch")),
    "mean by a number": (2, with_field("denominator_value")),
    "upstream": (10, with_field("upstream")),
    "confident rows": (10, with_confident_rows),
    "subnormal float32": (10, with_result("float32", below=float(np.finfo(np.float32).tiny))),
    "subnormal float64": (5, with_result("float64", below=float(np.finfo(np.float64).tiny))),
    "the end of float32": (2, with_result("float32", below=math.inf, above=1e38)),
    "the end of float64": (2, with_result("float64", below=math.inf, above=1e308)),
    "refusals": (8, lambda entry: "refused" in entry),
    "the Jacobian": (10, lambda entry: "jacobian" in entry["request"]["include"]),
    "second derivatives": (10, lambda entry: "hessian_diagonal" in entry["request"]["include"]),
}


@pytest.mark.parametrize("topic", TOPICS)
def test_each_topic_has_its_cases(topic: str) -> None:
    """Everything that implementations get wrong is asked, mostly in ten cases and more."""
    least, is_about = TOPICS[topic]
    assert sum(map(is_about, ENTRIES)) >= least


def test_the_pack_is_large_enough_and_not_too_large() -> None:
    """At least 200 questions, none asked twice and each of its own name, in less than 3 MB."""
    questions = {json.dumps([entry["operation"], entry["shape"], entry["request"]]) for entry in ENTRIES}
    assert len(questions) == len({entry["id"] for entry in ENTRIES}) == len(ENTRIES) >= 200
    assert sum(file.stat().st_size for file in PACK.iterdir()) < MAX_PACK_BYTES


def test_a_share_of_the_cases_is_made_anew() -> None:
    """One case in twenty-four, computed again, has the line that it has in the manifest; if not, run `make golden`."""
    lines = TEXT.splitlines()[1:-1]
    cases = list(all_cases())
    assert len(cases) == len(lines)
    for place in range(0, len(cases), EVERY):
        line = orjson.dumps(entry_of(answer_of(cases[place])), option=orjson.OPT_SERIALIZE_NUMPY)
        assert lines[place].removesuffix(b",") == line


@pytest.mark.full
def test_the_pack_is_made_anew() -> None:
    """All three files, made again, are byte for byte the committed ones."""
    made = files_of([answer_of(case) for case in all_cases()])
    assert {name: (PACK / name).read_bytes() == content for name, content in made.items()} == dict.fromkeys(made, True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_both_forms_hold_the_same_numbers(dtype: str) -> None:
    """Each tensor is what the manifest says to the last bit, also where a reader takes all JSON numbers for float64."""
    tensors = load_file(PACK / f"{dtype}.safetensors")
    told: dict[str, Any] = {}
    for entry in ENTRIES:
        if dtype in entry["expected"] or dtype in entry.get("refused", {}):
            told |= {f"{entry['id']}/{name}": value for name, value in entry["request"].items()}
        for name, output in entry["expected"].get(dtype, {}).items():
            told[f"{entry['id']}/expected/{name}"] = output["values"]
            told |= {f"{entry['id']}/size/{name}": output["size"]} if "size" in output else {}
    for name, tensor in tensors.items():
        numbers = np.array(json.loads(json.dumps(told.pop(name)).replace("null", "-Infinity")), np.float64)
        assert numbers.astype(tensor.dtype).reshape(tensor.shape).tobytes() == tensor.tobytes(), name
    assert {name.rpartition("/")[2] for name in told}.isdisjoint({"logits", "labels", "targets", "element_mask"})
    assert not [name for name in told if "/expected/" in name or "/size/" in name]


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_have_no_more_digits_than_they_need(dtype: str) -> None:
    """Each result is written with the fewest digits that read back as it does."""
    entries = json.loads(TEXT, parse_float=str)["cases"]
    outputs = (output for entry in entries for output in entry["expected"].get(dtype, {}).values())
    texts = {number for output in outputs for number in numbers_in(output["values"]) if isinstance(number, str)}
    assert len(texts) > 1000
    for text in texts:
        shortest = np.format_float_scientific(np.dtype(dtype).type(text), trim="-")
        assert digits(text) == digits(shortest), text


def test_the_page_shows_a_case_as_it_is() -> None:
    """The case that the README prints is one of the manifest, and its number of cases is theirs."""
    page = (PACK / "README.md").read_text(encoding="utf-8")
    shown = json.loads(page.partition("```json\n")[2].partition("```")[0])
    assert shown in ENTRIES
    assert re.findall(r"(\d+) questions", page) == [str(len(ENTRIES))]


def test_the_page_names_every_field() -> None:
    """Each field, output, reason and operation of the manifest is explained in the README by its name."""
    page = (PACK / "README.md").read_text(encoding="utf-8")
    fields = {name for entry in ENTRIES for name in entry["request"]}
    outputs = {name for entry in ENTRIES for name in entry["request"]["include"]}
    reasons = {slug for entry in ENTRIES for slug in entry.get("refused", {}).values()}
    assert {name for name in fields | outputs | reasons if f"`{name}" not in page} == set()


def digits(text: str) -> str:
    """The digits of a number without the zeros at its ends."""
    return text.lower().partition("e")[0].replace(".", "").lstrip("-0").rstrip("0")
