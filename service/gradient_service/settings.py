"""The settings of a running service: one frozen value, read from `GRADIENT_…` variables and passed in, never global."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024

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

    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    """Threads that share the row blocks of one large request."""
