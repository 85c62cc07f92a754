"""Bad input of `/check`: claims that break a rule, and what `/gradient` refuses too; columns as of `Case`."""

from __future__ import annotations

from typing import Any

from .bad_bytes import Case
from .bad_fields import ARRAYS, FIELDS, OPTIONS
from .bad_values import CONFLICTS, LABELLED, VALUES

Fields = dict[str, Any]

CLAIM: Fields = {"losses": [0, 0]}
"""It fits every request of two rows, whatever its options are."""
CLAIMED: Fields = LABELLED | {"claimed": CLAIM}
NO_OBJECTS: tuple[object, ...] = (None, 1, "loss", [], [[0]], True)
NO_NUMBERS: tuple[object, ...] = (None, "1", True, [1], {"value": 1})
NO_ARRAYS: tuple[object, ...] = (None, 1, "1", True, {})
ONLY_OF_GRADIENT = {"include", "precision", "curvature"}


def claim(claimed: object, slug: str, pointer: str, **options: object) -> Case:
    """The case of a bad claim."""
    return f"claimed {str(claimed)[:40]}", "check", LABELLED | {"claimed": claimed} | options, 422, slug, pointer


CLAIMS: list[Case] = [
    ("no claim", "check", LABELLED, 422, "missing-field", "/claimed"),
    claim({}, "missing-field", "/claimed"),
    *(claim(value, "wrong-type", "/claimed") for value in NO_OBJECTS),
    claim({"gradiant": [[0]]}, "unknown-field", "/claimed/gradiant"),
    claim({"": 1}, "unknown-field", "/claimed/"),
    claim({"losses": [0, 0], "jacobian": [[[0]]]}, "unknown-field", "/claimed/jacobian"),
    *(claim({"loss": value}, "wrong-type", "/claimed/loss") for value in NO_NUMBERS),
    *(claim({"losses": value}, "wrong-type", "/claimed/losses") for value in NO_ARRAYS),
    claim({"losses": [0, "1"]}, "wrong-type", "/claimed/losses/1"),
    claim({"losses": [[0, 1]]}, "wrong-rank", "/claimed/losses"),
    claim({"losses": [0]}, "length-mismatch", "/claimed/losses"),
    claim({"gradient": [0, 1]}, "wrong-rank", "/claimed/gradient"),
    claim({"gradient": [[0, 0, 0], [0]]}, "ragged", "/claimed/gradient/1"),
    claim({"gradient": [[0, 0, 0], [0, 0, None]]}, "wrong-type", "/claimed/gradient/1/2"),
    claim({"gradient": [[0, 0, 0]]}, "length-mismatch", "/claimed/gradient"),
    claim({"probabilities": [[0, 0], [0, 0]]}, "length-mismatch", "/claimed/probabilities"),
    claim({"gradient": [[0, 0, 0], [0, 1e39, 0]]}, "number-out-of-range", "/claimed/gradient/1/1", dtype="float32"),
    claim({"loss": -1e39}, "number-out-of-range", "/claimed/loss", dtype="float32"),
    claim({"loss": 1}, "conflicting-fields", "/claimed/loss", reduction="none"),
    *(claim(CLAIM, "out-of-range", f"/{name}", **{name: -1e-300}) for name in ("rtol", "atol")),
    *(
        claim(CLAIM, "wrong-type", f"/{name}", **{name: value})
        for name in ("rtol", "atol")
        for value in (None, "1", [1])
    ),
    ("dotted name", "check", CLAIMED | {"claimed.loss": 1}, 422, "unknown-field", "/claimed.loss"),
    ("include", "check", CLAIMED | {"include": ["loss"]}, 422, "unknown-field", "/include"),
    ("precision", "check", CLAIMED | {"precision": "fast"}, 422, "unknown-field", "/precision"),
]


def fitting(body: Fields) -> Fields:
    """A claim with a number for each row of logits, where these are rows."""
    logits = body.get("logits")
    return {"losses": [0] * len(logits)} if isinstance(logits, list) and logits else CLAIM


SHARED: list[Case] = [
    (name, "check", body | {"claimed": fitting(body)}, status, slug, pointer)
    for name, path, body, status, slug, pointer in (*FIELDS, *OPTIONS, *ARRAYS, *CONFLICTS, *VALUES)
    if path == "gradient" and isinstance(body, dict) and not ONLY_OF_GRADIENT & set(body)
    if pointer != "/logits/0/0"  # of a gradient that was not claimed
]
