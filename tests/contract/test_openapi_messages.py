"""What the OpenAPI document says of messages beside their bodies, held against what the service does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from gradient_service.app import create_app
from gradient_service.settings import Settings

from .openapi_document import documented, operations

pytestmark = pytest.mark.anyio

DOCUMENT = documented()
OPERATIONS = {(method, path): operation for method, path, operation in operations(DOCUMENT)}
NAMES = {"model": "softmax", "version": "1"}
GUARDED = Settings.model_construct(api_keys=SecretStr("a-key"))


async def answer(settings: Settings, method: str, path: str, **options: Any) -> httpx.Response:
    """The reply of an application with some settings."""
    transport = httpx.ASGITransport(create_app(settings), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://service.test") as client:
        return await client.request(method, path.format(**NAMES), **options)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_what_needs_a_key_says_so(method: str, path: str) -> None:
    """A path that is 401 without a key lists that and asks for one by the document's rule; any other asks for none."""
    operation = OPERATIONS[method, path]
    is_guarded = (await answer(GUARDED, method, path)).status_code == 401
    assert ("401" in operation["responses"]) == is_guarded
    assert operation.get("security", DOCUMENT["security"]) == ([{}, {"key": []}] if is_guarded else [])
