"""Requests as they travel, head and body."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors.numpy import save

BINARY, JSON = "application/x-safetensors", "application/json"
SEED = 20261126


def message(path: str, media_type: str, body: bytes, *fields: str) -> bytes:
    """A POST of a body."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {media_type}", *fields]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


@dataclass(frozen=True)
class Batch:
    """Random rows with labels."""

    rows: int
    classes: int

    @property
    def arrays(self) -> dict[str, Any]:
        """The logits, float32, and the labels."""
        generator = np.random.default_rng(SEED)
        logits = generator.normal(scale=3, size=(self.rows, self.classes)).astype(np.float32)
        return {"logits": logits, "labels": generator.integers(0, self.classes, self.rows)}

    def binary(self, path: str = "/gradient", *fields: str, **options: Any) -> bytes:
        """The request in safetensors."""
        metadata = {"options": json.dumps(options)} if options else None
        return message(path, BINARY, save(self.arrays, metadata=metadata), *fields)

    def json(self, path: str = "/gradient", *fields: str, **options: Any) -> bytes:
        """The request in JSON."""
        document = {name: array.tolist() for name, array in self.arrays.items()} | options
        return message(path, JSON, json.dumps(document).encode(), *fields)
