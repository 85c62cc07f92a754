"""Numbers as m 2^e, whose range does not end: for products whose parts leave the range of float64 where they do not.

The factor of a row is one such (weights over a denominator over a temperature), ∂E/∂p = −c/p another: 1/p overflows
where a small c brings the quotient back.
"""

from collections.abc import Sequence
from typing import Union

import numpy as np

from gradient_service.core.blocks import WIDE, Array, Rows
from gradient_service.core.error_free import two_product
from gradient_service.core.records import record

RANGE = {4: 120, 8: 1016, 12: 16376, 16: 16376}
"""By bytes of the dtype: powers of two within it, and their reciprocals, are ordinary numbers."""
FAR = {4: 80.0, 8: 700.0, 12: 11000.0, 16: 11000.0}
"""By bytes of the dtype: beyond it, exp(x) leaves the range soon, and exp(−x) the ordinary numbers."""

Number = Union[Array, float, "Scaled"]


@record()
class Scaled:
    """m 2^e with 1/2 ≤ |m| < 1 or m = 0, (K, rows), (rows,) or one number."""

    mantissa: Array
    exponent: Array

    @classmethod
    def of(cls, value: Number) -> "Scaled":
        """Return a float, an array or a scaled number as a scaled number."""
        if isinstance(value, Scaled):
            return value
        return ONE if _is_one(value) else cls(*np.frexp(np.asanyarray(value)))

    @classmethod
    def zeros(cls, length: int) -> "Scaled":
        """Return zeros to be filled in, (length,)."""
        return cls(np.zeros(length), np.zeros(length, np.int32))

    @classmethod
    def exponential(cls, power: Array, remainder: Array | None) -> "Scaled":
        """Return exp(power + remainder) for powers ≥ 0 and remainders of a rounding error's size."""
        far = FAR[power.dtype.itemsize]
        values = np.exp(np.minimum(power, far))
        if remainder is not None:
            values += values * remainder
        numbers = cls.of(values)
        is_far = power > far
        if is_far.any():
            left_out = 0.0 if remainder is None else remainder[is_far]
            numbers[is_far] = cls.of(np.exp(power[is_far].astype(WIDE) + left_out)).rounded()
        return numbers

    @classmethod
    def concatenated(cls, parts: Sequence["Scaled"]) -> "Scaled":
        """Return numbers one after the other."""
        return cls(np.concatenate([part.mantissa for part in parts]), np.concatenate([part.exponent for part in parts]))

    def repeated(self, length: int) -> "Scaled":
        """Return one number as so many, (length,); those that are as many already as they are."""
        return Scaled(np.broadcast_to(self.mantissa, length), np.broadcast_to(self.exponent, length))

    def __getitem__(self, rows: Rows) -> "Scaled":
        """Return the numbers of some rows."""
        return self if self.mantissa.ndim == 0 else Scaled(self.mantissa[rows], self.exponent[rows])

    def __setitem__(self, rows: Rows | Array, numbers: "Scaled") -> None:
        """Replace the numbers of some rows."""
        self.mantissa[rows], self.exponent[rows] = numbers.mantissa, numbers.exponent

    def shifted(self, bits: Array) -> "Scaled":
        """Return the product with a power of two."""
        return Scaled(self.mantissa, self.exponent + bits)

    def times(self, value: Number) -> "Scaled":
        """Return the product; 0 where either is 0, even if the other is infinite."""
        if _is_one(value):
            return self
        other = Scaled.of(value)
        if self.is_one:
            dtype = np.result_type(self.mantissa, other.mantissa)  # as that of any other product
            return other if dtype == other.mantissa.dtype else Scaled(other.mantissa.astype(dtype), other.exponent)
        mantissa, shift = np.frexp(self.mantissa * other.mantissa)
        is_zero = (self.mantissa == 0) | (other.mantissa == 0)
        return Scaled(np.where(is_zero, 0, mantissa), self.exponent + other.exponent + shift)

    def times_exactly(self, value: Number) -> tuple["Scaled", "Scaled"]:
        """Return the product of float64 numbers in two parts that add up to it."""
        other = Scaled.of(value)
        product, error = two_product(self.mantissa, other.mantissa)
        exponent = self.exponent + other.exponent
        (high, shift), (low, low_shift) = np.frexp(product), np.frexp(error)
        return Scaled(high, exponent + shift), Scaled(low, exponent + low_shift)

    def minus(self, other: "Scaled") -> Array:
        """Return the difference, in a dtype where neither part overflows that brings the other back."""
        left, right = (np.ldexp(number.mantissa.astype(WIDE), number.exponent) for number in (self, other))
        return np.asanyarray(left - right)

    def over_each(self, divisors: Array) -> "Scaled":
        """Return the quotients by ordinary numbers, (rows,), none of them 0."""
        mantissa, shift = np.frexp(self.mantissa / divisors)
        return Scaled(mantissa, self.exponent + shift)

    def over(self, divisor: Union[float, "Scaled"]) -> "Scaled":
        """Return the quotient by one number; over 0 it is 0 (a mean over nothing)."""
        other = Scaled.of(divisor)
        if other.is_one:
            return self
        if other.mantissa == 0:
            return self.times(0.0)
        mantissa, shift = np.frexp(self.mantissa / other.mantissa)
        return Scaled(mantissa, self.exponent - other.exponent + shift)

    @property
    def is_one(self) -> bool:
        """Whether this is one number, and it is 1 = 0.5 · 2."""
        return self is ONE or (self.mantissa.ndim == 0 and bool(self.exponent == 1 and self.mantissa == 0.5))  # noqa: PLR2004  as above

    def rounded(self) -> "Scaled":
        """Return the numbers with mantissas of float64."""
        if self.mantissa.dtype.itemsize <= np.dtype(np.float64).itemsize:
            return self
        mantissa, shift = np.frexp(self.mantissa.astype(np.float64))
        return Scaled(mantissa, self.exponent + shift)

    @property
    def value(self) -> Array:
        """The numbers themselves, rounded once more only where they are subnormal."""
        with np.errstate(over="ignore", under="ignore"):
            return np.asanyarray(np.ldexp(self.mantissa, self.exponent))

    def scale(self, values: Array, out: Array | None = None) -> Array:
        """Multiply (K, rows) or (rows,) in place, or into `out`, and return the product, as `scaled` does."""
        return self.scaled(values, values if out is None else out)

    def scaled(self, values: Array, out: Array | None = None) -> Array:
        """Return the product with (K, rows) or (rows,), in `out` or a new array; a factor 0 gives +0, never NaN."""
        if not self.is_one:
            return self._scaled(values, out)
        if out is None:
            return values.copy(order="K")
        if out is not values:
            np.copyto(out, values)
        return out

    def _scaled(self, values: Array, out: Array | None) -> Array:
        limit = min(RANGE[values.dtype.itemsize], RANGE[self.mantissa.dtype.itemsize])
        if _largest(self.exponent) < limit:
            products = np.multiply(values, np.ldexp(self.mantissa, self.exponent).astype(values.dtype), out=out)
        else:  # a subnormal product is rounded twice then: where a row's own factor is far, and not for its neighbours'
            late = np.where(np.abs(self.exponent) < limit, 0, self.exponent)
            factor = np.ldexp(self.mantissa, self.exponent - late).astype(values.dtype)
            products = np.ldexp(values * factor, late, out=out)
        if (self.mantissa if self.mantissa.ndim == 0 else self.mantissa.min(initial=1.0)) <= 0:
            np.copyto(products, 0.0, where=self.mantissa == 0)
            np.add(products, 0.0, out=products, where=self.mantissa < 0)  # a negative factor makes no −0
        return products


ONE = Scaled(*np.frexp(np.asanyarray(1.0)))
"""The factor of most calls, whose arrays nobody changes."""


def _largest(exponent: Array) -> int:
    """Return the largest exponent or its negative; one number is looked at without NumPy, whose calls take longer."""
    return abs(int(exponent)) if exponent.ndim == 0 else int(np.abs(exponent).max(initial=0))


def _is_one(value: Number) -> bool:
    return isinstance(value, float) and value == 1
