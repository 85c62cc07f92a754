"""What a caller claims to have computed, and how far a right claim may lie from the reference."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from gradient_service.core.blocks import Array
from gradient_service.core.checks import shown
from gradient_service.core.errors import Fault, InvalidInputError, raise_if_any
from gradient_service.core.inputs import Scores

CLAIMED = ("loss", "losses", "gradient", "probabilities")
"""The outputs that can be claimed."""
LARGEST_OF_FLOAT16 = 65504.0
EXPONENT_BITS = 0x7FF0000000000000
"""Of a float64; alone they are the power of two below it."""


@dataclass(frozen=True, slots=True)
class NumberType:
    """What matters of a floating-point type to whoever compares numbers of it."""

    name: str
    epsilon: float
    """Its spacing at 1."""
    smallest_normal: float
    smallest_subnormal: float
    computed_in: np.dtype[np.floating]
    """The type that sums and products of such numbers are made in: float32 for half precision."""

    @classmethod
    def of(cls, dtype: np.dtype[np.floating]) -> "NumberType":
        """Return what NumPy knows of a type."""
        info = np.finfo(dtype)
        return cls(
            name=dtype.name,
            epsilon=float(info.eps),
            smallest_normal=float(info.smallest_normal),
            smallest_subnormal=float(info.smallest_subnormal),
            computed_in=np.promote_types(dtype, np.float32),
        )

    @property
    def largest(self) -> float:
        """What an infinite number becomes where it must be finite."""
        return LARGEST_OF_FLOAT16 if self.name == "float16" else float(np.finfo(self.computed_in).max)

    @property
    def is_half(self) -> bool:
        """Whether it has two bytes."""
        return self.epsilon > float(np.finfo(np.float32).eps)

    def rounded(self, values: Array) -> Array:
        """Return float64 numbers rounded to the type, as float64."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            if self.name != BFLOAT16.name:
                return values.astype(self.name).astype(np.float64)
            bits = values.astype(np.float32).view(np.uint32)
            halves = (bits >> 16) & 1  # ties go to the even neighbour
            return ((bits + 0x7FFF + halves) & 0xFFFF0000).view(np.float32).astype(np.float64)

    @property
    def underflow(self) -> float:
        """How far below 0 the exponentials vanish that such numbers are computed with."""
        return -log(float(np.finfo(self.computed_in).smallest_subnormal))

    def spacing(self, sizes: Array) -> Array:
        """Return the distance of neighbours of the type at numbers ≥ 0 of float64."""
        powers = (sizes.view(np.int64) & EXPONENT_BITS).view(np.float64)  # `frexp` takes ten times as long
        return np.maximum(powers * self.epsilon, self.smallest_subnormal)


FLOAT16 = NumberType.of(np.dtype(np.float16))
FLOAT32 = NumberType.of(np.dtype(np.float32))
BFLOAT16 = NumberType("bfloat16", 2.0**-7, 2.0**-126, 2.0**-133, np.dtype(np.float32))


@dataclass(frozen=True, slots=True)
class Claim:
    """One output as the caller has it."""

    name: str
    values: Array
    """(), (N,) or (N, K), float64; NaN and infinities are possible."""
    type: NumberType
    """The type that the numbers had."""

    @property
    def is_constant(self) -> bool:
        """Whether all of several elements are equal."""
        values = self.values
        return values.size > 1 and bool((values == values.flat[0]).all())


@dataclass(frozen=True, slots=True)
class Tolerance:
    """|claimed − reference| ≤ atol + rtol · size; what is None is as the claimed type suggests."""

    rtol: float | None = None
    atol: float | None = None

    def relative(self, of: NumberType, spread: Array, num_classes: int, num_summed: int = 0) -> Array:
        """Return rtol: by default ε (16 + 2g + 4√K) of each row, for the reduced loss + ε√N, for half types a rounding.

        Args:
            of: the claimed type.
            spread: g, (rows,): the largest distance of a logit from the largest whose exponential does not underflow.
            num_classes: K.
            num_summed: N, for the reduced loss.
        """
        if self.rtol is not None:
            return np.full(spread.shape, self.rtol)
        epsilon = float(np.finfo(of.computed_in).eps)
        relative = epsilon * (16 + 2 * spread + 4 * sqrt(num_classes) + sqrt(num_summed))
        return relative + of.epsilon / 2 if of.is_half else relative

    def absolute(self, of: NumberType) -> float:
        """Return atol: by default the smallest normal number of the claimed type."""
        return of.smallest_normal if self.atol is None else self.atol


def check_claims(scores: Scores, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `missing-field` without a claimed output, `length-mismatch` unless each has the shape that it must have."""
    if not shapes:
        raise InvalidInputError([Fault("missing-field", "claimed", (), f"One of {', '.join(CLAIMED)} is required.")])
    rows, num_classes = scores.logits.shape
    vectors = {"loss": (1,), "losses": (rows,)}
    raise_if_any(
        Fault(
            "length-mismatch",
            "claimed",
            (name,),
            f"claimed.{name} has shape {shown(shape)}; logits {shown(scores.logits.shape)} need {shown(expected)}.",
        )
        for name, shape in shapes.items()
        if shape != (expected := vectors.get(name, (rows, num_classes)))
    )


def tolerance_faults(tolerance: Tolerance) -> Iterator[Fault]:
    """Yield `out-of-range` for what is no finite number from 0 up."""
    for name, value in (("rtol", tolerance.rtol), ("atol", tolerance.atol)):
        if value is not None and not 0 <= value < np.inf:
            yield Fault("out-of-range", name, (), f"{name} must be a finite number ≥ 0.")
