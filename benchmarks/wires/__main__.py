"""Requests per second of the same gradients in safetensors and in JSON, from one running service.

`python -m benchmarks.wires` needs wrk (Debian: `apt-get install wrk`). The two forms take turns, so that whatever else
the machine does meets all; each round gives one ratio, and the median of them is the figure. JSON is sent twice: as
Python's own `json` writes the array's `tolist()`, answered in float64, the default; and as short as it can be, the
fewest digits that read back as the float32 they were, answered in float32, so that the reply holds the same numbers as
the binary one.
"""

import json
import statistics
import sys
import tempfile
from pathlib import Path

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray
from safetensors.numpy import save

from benchmarks.http.dialects import Message
from benchmarks.http.wrk import Wrk
from tests.contract.serving import running_service

ROWS, CLASSES = 32, 1000
ROUNDS, SECONDS = 7, 3
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


def check_replies(url: str, messages: dict[str, Message]) -> None:
    """Stop unless each form is answered in its own type."""
    for form, message in messages.items():
        reply = httpx.post(f"{url}/gradient", content=message.body, headers=message.headers)
        reply.raise_for_status()
        if reply.headers["Content-Type"] != message.headers["Content-Type"]:
            sys.exit(f"{form} was answered in {reply.headers['Content-Type']}")
        print(f"{form}: request {len(message.body)} bytes, reply {len(reply.content)} bytes")


def main() -> None:
    """Measure, and print each round and the median ratio."""
    messages = {form: Message({"Content-Type": MEDIA_TYPES[form]}, body) for form, body in bodies().items()}
    with tempfile.TemporaryDirectory() as folder, running_service() as url:
        wrk = Wrk(Path(folder))
        check_replies(url, messages)
        for message in messages.values():
            wrk.warm(f"{url}/gradient", [message], 1)
        ratios: dict[str, list[float]] = {USUAL: [], SHORTEST: []}
        for number in range(1, ROUNDS + 1):
            rates = {form: wrk.load(f"{url}/gradient", [each], SECONDS).per_second for form, each in messages.items()}
            for form, found in ratios.items():
                found.append(rates[BINARY] / rates[form])
            print(f"round {number}: " + ", ".join(f"{form} {rate:.0f}/s" for form, rate in rates.items()))
        for form, found in ratios.items():
            print(
                f"{BINARY} / {form}: median {statistics.median(found):.2f}, from {min(found):.2f} to {max(found):.2f}"
            )


if __name__ == "__main__":
    main()
