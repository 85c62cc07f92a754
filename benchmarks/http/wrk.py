"""Load by wrk: one thread, many connections, a few requests in turns again and again."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.http.dialects import Message

SCRIPT = Path(__file__).with_name("post.lua")
CONNECTIONS = 16
ENOUGH_REQUESTS, SECONDS_OF_THE_SLOW = 3 * CONNECTIONS, 8
"""What is under way at the end of a load is not counted, and should be little beside what is."""


class FailedRequestsError(Exception):
    """Some of the requests were not answered as they should be."""


@dataclass(frozen=True)
class Load:
    """What a load came to; all of its requests were answered with 2xx or 3xx."""

    requests: int
    seconds: float
    answered_bytes: int

    def with_more(self, more: "Load") -> "Load":
        """Both as one."""
        return Load(
            self.requests + more.requests, self.seconds + more.seconds, self.answered_bytes + more.answered_bytes
        )

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def bytes_an_answer(self) -> float:
        """Head and body, on the average."""
        return self.answered_bytes / self.requests


def request(url: str, message: Message) -> bytes:
    """A message as it travels."""
    parts = urlsplit(url)
    fields = {"Host": parts.netloc, **message.headers, "Content-Length": str(len(message.body))}
    lines = [f"POST {parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + message.body


class Wrk:
    """The program, found once; its bodies go through a folder."""

    def __init__(self, folder: Path) -> None:
        self._program = shutil.which("wrk") or sys.exit("this benchmark needs wrk: apt-get install wrk")
        self._folder = folder

    def load(self, url: str, messages: Sequence[Message], seconds: int) -> Load:
        """Load a server; slow ones are given more seconds to answer."""
        found = self.warm(url, messages, seconds)
        if found.requests < ENOUGH_REQUESTS:
            found = found.with_more(self.warm(url, messages, SECONDS_OF_THE_SLOW))
        if not found.requests:
            raise FailedRequestsError(f"not one request was answered within {SECONDS_OF_THE_SLOW} s")
        return found

    def warm(self, url: str, messages: Sequence[Message], seconds: int) -> Load:
        """Load for so many seconds, whatever is answered in them."""
        files = [self._folder / f"request-{number}" for number in range(len(messages))]
        for file, message in zip(files, messages, strict=True):
            file.write_bytes(request(url, message))
        load = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(SCRIPT), url]
        command = [self._program, *load, "--", *map(str, files)]
        said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout  # noqa: S603 - wrk as it was found, with arguments from above
        requests, microseconds, failures, answered = map(int, said.splitlines()[-1].split())
        if failures:
            raise FailedRequestsError(f"{failures} of {requests} requests failed")
        return Load(requests, microseconds / 1e6, answered)
