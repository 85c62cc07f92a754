"""The lock files: complete, hashed, and free of addresses."""

import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ["requirements.lock", "requirements-build.lock", "requirements-image.lock"]
LOCKS = [*SHIPPED, "requirements-dev.lock"]


def entries(lock: str) -> Iterator[str]:
    """Each requirement of a lock with its hashes, as one line."""
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    return (line for line in text.splitlines() if line and not line.lstrip().startswith("#"))


def pins(lock: str) -> dict[str, str]:
    """Version by package name."""
    found = (re.match(r"([a-z0-9._-]+)==([^\s;]+)", entry) for entry in entries(lock))
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_address(lock: str) -> None:
    """A lock says what to install, not from where."""
    assert re.search(r"://|--index|--extra|--find-links", (ROOT / lock).read_text(encoding="utf-8")) is None


@pytest.mark.parametrize("lock", LOCKS)
def test_each_entry_is_pinned_and_hashed(lock: str) -> None:
    """Each entry has an exact version and at least one hash."""
    loose = [entry for entry in entries(lock) if not re.match(r"[a-z0-9._-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)]
    assert loose == []


@pytest.mark.parametrize("lock", LOCKS)
def test_each_package_has_one_version(lock: str) -> None:
    """A package has the same version on each Python and platform, so that numbers do not depend on them."""
    assert len(pins(lock)) == len(list(entries(lock)))


@pytest.mark.parametrize("lock", SHIPPED)
def test_development_tests_what_is_shipped(lock: str) -> None:
    """The development lock holds each package of the other locks at the same version."""
    assert pins(lock).items() <= pins("requirements-dev.lock").items()


def test_runtime_lock_covers_the_dependencies() -> None:
    """Each dependency that pyproject.toml declares, those of the image's extra too, is in the runtime lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = chain(project["dependencies"], project["optional-dependencies"]["traces"])
    declared = {re.split(r"[\[><=;]", requirement)[0] for requirement in wanted}
    assert declared <= pins("requirements.lock").keys()


@pytest.mark.parametrize("lock", LOCKS)
def test_multipart_parser_is_absent(lock: str) -> None:
    """Nothing here reads forms, so their parser and its defects stay out."""
    assert "python-multipart" not in pins(lock)
