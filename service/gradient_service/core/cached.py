"""Properties that are computed once."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class cached(Generic[T]):  # noqa: N801  a decorator, as `property` is
    """A property that is computed when it is first asked for, and kept.

    `functools.cached_property` of Python 3.11 has one lock for all instances, so that long computations of calls that
    have nothing in common would wait for each other. Threads that ask the same instance at once may compute it twice.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "cached[T]": ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object | None, owner: type) -> "cached[T] | T":
        """Return the value; the next time it is found where an instance has its attributes."""
        if instance is None:
            return self
        value = vars(instance)[self._compute.__name__] = self._compute(instance)
        return value
