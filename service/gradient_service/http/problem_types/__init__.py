"""The problem types: the one table from slug to status and to what its page says. `families` puts it together."""

from gradient_service.http.problem_types.families import FAMILIES, PROBLEM_TYPES, title_of
from gradient_service.http.problem_types.problem_type import ProblemType

__all__ = ["FAMILIES", "PROBLEM_TYPES", "ProblemType", "title_of"]
