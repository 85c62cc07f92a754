"""The factor that multiplies a row: weights, the reduction's denominator, the temperature.

Each part may lie anywhere in the range of float64, so their plain product can overflow or vanish although the result
is an ordinary number. The factor is therefore kept as m 2^e.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradient_service.core.blocks import Array

Multiplier = Array | float


@dataclass(frozen=True, slots=True)
class RowFactor:
    """f_n = m_n 2^(e_n), one a row or one for all."""

    mantissa: NDArray[np.float64]
    exponent: NDArray[np.int32]

    @classmethod
    def of(cls, value: Multiplier) -> "RowFactor":
        """Return the factor equal to a float64, (rows,) or one for all."""
        return cls(*np.frexp(np.asarray(value, dtype=np.float64)))

    def __getitem__(self, rows: slice) -> "RowFactor":
        """Return the factor of some rows."""
        return self if self.mantissa.ndim == 0 else RowFactor(self.mantissa[rows], self.exponent[rows])

    def times(self, multiplier: Multiplier) -> "RowFactor":
        """Return this factor times another number, (rows,) or one for all."""
        other = RowFactor.of(multiplier)
        return self._normalised(self.mantissa * other.mantissa, self.exponent + other.exponent)

    def over(self, divisor: float) -> "RowFactor":
        """Return this factor over a number; over 0 it is 0 (a mean over nothing)."""
        if divisor == 0:
            return RowFactor(self.mantissa * 0.0, self.exponent)
        other = RowFactor.of(divisor)
        return self._normalised(self.mantissa / other.mantissa, self.exponent - other.exponent)

    @staticmethod
    def _normalised(mantissa: Array, exponent: Array) -> "RowFactor":
        mantissa, shift = np.frexp(mantissa)
        return RowFactor(np.asarray(mantissa), np.asarray(exponent + shift))

    @property
    def is_one(self) -> bool:
        """Whether multiplying changes nothing."""
        return bool(np.all((self.mantissa == 0.5) & (self.exponent == 1)))  # noqa: PLR2004  frexp(1.0)

    @property
    def is_zero(self) -> Array:
        """Which rows have the factor 0."""
        return np.asarray(self.mantissa == 0)

    def scale(self, values: Array) -> Array:
        """Multiply (K, rows) or (rows,) in place and return them; a factor 0 gives exactly 0, never −0 or NaN."""
        if self.is_one:
            return values
        limit = np.finfo(values.dtype).maxexp - 4
        if np.abs(self.exponent).max(initial=0) < limit:
            values *= np.ldexp(self.mantissa, self.exponent).astype(values.dtype)
        else:
            values *= self.mantissa.astype(values.dtype)
            np.ldexp(values, self.exponent, out=values)
        np.copyto(values, 0.0, where=self.is_zero)
        return values
