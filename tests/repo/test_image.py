"""The image, as far as its Dockerfile tells: what it holds is listed, hashed, and the same each time."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
STAGES = re.split(r"^FROM .*$", DOCKERFILE, flags=re.MULTILINE)[1:]
COMMANDS = [command for run in re.findall(r"^RUN (.*)$", DOCKERFILE, re.MULTILINE) for command in run.split(" && ")]
PIN = re.compile(r"^([a-z0-9._-]+)==([^\s;]+)(?: ; (.*?))? \\$", re.MULTILINE)


def writing_the_bill() -> list[str]:
    """The arguments of what writes the bill of materials."""
    (command,) = (command for command in COMMANDS if "cyclonedx-py" in command)
    return shlex.split(command)[1:]


def locked() -> dict[str, str]:
    """What the image holds on this machine: version by name."""
    pins = PIN.findall((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    return {name: version for name, version, marker in pins if not marker or Marker(marker).evaluate()}


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The bill of this environment, which holds what the image holds, and the tests' own."""
    file = tmp_path_factory.mktemp("bill") / "sbom.json"
    words = [{"/app/sbom.cdx.json": str(file), "/app": sys.executable}.get(word, word) for word in writing_the_bill()]
    command = [sys.executable, "-m", "cyclonedx_py", *words, "--no-validate"]  # the image's is validated; it takes long
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    written: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return written


def test_the_bill_lists_each_locked_package(bill: dict[str, Any]) -> None:
    """Every package of the runtime lock is in it, at its version."""
    listed = {(component["name"].lower().replace("_", "-"), component["version"]) for component in bill["components"]}
    assert locked().items() <= listed


def test_the_bill_is_that_of_the_service(bill: dict[str, Any]) -> None:
    """It is written in CycloneDX, and says of what it is."""
    subject = bill["metadata"]["component"]
    assert bill["bomFormat"] == "CycloneDX"
    assert (subject["name"], subject["version"]) == ("gradient-service", metadata.version("gradient-service"))


def test_a_label_says_where_the_bill_is() -> None:
    """The image tells the file that the first stage writes, and keeps it."""
    words = writing_the_bill()
    file = words[words.index("--output-file") + 1]
    assert f'gradient-service.sbom="{file}"' in STAGES[-1]
    assert "COPY --from=build /app /app" in STAGES[-1]


def test_each_download_is_checked() -> None:
    """What pip installs has a hash in a lock, or was built here."""
    installs = [command for command in COMMANDS if " install " in command]
    assert len(installs) == 4
    assert all("--require-hashes" in command or "--no-index" in command for command in installs)


def test_both_stages_are_of_one_base() -> None:
    """One argument names the base, so that it can be named by its digest."""
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) == ["${PYTHON_IMAGE}"] * 2


def test_nothing_is_told_the_time() -> None:
    """Modules are compiled after all are there, by their content, and each file has the time of the commit's files."""
    compiling = [command for command in COMMANDS if "-m compileall" in command]
    assert all("--invalidation-mode unchecked-hash" in command for command in compiling)
    assert "PIP_NO_COMPILE=1" in STAGES[0]
    copied = re.findall(r"^COPY --from=build (\S+) ", DOCKERFILE, re.MULTILINE)
    dated = [f"find {folder} -exec touch " in command for command in COMMANDS for folder in copied]
    dating = [command for command in COMMANDS if "-exec touch " in command]
    assert sum(dated) == len(copied) == len(dating) == len(compiling)
    assert all("--date=@${SOURCE_DATE_EPOCH}" in command for command in dating)
    places = zip(map(COMMANDS.index, compiling), map(COMMANDS.index, dating), strict=True)
    assert all(compiled < touched for compiled, touched in places)


def test_what_is_copied_is_sent_to_the_builder() -> None:
    """The list of what the builder gets is what the Dockerfile copies."""
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[0] == "!"}
    copied = {
        name for names in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE) for name in names.split()
    }
    assert sent == copied
