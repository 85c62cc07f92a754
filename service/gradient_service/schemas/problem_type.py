"""What programs read of problem types: an index, and an account of each."""

from pydantic import RootModel

from gradient_service.schemas.fields import Absent, Body, Count
from gradient_service.schemas.problem import Problem, Slug


class ProblemTypesReply(RootModel[dict[Slug, str]]):
    """The path of each problem type's account, by its slug."""


class ProblemExample(Body):
    """A request that is answered with this problem."""

    settings: dict[str, str] | Absent = None
    """Of the service that was asked, where it has not the default ones."""
    note: str | Absent = None
    """What else was the case."""
    request: list[str]
    """Its head, by lines."""
    body: str
    """One character a byte."""
    reply: list[str]
    """The header fields that matter."""
    problem: Problem


class ProblemTypeReply(Body):
    """What a problem means, and how to mend it; texts have code between backticks."""

    type: str
    """As in the problems themselves."""
    title: str
    status: int
    meaning: str
    """What happened."""
    why: str
    """The rule that was broken."""
    mend: str
    """What to do."""
    limits: dict[str, Count]
    """Those that the rule is about, by name, as this service has them."""
    example: ProblemExample
