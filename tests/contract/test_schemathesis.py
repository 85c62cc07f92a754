"""schemathesis holds the running service to its own document, with every check on, in all of its phases.

It is installed into a folder of the test, so it needs a package index, and its plugin takes no part in other tests.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .programs import python_with, run

pytestmark = pytest.mark.full

SCHEMATHESIS = "schemathesis==4.32.5"
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
FRESH_SEED = int.from_bytes(os.urandom(4), "big")
MAX_EXAMPLES = 50


def test_the_service_is_as_its_document_says(tmp_path: Path, url: str) -> None:
    """No check fails: allowed requests are answered, forbidden ones refused, every answer is as described."""
    programs = python_with(tmp_path, SCHEMATHESIS)
    options = ["--checks", "all", "--max-examples", str(MAX_EXAMPLES), "--seed", str(FRESH_SEED), "--no-color"]
    document = f"{url}/openapi.json"
    said = run(
        programs / "schemathesis", "run", document, *options, folder=tmp_path, SCHEMATHESIS_HOOKS=str(HOOKS)
    ).stdout
    assert "No issues found" in said
    assert all(f"\u2705 {phase}" in said for phase in ("Examples", "Coverage", "Fuzzing", "Stateful")), said
