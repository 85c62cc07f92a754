"""All problem types, in the order in which a request is looked at."""

from collections.abc import Mapping

from gradient_service.http.problem_types.of_bodies import OF_BODIES
from gradient_service.http.problem_types.of_fields import OF_FIELDS
from gradient_service.http.problem_types.of_messages import OF_MESSAGES
from gradient_service.http.problem_types.of_the_service import OF_THE_SERVICE
from gradient_service.http.problem_types.of_values import OF_VALUES
from gradient_service.http.problem_types.problem_type import ProblemType
from gradient_service.schemas.problem import Slug

FAMILIES: dict[str, Mapping[Slug, ProblemType]] = {
    "The message": OF_MESSAGES,
    "The bytes of the body": OF_BODIES,
    "Fields and shapes": OF_FIELDS,
    "Values and results": OF_VALUES,
    "The service": OF_THE_SERVICE,
}
PROBLEM_TYPES: dict[Slug, ProblemType] = {
    slug: problem_type for family in FAMILIES.values() for slug, problem_type in family.items()
}
ABBREVIATIONS = {"http": "HTTP", "json": "JSON", "uri": "URI"}


def title_of(slug: Slug) -> str:
    """Return the name of a problem type for people."""
    first, *rest = (ABBREVIATIONS.get(word, word) for word in slug.split("-"))
    return " ".join([first if first.isupper() else first.capitalize(), *rest])
