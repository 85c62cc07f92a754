"""Requests per second of the same gradients in safetensors and in JSON, from one running service.

`python -m benchmarks.wires` needs wrk (Debian: `apt-get install wrk`). The two forms take turns, so that whatever else
the machine does meets all; each round gives one ratio, and the median of them is the figure. JSON is sent twice: as
Python's own `json` writes the array's `tolist()`, answered in float64, the default; and as short as it can be, the
fewest digits that read back as the float32 they were, answered in float32, so that the reply holds the same numbers as
the binary one.
"""

import json
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
BINARY, USUAL, SHORTEST = "safetensors", "JSON", "shortest JSON"
MEDIA_TYPES = {BINARY: "application/x-safetensors", USUAL: "application/json", SHORTEST: "application/json"}


def bodies() -> dict[str, bytes]:
    """The same question in each form: float32 logits with labels."""
    generator = np.random.default_rng(20261126)
    logits = generator.normal(scale=3, size=(ROWS, CLASSES)).astype(np.float32)
    labels: NDArray[np.int64] = generator.integers(0, CLASSES, ROWS)
    document = {"logits": logits, "labels": labels, "dtype": "float32"}
    return {
        BINARY: save({"logits": logits, "labels": labels}),
        USUAL: json.dumps({"logits": logits.tolist(), "labels": labels.tolist()}).encode(),
        SHORTEST: orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY),
    }


def check_replies(url: str, files: dict[str, Path]) -> None:
    """Stop unless each form is answered in its own type."""
    for form, file in files.items():
        media_type = MEDIA_TYPES[form]
        reply = httpx.post(f"{url}/gradient", content=file.read_bytes(), headers={"Content-Type": media_type})
        reply.raise_for_status()
        if reply.headers["Content-Type"] != media_type:
            sys.exit(f"{media_type} was answered in {reply.headers['Content-Type']}")
        print(f"{form}: request {file.stat().st_size} bytes, reply {len(reply.content)} bytes")


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
        files = {form: Path(folder) / form.replace(" ", "-") for form in MEDIA_TYPES}
        for form, body in bodies().items():
            files[form].write_bytes(body)
        check_replies(url, files)
        for form, file in files.items():
            requests_per_second(wrk, url, file, MEDIA_TYPES[form], seconds=1)  # warm
        ratios: dict[str, list[float]] = {USUAL: [], SHORTEST: []}
        for number in range(1, ROUNDS + 1):
            rates = {form: requests_per_second(wrk, url, file, MEDIA_TYPES[form]) for form, file in files.items()}
            for form, found in ratios.items():
                found.append(rates[BINARY] / rates[form])
            print(f"round {number}: " + ", ".join(f"{form} {rate:.0f}/s" for form, rate in rates.items()))
        for form, found in ratios.items():
            print(
                f"{BINARY} / {form}: median {statistics.median(found):.2f}, from {min(found):.2f} to {max(found):.2f}"
            )


if __name__ == "__main__":
    main()
