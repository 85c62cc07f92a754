"""Three client generators make working clients of the document: Python, TypeScript, and Go.

They are given the document with its JSON bodies only. openapi-python-client 0.29 emits code that does not import when
a body has two media types. Everything else is as it is.

Each test installs its generator into a folder of its own, so it needs a package index; openapi-generator also needs
Java, and the TypeScript call Node 20.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from .programs import python_with, run

pytestmark = pytest.mark.full

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "openapi/openapi.json"
JSON_TYPES = {"application/json", "application/problem+json"}
PYTHON_GENERATOR = "openapi-python-client==0.29.1"
GO_GENERATOR = "openapi-generator-cli==7.26.0"  # the package holds the generator's own jar
NODE_PACKAGES = ["openapi-typescript@7.13.0", "typescript@5.9.3"]
# The smallest document with an example: what openapi-generator says of it, it says of itself.
SMALLEST = {
    "openapi": "3.1.0",
    "info": {"title": "smallest", "version": "1"},
    "paths": {
        "/a": {
            "get": {
                "operationId": "a",
                "responses": {
                    "200": {
                        "description": "an integer",
                        "content": {
                            "application/json": {
                                "schema": {"$ref": "#/components/schemas/A"},
                                "examples": {"one": {"value": {"x": 1}}},
                            }
                        },
                    }
                },
            }
        }
    },
    "components": {"schemas": {"A": {"type": "object", "properties": {"x": {"type": "integer"}}}}},
}

PYTHON_CALLS = """
import sys
from gradient_service_client import Client
from gradient_service_client.api.compute import gradient, loss, softmax
from gradient_service_client.models import (
    GradientOutput, GradientReply, GradientRequest, LossRequest, Objective, Problem, SoftmaxOutput, SoftmaxRequest,
)

with Client(sys.argv[1]) as client:
    reply = softmax.sync(client=client, body=SoftmaxRequest(
        logits=[[9.0, 0.0, 0.0]], class_mask=[False, True, True], include=[SoftmaxOutput.LOG_PROBABILITIES]))
    assert reply.log_probabilities[0][0] is None, reply
    reply = loss.sync(client=client, body=LossRequest(
        logits=[[1.0, 2.0, 3.0]], labels=[2], objective=Objective.SOFTMAX_BINARY_CROSS_ENTROPY))
    assert abs(reply.loss - 0.782628) < 5e-7, reply
    assert reply.summary.example_count == 1
    reply = gradient.sync(client=client, body=GradientRequest(
        logits=[[40.0, 0.0]], labels=[0], include=[GradientOutput.LOSS, GradientOutput.JACOBIAN]))
    assert isinstance(reply, GradientReply)
    assert reply.loss == 4.248354255291589e-18, reply
    assert len(reply.jacobian[0][0]) == 2
    reply = loss.sync(client=client, body=LossRequest(logits=[[1.0]], labels=[7]))
    assert isinstance(reply, Problem), reply
    assert reply.errors[0].pointer == "/labels/0"
"""

TYPED_CALL = """
import type { components, operations, paths } from "./schema";

type Request = components["schemas"]["GradientRequest"];
type Reply = operations["gradient"]["responses"][200]["content"]["application/json"];
type Refusal = paths["/gradient"]["post"]["responses"][422]["content"]["application/problem+json"];

async function gradient(origin: string, body: Request): Promise<Reply> {
  const headers = { "Content-Type": "application/json" };
  const reply = await fetch(`${origin}/gradient`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!reply.ok) {
    const refusal = (await reply.json()) as Refusal;
    throw new Error(refusal.errors.map((error) => `${error.code} ${error.pointer}`).join("; "));
  }
  return (await reply.json()) as Reply;
}

async function main(origin: string): Promise<void> {
  const body: Request = { logits: [[40, 0]], labels: [0], include: ["loss", "gradient"] };
  const reply = await gradient(origin, body);
  const rows: number[][] | undefined = reply.gradient;
  const nullable: (number | null)[][] | undefined = ({} as components["schemas"]["SoftmaxReply"]).log_probabilities;
  const refusal = await gradient(origin, { logits: [[0, 0]], labels: [2] }).catch((error: Error) => error.message);
  console.log(JSON.stringify({ loss: reply.loss, rows, nullable: nullable ?? null, refusal }));
}

