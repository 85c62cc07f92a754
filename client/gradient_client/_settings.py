"""Where the service is and how to treat it: one frozen value that both clients carry."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from ._retry import DEFAULT_RETRY, Retry, is_number
from ._wire import WIRES, WireName
from .errors import ConfigurationError

URL_VARIABLE = "GRADIENT_SERVICE_URL"
KEY_VARIABLE = "GRADIENT_API_KEY"
LONGEST_TIMEOUT_SECONDS = (2**31 - 1) // 1000
"""A wait for a socket is counted in milliseconds of 32 bits; a longer one would be cut off, and could end at once."""
_ADDRESS_RULE = "base_url must look like 'http://host:port' or 'https://host'"


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """The checked configuration of a client."""

    base_url: str
    """Scheme, host, port and path prefix, without a trailing slash."""
    api_key: str | None = field(default=None, repr=False)
    """Sent as `Authorization: Bearer`; kept out of every repr and log line."""
    timeout: float | None = 10.0
    """Seconds for a whole call, or None."""
    retry: Retry = DEFAULT_RETRY
    """When to try again."""
    wire: WireName = "binary"
    """The format of bodies."""

    def __post_init__(self) -> None:
        check_timeout(self.timeout)
        if self.api_key is not None and not _is_key(self.api_key):
            raise ConfigurationError("api_key must consist of printable ASCII characters")
        # Callers without a type checker pass a number here.
        if not isinstance(self.retry, Retry):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("retry must be a Retry, such as Retry(max_retries=0)")
        if self.wire not in [*WIRES]:  # a list takes what cannot be hashed as well
            raise ConfigurationError("wire must be 'binary' or 'json'")

    @classmethod
    def resolve(
        cls, base_url: str | None, *, api_key: str | None, timeout: float | None, retry: Retry, wire: WireName
    ) -> Self:
        """The settings as given, the address and the key from the environment where they are not."""
        key = api_key or os.environ.get(KEY_VARIABLE) or None
        return cls(_resolve_base_url(base_url), api_key=key, timeout=timeout, retry=retry, wire=wire)


def _is_key(value: object) -> bool:
    # A key with a line break would let whoever wrote it add headers of their own.
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _resolve_base_url(base_url: str | None) -> str:
    """The service's address as given, else from the environment, checked and without a trailing slash.

    Args:
        base_url: the address, or None to read GRADIENT_SERVICE_URL.

    Returns:
        The address.

    Raises:
        ConfigurationError: neither is set, or it is no plain http or https address.
    """
    address = base_url or os.environ.get(URL_VARIABLE)
    if not address:
        raise ConfigurationError(
            f"no service address: pass base_url, such as 'http://localhost:8000', or set {URL_VARIABLE}"
        )
    try:
        parts = urlsplit(address)
        known = parts.scheme in {"http", "https"} and bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except (ValueError, AttributeError):  # a bad port, a bracket left open, a name that there cannot be; or no text
        raise ConfigurationError(_ADDRESS_RULE) from None
    if not known or not address.isprintable() or " " in address:
        raise ConfigurationError(_ADDRESS_RULE)
    if "@" in parts.netloc or "?" in address or "#" in address:
        raise ConfigurationError("base_url must hold no credentials, query or fragment; a key goes in api_key")
    return parts.geturl().rstrip("/")  # with its scheme in small letters


def check_timeout(seconds: float | None) -> None:
    """Refuse a time limit that is neither a positive number of seconds, within what a system can wait, nor None."""
    if seconds is not None and not (is_number(seconds) and 0 < seconds <= LONGEST_TIMEOUT_SECONDS):
        raise ConfigurationError(
            "timeout must be a positive number of seconds, a float or an integer, "
            f"{LONGEST_TIMEOUT_SECONDS} at most, or None for no limit"
        )
