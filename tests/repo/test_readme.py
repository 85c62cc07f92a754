"""The README and the pages in `docs/` say what is so: their blocks run, and what they name exists."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import load_file

from gradient_client import GradientClient
from gradient_service.app import create_app
from gradient_service.settings import Settings
from tests.contract.serving import running_service

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    "README.md",
    "examples/README.md",
    "openapi/golden/README.md",
    "docs/architecture.md",
    "docs/confusions.md",
    "docs/mapping.md",
    "docs/operations.md",
    "docs/reliability.md",
    "docs/scaling.md",
    "docs/track-record.md",
]
ADDRESS = "http://127.0.0.1:8000"
SERVICE = ROOT / "service" / "gradient_service"
CLIENT = ROOT / "client" / "gradient_client"
NO_FILES = {"application/x-safetensors", "application/octet-stream", ".venv/", "application/problem+json"}


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that the service runs on."""
    return "asyncio"


def text(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The README's blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def http_client() -> httpx.AsyncClient:
    """A client of the application in this process."""
    app = create_app(Settings.model_construct())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ADDRESS)


@pytest.mark.anyio
async def test_the_first_curl_answers_as_printed() -> None:
    """The reply to the README's first curl is the printed one, byte for byte."""
    curl, url, option, header, data, body = shlex.split(blocks("sh")[1])
    assert (curl, option, data) == ("curl", "-H", "-d")
    name, _, value = header.partition(": ")
    async with http_client() as client:
        reply = await client.post(url, content=body, headers={name: value})
    assert reply.content == blocks("json")[0].removesuffix("\n").encode()


@pytest.mark.anyio
async def test_the_check_names_the_mistake_that_is_told() -> None:
    """The README's claim is explained by the one mistake that stands below it: on two rows of two, five came near."""
    _, url, _, header, _, body = shlex.split(blocks("sh")[3])
    name, _, value = header.partition(": ")
    async with http_client() as client:
        answer = (await client.post(url, content=body, headers={name: value})).json()
    told = re.findall(r"It is not: this is `(\w+)`", README)
    assert (answer["verdict"], [each["code"] for each in answer["diagnoses"]]) == ("mismatch", told)


@pytest.mark.anyio
async def test_the_tolerances_that_are_advised_suffice() -> None:
    """What is rounded after the point, and what differences are, match within the README's `atol`."""
    printed, differences = (float(number) for number in re.findall(r'"atol": ([\d.e-]+)', README))
    question = json.loads(shlex.split(blocks("sh")[3])[-1])
    batch = {name: question[name] for name in ("logits", "labels")}
    async with http_client() as client:
        gradient = np.array((await client.post("/gradient", json=batch)).json()["gradient"])
        claims = {printed: gradient.round(6), differences: await central_differences(client, batch)}
        for atol, claim in claims.items():
            claimed = batch | {"claimed": {"gradient": claim.tolist()}}
            verdicts = [
                (await client.post("/check", json=claimed | options)).json()["verdict"]
                for options in ({}, {"atol": atol})
            ]
            assert verdicts == ["mismatch", "match"], atol


