"""The explorable page as a person meets it: what it shows, and whether the service says the same."""

from __future__ import annotations

import json
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import httpx
from playwright.sync_api import Locator, Page

SETTLED = "() => document.querySelector('main').ariaBusy === 'false'"


def settle(page: Page) -> None:
    """Wait until every view has its numbers, or says why not."""
    page.wait_for_function(SETTLED)


def open_page(page: Page, origin: str, query: str = "") -> None:
    """Load the page and wait until every view has its numbers."""
    page.goto(f"{origin}/explore{query}")
    settle(page)


def asked_for(page: Page, view: str, path: str, index: int = 0) -> dict[str, Any]:
    """The request that a view shows for a path."""
    text = calls(page, view, path).nth(index).locator("[data-text=request]").text_content()
    request: dict[str, Any] = json.loads(text or "")
    return request


def calls(page: Page, view: str, path: str) -> Locator:
    """The calls of a view to one path."""
    return page.locator(f"#{view} .call", has=page.locator("summary code", has_text=f"POST /{path}"))


def answer(origin: str, path: str, request: dict[str, Any]) -> dict[str, Any]:
    """The reply of the service to somebody else who asks the same."""
    reply = httpx.post(f"{origin}/{path}", json=request)
    assert reply.status_code == 200
    document: dict[str, Any] = reply.json()
    return document


def texts(cells: Locator) -> list[str]:
    """The texts of cells, in order."""
    return [text.strip() for text in cells.all_text_contents()]


def agrees(text: str, value: float) -> bool:
    """Whether a shown number is the given one, rounded where its digits end."""
    shown = Decimal(text.replace("\u2212", "-"))
    return Decimal(value).quantize(shown, rounding=ROUND_HALF_UP) == shown


def disagreements(shown: list[str], values: list[float]) -> list[tuple[str, float]]:
    """The shown numbers that are not the given ones to their last digit."""
    return [(text, value) for text, value in zip(shown, values, strict=True) if not agrees(text, value)]
