"""The reference is what the sources say, of everything that is public."""

from __future__ import annotations

import gradient_client
from tests.client.reference import PACKAGE, reference

ELSEWHERE = {"ArrayLike", "AsyncGradientClient", "AsyncTransport", "Transport", "__version__"}


def test_the_reference_is_up_to_date() -> None:
    """`make reference` would change nothing."""
    assert (PACKAGE.parent / "REFERENCE.md").read_text(encoding="utf-8") == reference()


def test_everything_public_is_in_it() -> None:
    """Each name that the package exports has its place, but for aliases and the client's twin."""
    missing = {name for name in gradient_client.__all__ if f"\n### {name}\n" not in reference()}
    assert missing == ELSEWHERE
