"""Requests per second of the same gradients in safetensors and in JSON, from one running service.

`python -m benchmarks.wires` needs wrk (Debian: `apt-get install wrk`). The two forms take turns, so that whatever else
the machine does meets both; each round gives one ratio, and the median of them is the figure. JSON numbers are the
shortest that read back as the float32 they were, and JSON asks for float32, so both replies hold the same numbers.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors.numpy import save

from tests.contract.serving import running_service

SCRIPT = Path(__file__).with_name("post.lua")
ROWS, CLASSES = 32, 1000
ROUNDS, SECONDS, CONNECTIONS = 7, 3, 16
BINARY, JSON = "application/x-safetensors", "application/json"


def bodies() -> dict[str, bytes]:
    """The same question in both forms: float32 logits with labels."""
    generator = np.random.default_rng(20261126)
    logits = generator.normal(scale=3, size=(ROWS, CLASSES)).astype(np.float32)
    labels: NDArray[np.int64] = generator.integers(0, CLASSES, ROWS)
    document = {"logits": logits, "labels": labels, "dtype": "float32"}
    return {
        BINARY: save({"logits": logits, "labels": labels}),
        JSON: orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY),
    }


def check_replies(url: str, files: dict[str, Path]) -> None:
    """Stop unless each form is answered in its own type."""
    for media_type, file in files.items():
        reply = httpx.post(f"{url}/gradient", content=file.read_bytes(), headers={"Content-Type": media_type})
        reply.raise_for_status()
        if reply.headers["Content-Type"] != media_type:
            sys.exit(f"{media_type} was answered in {reply.headers['Content-Type']}")
        print(f"{media_type}: request {file.stat().st_size} bytes, reply {len(reply.content)} bytes")


def requests_per_second(wrk: str, url: str, file: Path, media_type: str, seconds: int = SECONDS) -> float:
    """How many requests a second the service answers from one thread of wrk."""
    load = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(SCRIPT), f"{url}/gradient"]
    command = [wrk, *load, "--", str(file), media_type]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 30).stdout  # noqa: S603 - wrk as it was found, with arguments from above
    requests, microseconds, failures = map(int, said.splitlines()[-1].split())
    if failures:
        sys.exit(f"{failures} of {requests} requests failed:\n{said}")
    return requests / microseconds * 1e6


def main() -> None:
    """Measure, and print each round and the median ratio."""
    wrk = shutil.which("wrk") or sys.exit("this benchmark needs wrk: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder, running_service() as url:
        files = {media_type: Path(folder) / media_type.replace("/", "-") for media_type in (BINARY, JSON)}
        for media_type, body in bodies().items():
            files[media_type].write_bytes(body)
        check_replies(url, files)
        for media_type, file in files.items():
            requests_per_second(wrk, url, file, media_type, seconds=1)  # warm
        ratios = []
        for number in range(1, ROUNDS + 1):
            binary, text = (requests_per_second(wrk, url, file, media_type) for media_type, file in files.items())
            ratios.append(binary / text)
            print(f"round {number}: binary {binary:7.0f}/s, JSON {text:7.0f}/s, ratio {ratios[-1]:.2f}")
    print(f"binary / JSON: median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
