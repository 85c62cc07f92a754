"""The real service, in a process of its own, on a free port of this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gradient_client import GradientClient

START_SECONDS = 30.0


@contextmanager
def running_service(**settings: int) -> Iterator[str]:
    """Serve with one worker and the settings given until the end of the block, which gets the address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GRADIENT_")}
    settings = {"readiness_lead_seconds": 0, "workers": 1} | settings
    environment |= {f"GRADIENT_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "gradient_service", "serve", "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as service:
        try:
            with GradientClient(url) as client:
                client.wait_until_ready(timeout=START_SECONDS)
            yield url
        finally:
            service.terminate()


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
