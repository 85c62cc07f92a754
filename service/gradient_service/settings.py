"""The settings of a running service: one frozen value, read from `GRADIENT_…` variables and passed in, never global."""

import re
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024
KEY = re.compile(r"[\x21-\x7e]+")

PositiveInt = Annotated[int, Field(gt=0, le=2**48)]


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

    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = 5
    """How long an unused connection is kept."""

    readiness_lead_seconds: Annotated[float, Field(ge=0, le=600)] = 2.0
    """On SIGTERM, how long `/readyz` says 503 while requests are still answered, before the listener closes. It should
    exceed the time in which a load balancer notices."""

    drain_seconds: Annotated[int, Field(ge=1, le=3600)] = 30
    """How long what is under way may take once the listener is closed; what remains then is cut off."""

    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """Threads that share the row blocks of one large request."""
