"""Coverage-guided fuzzing of one reader: `python -m tests.fuzz safetensors` and libFuzzer's own arguments."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["gradient_service.wire", "gradient_service.schemas", "tests.fuzz"]):
    from tests.fuzz.readers import READERS

name, *arguments = sys.argv[1:]
atheris.Setup([sys.argv[0], *arguments], READERS[name])
atheris.Fuzz()
