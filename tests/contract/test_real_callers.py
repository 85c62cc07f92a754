"""Callers without a client of ours: a script for Node without packages, and curl."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from .serving import running_service

pytestmark = pytest.mark.full

EXAMPLES = Path(__file__).parents[2] / "openapi" / "examples"
BINARY = "application/x-safetensors"
SCRIPT = r"""
const origin = process.argv[2];

function file(tensors, options) {
  const header = { __metadata__: { options: JSON.stringify(options) } };
  const parts = [];
  let begin = 0;
  for (const [name, { dtype, shape, values }] of Object.entries(tensors)) {
    const end = begin + values.byteLength;
    header[name] = { dtype, shape, data_offsets: [begin, end] };
    parts.push(values);
    begin = end;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = new BigUint64Array([BigInt(text.length)]);
  return new Blob([length, text, ...parts]);
}

function parse(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const { __metadata__, ...tensors } = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const read = (name) => {
    const { dtype, shape, data_offsets: [begin, end] } = tensors[name];
    if (dtype !== "F32") throw new Error(`${name} is ${dtype}`);
    return { shape, values: new Float32Array(buffer, 8 + length + begin, (end - begin) / 4) };
  };
  return { result: JSON.parse(__metadata__.result), read };
}

async function main() {
  const body = file(
    {
      logits: { dtype: "F32", shape: [2, 3], values: new Float32Array([1, 2, 3, 0, 0, 0]) },
      labels: { dtype: "I32", shape: [2], values: new Int32Array([2, 0]) },
    },
    { reduction: "mean" },
  );
  const headers = { "Content-Type": "application/x-safetensors" };
  const reply = await fetch(`${origin}/gradient`, { method: "POST", headers, body });
  const { result, read } = parse(await reply.arrayBuffer());
  const { shape, values } = read("gradient");
  const refused = await fetch(`${origin}/gradient`, { method: "POST", headers, body: body.slice(0, -1) });
  console.log(JSON.stringify({
    type: reply.headers.get("Content-Type"),
    loss: result.loss,
    shape,
    gradient: Array.from(values),
    refusal: (await refused.json()).type,
  }));
}

main();
"""


def program(name: str) -> str:
    """The path of a program that callers have and this repository does not install."""
    path = shutil.which(name)
    if path is None:
        pytest.fail(f"this test needs {name}")
    return path


def test_node_without_packages(tmp_path: Path) -> None:
    """A Float32Array sent by Node's fetch is answered by one, which its alignment lets Node read where it lies."""
    script = tmp_path / "call.mjs"
    script.write_text(SCRIPT)
    with running_service() as url:
        command = [program("node"), str(script), url]
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    answer = json.loads(said)
    gradient = answer.pop("gradient")
    loss = answer.pop("loss")
    assert answer == {"type": BINARY, "shape": [2, 3], "refusal": "/problems/malformed-tensor"}
    assert loss == pytest.approx(0.753109, abs=5e-7)
    expected = [0.045015, 0.122364, -0.167380, -0.333333, 0.166667, 0.166667]
    np.testing.assert_allclose(gradient, expected, atol=5.1e-7)


@pytest.mark.parametrize("media_type", [BINARY, "application/octet-stream"])
@pytest.mark.parametrize("name", ["softmax.every_output", "loss.weighted", "gradient.jacobian", "gradient.masked"])
def test_curl_sends_a_file_and_keeps_one(tmp_path: Path, name: str, media_type: str) -> None:
    """curl posts an example file under either name of its type, and what it stores loads as the stored answer."""
    stored = tmp_path / "answer.safetensors"
    with running_service() as url:
        command = [program("curl"), "--silent", "--show-error", "--fail", f"{url}/{name.partition('.')[0]}"]
        body = f"@{EXAMPLES / name}.request.safetensors"
        options = ["-H", f"Content-Type: {media_type}", "--data-binary", body, "--output", str(stored)]
        subprocess.run([*command, *options], check=True, timeout=30)
    answer, expected = load_file(stored), load_file(f"{EXAMPLES / name}.answer.safetensors")
    assert answer.keys() == expected.keys()
    for field, array in expected.items():
        assert answer[field].dtype == array.dtype
        np.testing.assert_allclose(answer[field], array, rtol=1e-13)
