"""The settings of a running service: one frozen value, read from `GRADIENT_…` variables and passed in, never global."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from gradient_service.machine import usable_cores, usable_memory_bytes

MIB = 1024 * 1024
LEAST_LIKENESS = 0.93
"""Of a misspelt name to the one that is meant, as `difflib` counts; names that Kubernetes sets are less like."""
KEY = re.compile(r"[\x21-\x7e]+")

# RFC 6454, 6.1, but for ports that go without saying: a browser leaves them out.
ORIGIN = re.compile(r"\*|(?!http:.*:80$|https:.*:443$)[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")

MOST_BYTES, MOST_PROCESSES = 2**48, 1024
PositiveInt = Annotated[int, Field(gt=0, le=MOST_BYTES)]


IN_FLIGHT_SHARE = 2
"""One part of so many of the memory is for calls under way; the rest is for the program and what is not foreseen."""


USUAL_BYTES = 1024 * MIB
"""Memory for calls that each of as many workers as usual has."""


def usual_workers() -> int:
    """Return how many processes serve where nobody says: one a core, as far as each has `USUAL_BYTES`."""
    return max(1, min(usable_cores(), usable_memory_bytes() // (IN_FLIGHT_SHARE * USUAL_BYTES), MOST_PROCESSES))


def _memory_share(workers: int) -> int:
    return max(1, min(usable_memory_bytes() // (IN_FLIGHT_SHARE * workers), MOST_BYTES))


def _core_share(workers: int) -> int:
    return max(1, min(usable_cores() // workers, MOST_PROCESSES))


def _split(text: object) -> object:
    return [part.strip() for part in text.split(",") if part.strip()] if isinstance(text, str) else text


class Settings(BaseSettings):
    """What an operator can choose; each field is read from its name in capitals after `GRADIENT_`."""

    model_config = SettingsConfigDict(
        env_prefix="GRADIENT_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    max_json_body_bytes: PositiveInt = 16 * MIB
    """Largest JSON request body; a larger one is 413."""

    max_binary_body_bytes: PositiveInt = 256 * MIB
    """Largest binary request body; a larger one is 413."""

    max_elements: PositiveInt = 64 * MIB
    """Largest N·K of one request."""

    max_reply_bytes: PositiveInt = 512 * MIB
    """Largest reply, estimated before anything is computed; JSON counts 25 bytes a number."""

    max_jacobian_elements: PositiveInt = 4 * MIB
    """Largest N·K² of one request that asks for the Jacobian or for the product made from it."""

    workers: Annotated[int, Field(ge=1, le=MOST_PROCESSES)] = 1
    """Processes that share the machine; the two defaults below are divided by it. The command line takes one a core, as
    far as each has a gibibyte for its calls, unless it is told how many."""

    max_in_flight_bytes: PositiveInt = Field(default_factory=lambda known: _memory_share(known["workers"]))
    """Memory that the calls under way in one process may take together, estimated from their bodies and replies; what
    does not fit is 503. By default half of what the process may use."""

    max_concurrency: Annotated[int, Field(ge=1, le=MOST_PROCESSES)] = Field(
        default_factory=lambda known: _core_share(known["workers"])
    )
    """Large calls that one process computes at once, each in a thread; 32 more wait for each, or as many as take two
    seconds, others are 503. By default as many as the process may use cores."""

    max_nesting: Annotated[int, Field(ge=3, le=64)] = 8
    """Deepest nesting of a JSON request body."""

    max_header_bytes: Annotated[int, Field(ge=1024, le=MIB)] = 32 * 1024
    """Most bytes of a request's header fields, 431 beyond, and of its target, 414 beyond."""

    max_header_fields: Annotated[int, Field(ge=10, le=10_000)] = 100
    """Most header fields of a request; more are 431."""

    host: str = ""
    """Address that the server listens on, which the command line sets. On a loopback address only loopback names are
    accepted as Host, so that a page of another site cannot reach the service through a name of its own."""

    api_keys: SecretStr = SecretStr("")
    """Keys that callers must carry, separated by commas, as `Authorization: Bearer`; none asks for none. Health, the
    pages and the OpenAPI document stay open."""

    @field_validator("api_keys")
    @classmethod
    def _check_keys(cls, keys: SecretStr) -> SecretStr:
        """Refuse a value without a key in it, which would leave the service open, and keys that no header can carry."""
        text = keys.get_secret_value()
        if text and not all(KEY.fullmatch(key.strip()) for key in text.split(",")):
            raise ValueError("each key is one or more visible ASCII characters, without blanks")
        return keys

    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    """Origins of the web pages whose scripts may call, separated by commas, such as `https://a.example`; `*` is any.
    None may by default."""

    @field_validator("cors_origins")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse what no browser sends, which would never be met."""
        if not all(ORIGIN.fullmatch(origin) for origin in origins):
            raise ValueError("each origin is scheme://name or scheme://name:port in small letters, without a path")
        return origins

    log_level: Literal["info", "warning", "error", "off"] = "info"
    """What is told on stderr: `info` each request, `warning` those that were refused for lack of room or time and those
    that failed, `error` only the latter."""

    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = 5
    """How long an unused connection is kept."""

    readiness_lead_seconds: Annotated[float, Field(ge=0, le=600)] = 2.0
    """On SIGTERM, how long `/readyz` says 503 while requests are still answered, before the listener closes. It should
    exceed the time in which a load balancer notices."""

    drain_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    """How long what is under way may take once the listener is closed; what remains then is cut off."""

    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """Threads that share the row blocks of one large request."""


def misspelt_settings(names: Iterable[str]) -> dict[str, str]:
    """Return the `GRADIENT_…` names that are nearly those of settings, each with the name that is meant."""
    known = [f"GRADIENT_{field.upper()}" for field in Settings.model_fields]
    found = {}
    for name in set(names).difference(known):
        meant = get_close_matches(name, known, n=1, cutoff=LEAST_LIKENESS)
        if name.startswith("GRADIENT_") and meant:
            found[name] = meant[0]
    return found
