"""`python -m tests.golden FOLDER` writes the golden pack there."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.golden.answers import answer_of
from tests.golden.cases import all_cases
from tests.golden.pack import files_of

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for name, content in files_of([answer_of(case) for case in all_cases()]).items():
    (folder / name).write_bytes(content)
