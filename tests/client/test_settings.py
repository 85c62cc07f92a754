"""Configuration: where it comes from, what is refused, what is hidden, what travels."""

from __future__ import annotations

import logging
import pickle
import sys
from typing import Any

import anyio
import numpy as np
import pytest

from gradient_client import AsyncGradientClient, ConfigurationError, GradientClient, Retry
from gradient_client._settings import LONGEST_TIMEOUT_SECONDS, _resolve_base_url

from .conftest import Script, json_reply

CLIENTS = [GradientClient, AsyncGradientClient]


def closed(client: Any) -> Any:
    """The client without its warning: it has opened nothing."""
    client._closed = True
    return client


@pytest.mark.parametrize("kind", CLIENTS)
def test_environment(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Address and key fall back to the environment."""
    monkeypatch.setenv("GRADIENT_SERVICE_URL", "https://service.test/prefix/")
    monkeypatch.setenv("GRADIENT_API_KEY", "from-environment")
    client = closed(kind())
    assert client._settings.base_url == "https://service.test/prefix"
    assert client._settings.api_key == "from-environment"


def test_no_address() -> None:
    """Without an address the error names both ways to give one."""
    with pytest.raises(ConfigurationError, match=r"base_url.*GRADIENT_SERVICE_URL"):
        GradientClient()


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000",
        "ftp://host",
        "http://",
        "http://host:port",
        "http://host:99999",
        "http://user:secret@host",
        "http://host/?q=1",
        "http://host/#x",
        "http://host?",
        "http://a..b",
        "http://host#",
        "http://ho st",
        "http://[::1",
    ],
)
def test_unusable_address(address: str) -> None:
    """What is no plain http or https address is refused, without repeating it."""
    with pytest.raises(ConfigurationError) as caught:
        GradientClient(address)
    assert "secret" not in str(caught.value)


def test_the_scheme_is_written_in_any_case() -> None:
    """Certificates are trusted as for the same address in small letters."""
    address = _resolve_base_url("HTTPS://Host:8443/base/")
    assert address == "https://Host:8443/base"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", 8000),
        ("base_url", b"http://service.test"),
        ("timeout", 0),
        ("timeout", -1.0),
        ("timeout", float("inf")),
        ("timeout", float("nan")),
        ("timeout", 4294967.396),
        ("timeout", 1e10),
        ("timeout", 10**400),
        ("timeout", "5"),
        ("timeout", True),
        ("timeout", np.float32(5)),
        ("api_key", "a\r\nb"),
        ("api_key", 5),
        ("retry", 2),
        ("wire", "xml"),
        ("wire", ["json"]),
    ],
)
def test_unusable_arguments(name: str, value: Any) -> None:
    """Each setting is checked when the client is made, and named."""
    with pytest.raises(ConfigurationError, match=name):
        GradientClient(**{"base_url": "http://service.test", name: value})


@pytest.mark.parametrize("seconds", ["5", 1e10, 0])
def test_unusable_waits(seconds: Any) -> None:
    """The time limit of waiting keeps the same rule."""
    client = closed(GradientClient("http://service.test", transport=Script([json_reply({})])))
    steps = client._calls.wait_until_ready(seconds)
    with pytest.raises(ConfigurationError, match="timeout"):
        next(steps)


@pytest.mark.parametrize("seconds", ["1", -1, 10**400, float("nan"), True])
@pytest.mark.parametrize("name", ["first_wait_seconds", "longest_wait_seconds"])
def test_unusable_waits_between_retries(name: str, seconds: Any) -> None:
    """A retry waits for a finite number of seconds."""
    with pytest.raises(ConfigurationError, match=name):
        Retry(**{name: seconds})


def test_the_longest_timeout(url: str) -> None:
    """It is one that connections take."""
    with GradientClient(url, timeout=LONGEST_TIMEOUT_SECONDS) as client:
        assert client.limits()


@pytest.mark.parametrize(
    "proxy", ["ftp://user:secret@host", "http://user:secret@host:port", "socks5://user:secret@host"]
)
@pytest.mark.parametrize("kind", ["sync", "asyncio", "trio"])
def test_unusable_proxies(kind: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment names as a proxy and is none is refused by a call, without repeating it."""
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv("HTTP_PROXY", proxy)

    def ask() -> None:
        with GradientClient("http://service.test") as client:
            client.limits()

    async def ask_async() -> None:
        async with AsyncGradientClient("http://service.test") as client:
            await client.limits()

    with pytest.raises(ConfigurationError, match="HTTP_PROXY") as caught:
        ask() if kind == "sync" else anyio.run(ask_async, backend=kind)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", CLIENTS)
def test_client_pickles_as_configuration(kind: Any) -> None:
    """A copy has the same settings and connections of its own."""
    client = closed(kind("http://service.test", api_key="key", timeout=3.0, retry=Retry(max_retries=1), wire="json"))
    twin = closed(pickle.loads(pickle.dumps(client)))  # noqa: S301 - our own object
    assert twin._settings == client._settings
    assert twin._own_transport is not client._own_transport


def test_key_is_hidden(caplog: pytest.LogCaptureFixture) -> None:
    """Neither reprs nor log lines hold the key."""
    caplog.set_level(logging.DEBUG)
    script = Script([json_reply({})])
    with GradientClient("http://service.test", api_key="top-secret", transport=script) as client:
        client.limits()
        shown = repr(client) + repr(client._settings) + repr(script.requests[0]) + caplog.text
    assert "limits done" in shown
    assert "top-secret" not in shown


def test_closed_client_says_so() -> None:
    """A call after close is a mistake in the program, and closing twice is none."""
    client = GradientClient("http://service.test")
    client.close()
    client.close()
    with pytest.raises(ConfigurationError, match="closed"):
        client.ready()