async def central_differences(client: httpx.AsyncClient, batch: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The slope of the loss over 10⁻⁶ to either side of each logit."""
    logits, step = np.array(batch["logits"], np.float64), 1e-6
    slopes = np.zeros_like(logits)
    for place in np.ndindex(logits.shape):
        moved = [logits.copy(), logits.copy()]
        for sign, each in zip((1, -1), moved, strict=True):
            each[place] += sign * step
        bodies = [batch | {"logits": each.tolist()} for each in moved]
        above, below = [(await client.post("/loss", json=body)).json()["loss"] for body in bodies]
        slopes[place] = (above - below) / (2 * step)
    return slopes


def test_the_scored_file_is_answered_as_the_call(tmp_path: Path) -> None:
    """The README's command writes the gradient that the service answers for the same rows."""
    program, *command = shlex.split(blocks("sh")[4])
    assert program == ".venv/bin/gradient-service"
    source, out = ROOT / command[1], tmp_path / command[command.index("--out") + 1]
    options = [str(out) if part == out.name else part for part in command]
    run = [sys.executable, "-m", "gradient_service", *options]
    printed = subprocess.run(run, check=True, cwd=ROOT, timeout=60, capture_output=True).stdout
    with GradientClient.in_process() as client:
        rows = load_file(source)
        whole = client.gradient(rows["logits"], rows["labels"])
    assert json.loads(printed)["loss"] == whole.loss
    (block,) = out.glob("rows-*.safetensors")
    assert load_file(block)["gradient"].tobytes() == whole.gradient.tobytes()


@pytest.mark.full
def test_the_binary_curl_answers_as_stored(tmp_path: Path) -> None:
    """curl itself sends the example file that the README names, and receives the answer of the same name."""
    command = shlex.split(blocks("sh")[2].replace("\\\n", ""))
    answer = tmp_path / command[command.index("--output") + 1]
    sent = command[command.index("--data-binary") + 1].removeprefix("@")
    with running_service() as url:
        options = [part.replace(ADDRESS, url).replace(answer.name, str(answer)) for part in command]
        subprocess.run([*options, "--silent", "--show-error", "--fail"], check=True, cwd=ROOT, timeout=30)
    expected = load_file(ROOT / sent.replace(".request.", ".answer."))
    assert load_file(answer).keys() == expected.keys()
    np.testing.assert_allclose(load_file(answer)["gradient"], expected["gradient"], rtol=1e-14)


def test_the_first_call_is_within_one_screen() -> None:
    """Whoever opens the README sees command, call and reply without scrolling."""
    assert README[: README.index(blocks("json")[0])].count("\n") <= 20


def test_addresses_are_those_of_make_run() -> None:
    """The README's calls go where `make run` serves by default."""
    makefile = text("Makefile")
    port = re.search(r"^PORT \?= (\d+)$", makefile, re.MULTILINE)
    assert port is not None
    assert "--host 127.0.0.1 --port $(PORT)" in makefile
    assert set(re.findall(r"http://[\w.:]+", README)) == {f"http://127.0.0.1:{port[1]}"}


@pytest.mark.parametrize("block", blocks("python"), ids=["client", "tritonclient"])
def test_the_python_blocks_print_what_their_comments_say(block: str) -> None:
    """The README's Python runs against a service, and each print shows what is beside it."""
    with running_service() as url, contextlib.redirect_stdout(io.StringIO()) as printed:
        here = block.replace(ADDRESS.removeprefix("http://"), url.removeprefix("http://"))
        exec(here, {})  # noqa: S102 - our own README
    promised = [comment.partition(", what")[0] for comment in re.findall(r"print\(.*\)  # (.*)", block)]
    assert printed.getvalue().splitlines() == promised


def test_the_python_block_has_six_lines() -> None:
    """The first use of the client is six lines long, the empty one aside."""
    assert len([line for line in blocks("python")[0].splitlines() if line]) == 6


@pytest.mark.anyio
async def test_the_derivation_s_numbers_are_the_service_s() -> None:
    """The worked numbers below the derivation are what the service answers, to the digits printed."""
    row = {"logits": [[1, 2, 3]], "targets": [[0, 0, 1]]}
    names = ["probabilities", "loss", "gradient", "gradient_by_chain_rule"]
    binary = {"objective": "softmax_binary_cross_entropy", "include": ["gradient"]}
    async with http_client() as client:
        first = (await client.post("/gradient", json=row | {"include": names})).json()
        second = (await client.post("/gradient", json=row | binary)).json()
    shown = [*first["probabilities"][0], first["loss"], *first["gradient"][0], *second["gradient"][0]]
    derivation = README.partition("## The derivation")[2].partition("\n## ")[0]
    printed = [float(number.replace("−", "-")) for number in re.findall(r"−?\d\.\d{6}", derivation)]
    assert printed == [round(number, 6) for number in shown]
    assert first["gradient_by_chain_rule"][0] == pytest.approx(first["gradient"][0], rel=1e-14)


@pytest.mark.anyio
async def test_endpoints_of_the_table_are_served() -> None:
    """Every path in the table of endpoints has a route, and every route of the document is in the table."""
    table = README.partition("## Endpoints")[2].partition("\n## ")[0]
    paths = set(re.findall(r"`(/[\w.]*)`", table))
    async with http_client() as client:
        missing = [path for path in paths if (await client.get(path)).status_code == 404]
    assert missing == []
    document = json.loads(text("openapi/openapi.json"))["paths"]
    above = re.findall(r"`(/\w+)`, and the \w+ below it", table)
    told = [path for path in document if path in paths or path.startswith(tuple(f"{each}/" for each in above))]
    assert told == list(document)


def test_every_setting_is_explained() -> None:
    """The page on operations has each setting by the name of its variable, and no other."""
    named = set(re.findall(r"GRADIENT_([A-Z_]+)", text("docs/operations.md")))
    assert named == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: str) -> None:
    """Each `make` command that a page names is a target."""
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    named = re.findall(r"(?:`|^|=\d+ )make ([a-z-]+)", text(page), re.MULTILINE)
    assert set(named) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page: str) -> None:
    """Each file or folder that a page names is in the repository, or below one of the two packages."""
    words = re.findall(r"`([\w./-]+)`", text(page))
    names = {word for word in words if re.search(r"\w/|\.(py|md|toml|json)$", word) and not word.startswith("/")}
    places = (ROOT, SERVICE, CLIENT, (ROOT / page).parent)
    lost = [name for name in names - NO_FILES if not any((place / name).exists() for place in places)]
    assert lost == []