void main(process.argv[2] ?? "");
"""

WRONG_CALL = """
import type { components } from "./schema";
export const request: components["schemas"]["LossRequest"] = { logits: [[1, 2]], labels: [0], reduction: "median" };
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """The committed document without the bodies that are not JSON."""
    content = json.loads(DOCUMENT.read_bytes())
    for path in content["paths"].values():
        for operation in path.values():
            for body in (operation.get("requestBody", {}), *operation["responses"].values()):
                described = body.get("content", {})
                for media_type in described.keys() - JSON_TYPES:
                    del described[media_type]
    reduced = tmp_path / "openapi.json"
    reduced.write_text(json.dumps(content))
    return reduced


def tool(name: str) -> str:
    """The path of a program that the test cannot install itself."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"this test needs {name}")
    return path


def test_openapi_python_client(tmp_path: Path, document: Path, url: str) -> None:
    """openapi-python-client generates without a warning, and the client imports, calls, and reads refusals."""
    programs = python_with(tmp_path, PYTHON_GENERATOR)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"  # the generator formats by the ruff beside it
    generator = programs / "openapi-python-client"
    options = ["--fail-on-warning", "--output-path", "generated"]
    said = run(generator, "generate", "--path", document, *options, folder=tmp_path, PATH=path)
    assert "warning" not in (said.stdout + said.stderr).lower()
    (tmp_path / "calls.py").write_text(PYTHON_CALLS)
    run(programs / "python", "-W", "error", "calls.py", url, folder=tmp_path, PYTHONPATH=str(tmp_path / "generated"))


def test_openapi_typescript(tmp_path: Path, document: Path, url: str) -> None:
    """openapi-typescript's types compile, and a call typed by them answers from Node."""
    npm, node = tool("npm"), tool("node")
    run(npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", ".", *NODE_PACKAGES, folder=tmp_path)
    binaries = tmp_path / "node_modules/.bin"
    # By default it makes every field with a default one that must be sent, in requests as well.
    options = ["--output", "schema.ts", "--default-non-nullable", "false"]
    said = run(binaries / "openapi-typescript", document, *options, folder=tmp_path)
    assert "warn" not in (said.stdout + said.stderr).lower()
    (tmp_path / "call.ts").write_text(f"declare const process: {{ argv: string[] }};\n{TYPED_CALL}")
    options = ["--strict", "--target", "es2022", "--module", "commonjs", "--lib", "es2022,dom"]
    run(binaries / "tsc", *options, "--noUncheckedIndexedAccess", "schema.ts", "call.ts", folder=tmp_path)
    answer = json.loads(run(node, "call.js", url, folder=tmp_path).stdout)
    assert answer == {
        "loss": 4.248354255291589e-18,
        "rows": [[-4.248354255291589e-18, 4.248354255291589e-18]],
        "nullable": None,
        "refusal": "label-out-of-range /labels/0",
    }
    (tmp_path / "wrong.ts").write_text(WRONG_CALL)
    with pytest.raises(AssertionError, match="median"):
        run(binaries / "tsc", *options, "--noEmit", "wrong.ts", folder=tmp_path)


def test_openapi_generator(tmp_path: Path, document: Path) -> None:
    """openapi-generator finds the document valid and makes a Go client without a warning that concerns it."""
    tool("java")
    programs = python_with(tmp_path, GO_GENERATOR)
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    (tmp_path / "smallest.json").write_text(json.dumps(SMALLEST))

    def warnings_of(described: Path | str, output: str) -> set[str]:
        command: list[str | Path] = [
            programs / "openapi-generator-cli",
            "generate",
            "-g",
            "go",
            "-i",
            described,
            "-o",
            output,
        ]
        said = run(*command, folder=tmp_path, PATH=path)
        lines = (said.stdout + said.stderr).splitlines()
        return {line for line in lines if "WARN" in line or "ERROR" in line}

    run(programs / "openapi-generator-cli", "validate", "-i", document, folder=tmp_path, PATH=path)
    assert warnings_of(document, "generated") - warnings_of("smallest.json", "smallest") == set()
    assert "Jacobian [][][]float" in (tmp_path / "generated/model_gradient_reply.go").read_text()
