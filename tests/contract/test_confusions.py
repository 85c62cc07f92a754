"""`docs/confusions.md` points at what the service says: each place that it names has the words that it quotes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from gradient_service.app import create_app
from gradient_service.http.pages import ASSETS
from gradient_service.http.problem_types import PROBLEM_TYPES
from gradient_service.schemas.problem import Slug
from gradient_service.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "confusions.md").read_text(encoding="utf-8")
SECTIONS = PAGE.split("\n## ")[1:]
DOCUMENT: dict[str, Any] = json.loads(json.dumps(create_app(Settings.model_construct()).openapi()))


class Pointer(NamedTuple):
    """A place, and words that are said to be found there."""

    place: str
    words: str


def pointers(section: str) -> Iterator[Pointer]:
    """The places below an answer."""
    for place, words in re.findall(r"^- `(.+?)`: “(.+)”$", section, re.MULTILINE):
        yield Pointer(place, words)


POINTERS = [
    pytest.param(pointer, id=f"{pointer.place}: {pointer.words}") for each in SECTIONS for pointer in pointers(each)
]

ROWS = {"logits": [[1, 2, 3], [0, 0, 0]], "labels": [2, 0], "class_weights": [1, 2, 3]}
ROW = {"logits": [[1, 2, 3]], "labels": [2]}
NUMBERS = {
    "the binary sum over softmax": (0, ROW | {"objective": "softmax_binary_cross_entropy"}, "0.782628"),
    "plain cross-entropy": (0, ROW, "0.407606"),
    "the weighted mean": (5, ROWS, "0.580358"),
    "the weighted sum": (5, ROWS | {"reduction": "sum"}, "2.321430"),
    "the mean by the batch": (5, ROWS | {"denominator": "batch"}, "1.160715"),
    "a hopeless row": (8, {"logits": [[0, -800]], "labels": [1]}, "800"),
    "a confident row": (8, {"logits": [[40, 0]], "labels": [0]}, "4.2·10⁻¹⁸"),
}


def plain(text: str) -> str:
    """A text without its markup, on one line."""
    return " ".join(re.sub(r"[`*]", "", unescape(re.sub(r"<[^>]+>", "", text))).split())


def text_at(place: str) -> str:
    """What the service says at a place: a section of a page, a call, a problem, a schema or a field of one."""
    if place.startswith("/explore#"):
        page = (ASSETS / "explore.html").read_text(encoding="utf-8")
        return page.partition(f'<section id="{place.partition("#")[2]}"')[2].partition("</section>")[0]
    if place.startswith("POST "):
        return str(DOCUMENT["paths"][place.removeprefix("POST ")]["post"]["description"])
    if place.startswith("/problems/"):
        known = PROBLEM_TYPES[Slug(place.removeprefix("/problems/"))]
        return f"{known.why} {known.mend}"
    name, _, field = place.partition(".")
    schema = DOCUMENT["components"]["schemas"][name]
    return str((schema["properties"][field] if field else schema)["description"])


@pytest.mark.parametrize("pointer", POINTERS)
def test_the_words_are_there(pointer: Pointer) -> None:
    """What the list quotes of a place is said at that place."""
    assert plain(pointer.words) in plain(text_at(pointer.place))


def test_there_are_ten_and_each_is_met() -> None:
    """The list has ten answers; each is given in the document, and no line of places has another form."""
    assert [section.split(".")[0] for section in SECTIONS] == [str(number) for number in range(1, 11)]
    for section in SECTIONS:
        places = list(pointers(section))
        assert len(places) == section.count("\n- ") >= 2
        assert any(place.startswith("POST ") for place, _ in places)


def written(loss: float, like: str) -> str:
    """A loss with the digits of a number that a text has."""
    if "·" in like:
        return f"{loss:.1e}".replace("e-18", "·10⁻¹⁸")
    return f"{loss:.{len(like.partition('.')[2])}f}"


@pytest.mark.parametrize(("section", "request_fields", "number"), NUMBERS.values(), ids=NUMBERS)
def test_the_numbers_are_the_service_s(url: str, section: int, request_fields: dict[str, Any], number: str) -> None:
    """A loss that an answer gives as an example is what the service answers, to the digits printed."""
    assert number in SECTIONS[section]
    assert written(httpx.post(f"{url}/loss", json=request_fields).json()["loss"], number) == number


def test_softmax_taken_twice_is_as_printed(url: str) -> None:
    """The probabilities of (1, 2, 3), and what becomes of them when they are taken for logits, are the printed ones."""
    logits = [[1.0, 2.0, 3.0]]
    for printed in re.findall(r"\((0\.\d+, 0\.\d+, 0\.\d+)\)", SECTIONS[3]):
        logits = httpx.post(f"{url}/softmax", json={"logits": logits}).json()["probabilities"]
        assert ", ".join(f"{probability:.3f}" for probability in logits[0]) == printed
