"""One version for both distributions and the changelog."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def declared(path: str) -> str:
    """Version that a pyproject.toml declares."""
    version = tomllib.loads((ROOT / path).read_text(encoding="utf-8"))["project"]["version"]
    assert isinstance(version, str)
    return version


def test_service_and_client_share_their_version() -> None:
    """The two distributions are released together, under one number."""
    assert declared("pyproject.toml") == declared("client/pyproject.toml")


def test_changelog_begins_with_the_version() -> None:
    """The newest section of the changelog is about the version in the sources."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] == declared("pyproject.toml")
