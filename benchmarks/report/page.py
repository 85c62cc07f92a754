"""`benchmarks/README.md`, whose sections between markers are written by programs."""

import re
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).parents[1] / "README.md"
PLOTS = PAGE.parent / "plots"


def write(section: str, text: str, plots: Mapping[str, str]) -> None:
    """Replace what stands between the markers of a section, and its plots."""
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    page, count = re.subn(
        f"{begin}.*?{end}", lambda _: f"{begin}\n{text}\n{end}", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    if count != 1:
        raise ValueError(f"{PAGE.name} has no place for {section}")
    PLOTS.mkdir(exist_ok=True)
    for name, svg in plots.items():
        (PLOTS / name).write_text(svg, encoding="utf-8")
    PAGE.write_text(page, encoding="utf-8")
