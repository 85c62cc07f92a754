"""Requests by the thousand, each drawn from the seed and its number, put to the application and judged."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random

from fastapi import FastAPI

from gradient_service.app import create_app
from gradient_service.settings import Settings
from tests.fuzz.calls.asgi import ask
from tests.fuzz.calls.claims import claimed
from tests.fuzz.calls.messages import Message, written
from tests.fuzz.calls.mutations import spoiled
from tests.fuzz.calls.questions import draw
from tests.fuzz.calls.verdicts import judge

SPOILED_SHARE = 0.4
EXACT_SHARE = 1 / 1000


@dataclass
class Outcome:
    """What became of a run."""

    statuses: Counter[int] = field(default_factory=Counter)
    num_exact: int = 0
    """How many answers the slow reference judged as well."""
    findings: list[str] = field(default_factory=list)

    def __add__(self, other: Outcome) -> Outcome:
        """Return both runs as one."""
        return Outcome(self.statuses + other.statuses, self.num_exact + other.num_exact, self.findings + other.findings)


def message_of(seed: int, number: int) -> Message:
    """The request of this number."""
    random = Random(f"{seed}/{number}")
    message = written(random, claimed(random, draw(random)))
    return spoiled(random, message) if random.random() < SPOILED_SHARE else message


def application() -> FastAPI:
    """The application with the default settings, whatever the environment says."""
    return create_app(Settings.model_construct())


async def put(app: FastAPI, seed: int, number: int, outcome: Outcome) -> None:
    """Put one request and note what became of it."""
    message = message_of(seed, number)
    reply = await ask(app, message)
    outcome.statuses[reply.status] += 1
    has_numbers = reply.status == 200 and not message.path.startswith("/check")
    is_exact = has_numbers and Random(f"exact {seed}/{number}").random() < EXACT_SHARE
    outcome.num_exact += is_exact
    try:
        judge(message, reply, is_exact=is_exact)
    except Exception as error:  # noqa: BLE001  a judge that fails is a finding too
        outcome.findings.append(f"number {number}: {type(error).__name__}: {error}\n    {message}")


def run(seed: int, numbers: Iterable[int]) -> Outcome:
    """Put the requests of these numbers, one after the other."""
    outcome = Outcome()

    async def put_all() -> None:
        app = application()
        async with app.router.lifespan_context(app):
            for number in numbers:
                await put(app, seed, number, outcome)

    asyncio.run(put_all())
    return outcome
