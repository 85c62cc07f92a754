"""Configuration: where it comes from, what is refused, what is hidden, what travels."""

from __future__ import annotations

import logging
import pickle
from typing import Any

import pytest

from gradient_client import AsyncGradientClient, ConfigurationError, GradientClient, Retry
from gradient_client._settings import _resolve_base_url

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
    "arguments",
    [
        {"timeout": 0},
        {"timeout": -1.0},
        {"timeout": float("inf")},
        {"api_key": "a\r\nb"},
        {"retry": 2},
        {"wire": "xml"},
    ],
)
def test_unusable_arguments(arguments: dict[str, Any]) -> None:
    """Each setting is checked when the client is made."""
    with pytest.raises(ConfigurationError):
        GradientClient("http://service.test", **arguments)


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
