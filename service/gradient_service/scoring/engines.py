"""Who calls the function of a block: this process, one block after the other, or the workers of a Ray cluster.

Both call the same function, so that rows, files and sums are the same to the last bit.
"""

from typing import Any

from gradient_service.scoring.errors import ScoringError
from gradient_service.scoring.run import Engine

LOCAL = "in-process"
ENGINES = (LOCAL, "ray")


def engine_of(name: str) -> Engine[Any]:
    """Return an engine by its name.

    Raises:
        ScoringError: what it is made of is not installed.
    """
    if name == LOCAL:
        return map
    try:
        from gradient_service.scoring.ray_engine import on_ray  # noqa: PLC0415  an extra
    except ModuleNotFoundError:
        raise ScoringError("The engine ray needs Ray: install the extra 'ray'.") from None
    return on_ray
