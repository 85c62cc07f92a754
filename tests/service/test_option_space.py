"""No combination of options and extreme numbers makes a fault or a NaN: a 200 holds numbers, the rest is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradient_service.core.options import Curvature, Denominator, Objective, Precision, Reduction, TargetsSum
from gradient_service.schemas.fields import Dtype
from gradient_service.schemas.requests import GradientOutput, LossOutput, SoftmaxOutput

from .conftest import JSON, client_of

Post = Callable[[str, object], httpx.Response]

EXTREMES = [0.0, -0.0, 1.0, 5e-324, 1e-310, 2.3e-308, 1e-45, 1e-38, 1e-16, 0.5, 40.0, 800.0, 3e38, 1e308, 1.7e308]
SIGNED = st.sampled_from([sign * value for value in EXTREMES for sign in (1, -1)]) | st.floats(-50, 50)
POSITIVE = st.sampled_from(EXTREMES) | st.floats(0, 50)
FRACTIONS = st.sampled_from([0.0, 1.0, 5e-324, 1e-17, 0.1, 0.5, 1 - 2**-53]) | st.floats(0, 1)
OUTPUTS = {"softmax": SoftmaxOutput, "loss": LossOutput, "gradient": GradientOutput}
STATUSES = {200, 422}


@pytest.fixture(scope="module")
def post_anything(app: FastAPI) -> Iterator[Post]:
    """Post a document from outside the event loop."""
    with start_blocking_portal() as portal:
        client = client_of(app)

        def send(path: str, body: object) -> httpx.Response:
            return portal.call(lambda: client.post(path, content=json.dumps(body), headers=JSON))

        yield send
        portal.call(client.aclose)


def words(choices: Any) -> st.SearchStrategy[str]:
    """One of the words of an enumeration."""
    return st.sampled_from([choice.value for choice in choices])


def array(elements: st.SearchStrategy[Any], *shape: int) -> st.SearchStrategy[Any]:
    """Nested lists of a shape."""
    for size in reversed(shape):
        elements = st.lists(elements, min_size=size, max_size=size)
    return elements


@st.composite
def asked(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A path and a well-formed body of it, any options together."""
    path = draw(st.sampled_from(["softmax", "loss", "gradient"]))
    rows, classes = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    body: dict[str, Any] = {"logits": draw(array(SIGNED, rows, classes))}
    options: dict[str, st.SearchStrategy[Any]] = {
        "class_mask": array(st.booleans(), classes),
        "element_mask": array(st.booleans(), rows, classes),
        "temperature": POSITIVE,
        "precision": words(Precision),
        "dtype": words(Dtype),
        "include": st.lists(words(OUTPUTS[path]), max_size=4),
    }
    if path != "softmax":
        labels = array(st.integers(0, classes - 1), rows)
        supervision = {"labels": labels, "targets": array(FRACTIONS, rows, classes)}
        field = draw(st.sampled_from(sorted(supervision)))
        body |= {field: draw(supervision[field])} | ({} if field == "labels" else {"targets_sum": "any"})
        options |= {
            "objective": words(Objective),
            "reduction": words(Reduction),
            "denominator": words(Denominator),
            "denominator_value": POSITIVE,
            "class_weights": array(POSITIVE, classes),
            "sample_weights": array(POSITIVE, rows),
            "ignore_label": st.integers(-1, classes),
            "label_smoothing": FRACTIONS,
            "targets_sum": words(TargetsSum),
        }
    if path == "gradient":
        options |= {"upstream": array(SIGNED, rows), "curvature": words(Curvature)}
    chosen = draw(st.lists(st.sampled_from(sorted(options)), max_size=6, unique=True))
    return f"/{path}", body | {name: draw(options[name]) for name in chosen}


def nulls(reply: Any, place: str = "") -> Iterator[str]:
    """The names of the outputs that hold a null."""
    if isinstance(reply, dict):
        for name, part in reply.items():
            yield from nulls(part, name)
    elif isinstance(reply, list):
        for part in reply:
            yield from nulls(part, place)
    elif reply is None:
        yield place


def is_masked(body: dict[str, Any]) -> bool:
    """Whether some class takes no part somewhere."""
    return "class_mask" in body or "element_mask" in body


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(asked())
def test_every_combination_is_answered_or_refused(post_anything: Post, question: tuple[str, dict[str, Any]]) -> None:
    """A well-formed request is answered in numbers or refused by the contract."""
    path, body = question
    reply = post_anything(path, body)
    assert reply.status_code in STATUSES, reply.text
    if reply.status_code == 200:
        assert set(nulls(reply.json())) <= ({"log_probabilities"} if is_masked(body) else set())
