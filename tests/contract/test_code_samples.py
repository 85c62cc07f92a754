"""The code beside each example of the OpenAPI document: run in a shell and in Python, it has the example's answer."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import httpx
import numpy as np
import pytest

from gradient_client import GradientClientError
from gradient_service.app import create_app
from gradient_service.http.code_samples import ADDRESS
from gradient_service.settings import Settings

NO_OUTPUTS = {"applied", "summary", "verdict", "diagnoses", "worst_rows", "statistics", "invariants"}


class Sample(NamedTuple):
    """One example of the document, with the code beside it."""

    name: str
    path: str
    request: dict[str, Any]
    answer: dict[str, Any]
    code: dict[str, str]


def samples() -> Iterator[Sample]:
    """Every example of every call."""
    document = json.loads(json.dumps(create_app(Settings.model_construct()).openapi()))
    for path, methods in document["paths"].items():
        shown = methods.get("post", {}).get("requestBody", {"content": {}})["content"].get("application/json", {})
        answers = {
            name: answer["value"]
            for response in methods.get("post", {"responses": {}})["responses"].values()
            for content in response["content"].values()
            for name, answer in content.get("examples", {}).items()
        }
        for name, example in shown.get("examples", {}).items():
            code = dict(re.findall(r"```(\w+)\n(.*?)\n```", example["description"], re.DOTALL))
            yield Sample(f"{path} {name}", path, example["value"], answers[name], code)


SAMPLES = list(samples())
NATIVE = [sample for sample in SAMPLES if not sample.path.startswith("/v2")]


def each_of(examples: Iterable[Sample]) -> pytest.MarkDecorator:
    """Run a test on some examples."""
    return pytest.mark.parametrize("sample", [pytest.param(sample, id=sample.name) for sample in examples])


def without_id(document: dict[str, Any]) -> dict[str, Any]:
    """A reply but for the id of its request."""
    return {name: value for name, value in document.items() if name != "request_id"}


def run(program: str, url: str) -> Any:
    """The result of a program that asks a service elsewhere, run as it stands but for its print."""
    names: dict[str, Any] = {}
    exec(program.replace(ADDRESS, url).replace("print(result)", ""), names)  # noqa: S102 - our own document
    return names["result"]


@each_of(SAMPLES)
def test_the_curl_line_sends_the_example(sample: Sample) -> None:
    """The words of a curl line are the address, the type and the request of its example."""
    assert shlex.split(sample.code["sh"])[2:5] == ["-H", "Content-Type: application/json", "-d"]
    curl, url, *_, body = shlex.split(sample.code["sh"])
    template = re.sub(r"{\w+}", r"\\w+", sample.path).removesuffix("/versions/\\w+/infer")
    assert (curl, json.loads(body)) == ("curl", sample.request)
    assert re.match(re.escape(ADDRESS) + template, url)


@pytest.mark.full
@each_of(SAMPLES)
def test_the_curl_line_runs(sample: Sample, url: str) -> None:
    """A curl line, pasted into a shell, prints what the service answers to the example."""
    command = sample.code["sh"].replace(ADDRESS, url).replace("curl ", "curl --silent --show-error ", 1)
    bash = shutil.which("bash") or ""
    printed = subprocess.run([bash, "-c", command], capture_output=True, check=True, timeout=30).stdout
    path = shlex.split(command)[3].removeprefix(url)
    assert without_id(json.loads(printed)) == without_id(httpx.post(url + path, json=sample.request).json())


@each_of(sample for sample in NATIVE if "status" not in sample.answer)
def test_the_program_has_the_answer(sample: Sample, url: str) -> None:
    """A program, run as it stands, has the outputs and the options that the answer of its example has."""
    result = run(sample.code["python"], url)
    applied = result.applied
    assert {name: applied[name] for name in sample.answer["applied"]} == sample.answer["applied"]
    for name in sample.answer.keys() - NO_OUTPUTS:
        output = np.asarray(getattr(result, name))
        expected = np.array(json.loads(json.dumps(sample.answer[name]).replace("null", "-Infinity")), output.dtype)
        np.testing.assert_allclose(output, expected, rtol=1e-13, err_msg=name)
    if "verdict" in sample.answer:
        assert (result.verdict, [each.code for each in result.diagnoses]) == (
            sample.answer["verdict"],
            [each["code"] for each in sample.answer["diagnoses"]],
        )


@each_of(sample for sample in NATIVE if "status" in sample.answer)
def test_the_program_of_a_refused_example_is_refused(sample: Sample, url: str) -> None:
    """A program whose example is bad input ends with an error of the client that is a ValueError, too."""
    with pytest.raises(GradientClientError) as caught:
        run(sample.code["python"], url)
    assert isinstance(caught.value, ValueError)


@each_of(NATIVE)
def test_every_native_example_has_both(sample: Sample) -> None:
    """Beside each example of a native call stand a line for a shell and a program."""
    assert list(sample.code) == ["sh", "python"]
