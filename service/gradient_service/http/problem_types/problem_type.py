"""What is known of each problem type beside its name and its meaning."""

from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A status, and the words of a page; names of code stand between backticks in these."""

    status: HTTPStatus
    why: str
    """The rule, and what it is good for."""
    mend: str
    """What a caller can do."""
    limits: tuple[str, ...] = ()
    """The limits that it is about, by the names that `/limits` has."""
