"""Rows so long that a pass over one takes its time: NumPy goes through them in pieces, with a checkpoint before each.

The formulas need not know. NumPy hands what is done with an array of a class of its own to that class, and what comes
of it is of the class again. A function of each element by itself gives the same bits in pieces as at once.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from math import prod
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import DTypeLike

from gradient_service.core.blocks import Array
from gradient_service.core.inputs import Scores, Supervision

LONG_ROW = 128 * 1024
"""Rows of more numbers are long, those of their Jacobians among them."""
PIECE = 64 * 1024

Inputs = TypeVar("Inputs", Scores, Supervision)


def with_checkpoints(inputs: Inputs, checkpoint: Callable[[], None]) -> Inputs:
    """Return the same inputs, with checkpoints in all that is done with their arrays where rows are long."""
    values = {field.name: getattr(inputs, field.name) for field in fields(inputs)}
    arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
    changes: dict[str, Any] = {name: LongArray.of(array, checkpoint) for name, array in arrays.items()}
    return replace(inputs, **changes)


class LongArray(np.ndarray[Any, Any]):
    """An array with a checkpoint before all that is done with it, and before each piece of a function of its elements.

    Sums, copies of a choice of elements and the like are one pass, as over any array.
    """

    checkpoint: Callable[[], None]
    """What it raises ends the work."""

    @classmethod
    def of(cls, array: Array, checkpoint: Callable[[], None]) -> "LongArray":
        """Return a view of an array."""
        view = array.view(cls)
        view.checkpoint = checkpoint
        return view

    def __array_finalize__(self, source: Any) -> None:
        if isinstance(source, LongArray):
            self.checkpoint = source.checkpoint

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        given = options.pop("out", ())
        operands, outputs = tuple(map(_plain, inputs)), tuple(map(_plain, given))
        options = {name: _plain(value) for name, value in options.items()}
        if method == "__call__" and ufunc.signature is None:
            found = self._in_pieces(ufunc, operands, outputs, options)
        else:
            self.checkpoint()
            found = getattr(ufunc, method)(*operands, **({"out": outputs} if given else {}), **options)
        return given[0] if len(given) == 1 else given or self._again(found)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        self.checkpoint()
        return self._again(super().__array_function__(function, types, arguments, options))

    def __getitem__(self, place: Any) -> Any:
        self.checkpoint()
        return super().__getitem__(place)

    def __setitem__(self, place: Any, values: Any) -> None:
        if not isinstance(place, slice):
            self.checkpoint()
            super().__setitem__(place, values)
            return
        target, values = _plain(self)[place], _plain(values)
        for cut in self._cuts(target.shape):
            np.copyto(cut(target), cut(values), casting="unsafe")

    def argmax(self, *arguments: Any, **options: Any) -> Any:
        """Return where the largest element is."""
        self.checkpoint()
        return super().argmax(*arguments, **options)

    def astype(self, dtype: DTypeLike, order: Literal["K", "C"] = "K") -> Any:  # type: ignore[override]  # no more is used
        """Return a copy in another dtype."""
        copy = np.empty_like(_plain(self), dtype, order)
        for cut in self._cuts(self.shape):
            np.copyto(cut(copy), cut(_plain(self)), casting="unsafe")
        return self._again(copy)

    def _in_pieces(
        self, ufunc: np.ufunc, inputs: tuple[Any, ...], outputs: tuple[Array, ...], options: dict[str, Any]
    ) -> Array | tuple[Array, ...]:
        """Apply a function to each element."""
        shape = np.broadcast_shapes(*(value.shape for value in (*inputs, *outputs) if isinstance(value, np.ndarray)))
        where = options.pop("where", True)
        if not outputs:
            of_nothing = ufunc(*map(partial(_cut, _longest_axis(shape), slice(0)), inputs), **options)
            outputs = tuple(np.empty(shape, each.dtype) for each in (of_nothing if ufunc.nout > 1 else [of_nothing]))
        for cut in self._cuts(shape):
            ufunc(*map(cut, inputs), out=tuple(map(cut, outputs)), where=cut(where), **options)
        return outputs if len(outputs) > 1 else outputs[0]

    def _cuts(self, shape: tuple[int, ...]) -> Iterator[Callable[[Any], Any]]:
        """Yield what takes one piece after the other out of arrays that broadcast to a shape."""
        axis = _longest_axis(shape)
        behind = prod(shape[axis:][1:])
        step = max(1, PIECE // max(1, behind))
        for start in range(0, shape[axis] if shape else 1, step):
            self.checkpoint()
            yield partial(_cut, axis, slice(start, start + step))

    def _again(self, found: Any) -> Any:
        """Return the arrays among results with this one's checkpoint."""
        if isinstance(found, tuple):
            return tuple(map(self._again, found))
        return LongArray.of(found, self.checkpoint) if type(found) is np.ndarray else found


def _plain(value: Any) -> Any:
    """Return an array as NumPy's own, and anything else as it is."""
    return value.view(np.ndarray) if isinstance(value, LongArray) else value


def _longest_axis(shape: tuple[int, ...]) -> int:
    """Return an axis, counted from the last."""
    return max(range(-len(shape), 0), key=shape.__getitem__, default=-1)


def _cut(axis: int, part: slice, value: Any) -> Any:
    """Return a part of what lies along an axis, counted from the last; the whole of what does not."""
    if not isinstance(value, np.ndarray) or value.ndim < -axis or value.shape[axis] == 1:
        return value
    place: Any = (..., part, *[slice(None)] * (-axis - 1))
    return value[place]
