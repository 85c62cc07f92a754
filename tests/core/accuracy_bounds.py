"""The accuracy contract as numbers, and the errors of one question's answers against it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gradient_service.core.errors import InvalidInputError
from tests.core.accuracy_cases import CURVATURES, Case
from tests.core.calls import SIGMOID, Array, evaluated, softmax_of
from tests.reference.exact import Exact, NoAnswerError, Output, evaluate, product_of_factors
from tests.reference.families import JACOBIAN_CLASSES
from tests.reference.ulp import is_lost, round_array, surviving_gap

FROM_SCORES = ("probabilities", "log_probabilities", "entropy", "log_normalizer")
LOSSES = ("losses", "loss")
DERIVATIVES = ("gradient", "loss_wrt_probabilities", "gradient_diagonal_only")
PRODUCT = "gradient_by_chain_rule"
SINGLE, PRODUCT_ULP = 0.501, 16.0
DOUBLE = {"jacobian": 8.0, "hessian_diagonal": 8.0}
OF_SCORES = ("class_mask", "element_mask", "temperature")
FAST = 12.0
LEFT_BY_ROUNDING = 2.0**-49
"""How much of cancelling terms may remain, at the most, in float64."""


@dataclass(frozen=True)
class Excess:
    """One output that broke its bound."""

    output: str
    error: float
    bound: float

    def __str__(self) -> str:
        return f"{self.output}: {self.error:.4g} ulp, bound {self.bound:.4g}"


class Measurement:
    """The answers of one question held against the reference."""

    def __init__(self, case: Case, precision: str) -> None:
        self.case, self.precision = case, precision
        self.options = {**case.options, "precision": precision}
        self.dtype = case.logits.dtype
        self.worst: dict[str, float] = {}
        self.excesses: list[Excess] = []

    def run(self) -> Measurement:
        """Ask, compare and remember the largest error of each output."""
        names = self._names()
        try:
            exact = _exact(self.case, names)
        except NoAnswerError as refusal:
            self._expect_refusal([names[0]], refusal.slug)
            return self
        present = [name for name in names if name in exact.outputs]  # `loss` is absent without a reduction
        self._compare({name: exact[name] for name in present})
        return self

    def _names(self) -> tuple[str, ...]:
        names: tuple[str, ...] = (*LOSSES, *DERIVATIVES, "probabilities")
        if CURVATURES[self.case.objective]:
            names = (*names, "hessian_diagonal")
        return (*names, "jacobian") if self.case.logits.shape[1] <= JACOBIAN_CLASSES else names

    def _compare(self, exact: dict[str, Output]) -> None:
        judged = {name: output for name, output in exact.items() if not _is_undecided(output, self.dtype)}
        for name in set(exact) - set(judged):
            self._expect_finite_or_refused(name)
        in_range = [name for name, output in judged.items() if _is_finite(output, self.dtype)]
        found = self._answers(in_range)
        for name in set(judged) - set(in_range):
            self._expect_refusal([name], "number-out-of-range")
        for name in in_range:
            self.hold(name, found[name], exact[name], self.bound(name))
        if "jacobian" in in_range and "loss_wrt_probabilities" in judged:
            self._multiply_out(found)

    def _answers(self, names: list[str]) -> dict[str, Any]:
        evaluation = evaluated(self.case.logits, names, **self.options)
        return {**evaluation.arrays, "loss": evaluation.loss}

    def _multiply_out(self, found: dict[str, Any]) -> None:
        """Hold the product against the factors as reported; it is refused with the factor it is made from."""
        factors = found.get("loss_wrt_probabilities")
        if factors is None:
            self._expect_refusal([PRODUCT], "number-out-of-range")
            return
        temperature = self.options.get("temperature", 1.0)
        product = product_of_factors(factors, found["jacobian"], temperature=temperature)
        if _is_finite(product, self.dtype):
            self.hold(PRODUCT, self._answers([PRODUCT])[PRODUCT], product, PRODUCT_ULP)
        else:
            self._expect_refusal([PRODUCT], "number-out-of-range")

    def _expect_finite_or_refused(self, name: str) -> None:
        try:
            found = self._answers([name])[name]
        except InvalidInputError as error:
            if error.faults[0].code != "number-out-of-range":
                self.excesses.append(Excess(f"{name} refused as {error.faults[0].code}", np.inf, 0))
            return
        if not np.isfinite(found).all():
            self.excesses.append(Excess(f"{name} not finite", np.inf, 0))

    def _expect_refusal(self, names: list[str], slug: str) -> None:
        try:
            evaluated(self.case.logits, names, **self.options)
        except InvalidInputError as error:
            if error.faults[0].code != slug:
                self.excesses.append(Excess(f"{names[0]} refused as {error.faults[0].code}, not {slug}", np.inf, 0))
            return
        self.excesses.append(Excess(f"{names[0]} answered, {slug} expected", np.inf, 0))

    def hold(self, name: str, found: Any, exact: Output, bound: Any) -> None:
        """Compare one output with its bound, a number or one a row."""
        value = Output(np.asarray(exact.value, dtype=object), exact.size, exact.floor)
        errors = value.ulp_error(found, self.dtype)
        limit = np.broadcast_to(
            np.reshape(bound, (-1,) + (1,) * (errors.ndim - 1)) if errors.ndim else np.max(bound), errors.shape
        )
        self.worst[name] = max(self.worst.get(name, 0.0), float(np.max(errors, initial=0.0)))
        over = errors > limit
        if over.any():
            place = np.unravel_index(np.argmax(np.where(over, errors - limit, -1.0)), errors.shape)
            self.excesses.append(Excess(f"{name}{[int(i) for i in place]}", errors[place], limit[place]))
        elif exact.size is None and np.any(is_lost(found, value.value, self.dtype, exact.floor)):
            self.excesses.append(Excess(f"{name} lost", np.inf, 0))

    def bound(self, name: str) -> Any:
        """Ulps that the contract allows an output, one number or one a row."""
        if self.precision == "fast":
            return FAST + self._gap()
        if self.dtype == np.float32:
            return SINGLE
        return DOUBLE.get(name, 5.0) + self._multipliers(name)

    def _multipliers(self, name: str) -> int:
        """How many multiplying options bear on an output."""
        given = self.options
        count = int(given.get("temperature", 1.0) != 1)
        if name in FROM_SCORES or name == "jacobian":
            return count
        count += (given.get("class_weights") is not None) + (given.get("sample_weights") is not None)
        if name != "losses":
            count += given.get("reduction", "mean") == "mean"
        return count + (given.get("upstream") is not None and name not in LOSSES)

    def _gap(self) -> Array:
        """The g of the contract for each row, doubled with a temperature; a sigmoid's is its gap to 0."""
        temperature = self.options.get("temperature", 1.0)
        logits = self.case.logits.astype(np.float64)
        for mask in ("class_mask", "element_mask"):
            if self.options.get(mask) is not None:
                logits = np.where(self.options[mask], logits, -np.inf)
        with np.errstate(invalid="ignore"):  # a logit whose quotient overflows has no gap to itself
            gaps = self._gaps(logits, temperature)
        return np.asarray(gaps * (2 if temperature != 1 else 1))

    def _gaps(self, logits: Array, temperature: float) -> Array:
        if self.case.objective == SIGMOID:
            alone = np.where(np.isfinite(logits), -np.abs(logits), 0.0)
            pairs = np.stack([alone.ravel(), np.zeros(alone.size)], axis=1)
            gaps = surviving_gap(pairs, self.dtype, temperature=temperature)
            return np.asarray(gaps.reshape(logits.shape).max(axis=1))
        return np.asarray(surviving_gap(logits, self.dtype, temperature=temperature))


class ScoresMeasurement(Measurement):
    """The outputs of the scores alone, whatever they are compared with."""

    def run(self) -> Measurement:
        """Ask, compare and remember the largest error of each output."""
        options = {name: self.options[name] for name in OF_SCORES if name in self.options}
        exact = _exact(self.case, FROM_SCORES)
        in_range = [name for name in FROM_SCORES if _is_finite(exact[name], self.dtype)]
        found = softmax_of(self.case.logits, in_range, precision=self.precision, **options)
        for name in in_range:
            self.hold(name, found[name], exact[name], self.bound(name))
        return self


@lru_cache(maxsize=2)
def _exact(case: Case, names: tuple[str, ...]) -> Exact:
    """Answer a question of which only the precision may differ from the last; that takes most of the time."""
    if names == FROM_SCORES:
        options = {name: case.options[name] for name in OF_SCORES if name in case.options}
    else:
        options = {name: value for name, value in case.options.items() if name != "targets_sum"}
    return evaluate(case.logits, include=names, **options)


def _is_undecided(output: Output, dtype: Any) -> bool:
    """Whether terms leave the range and all but cancel, so that what float64 leaves of them may leave it as well."""
    if output.size is None:
        return False
    sizes = np.broadcast_to(output.size, np.shape(output.value))
    is_small = np.abs(output.value) < sizes * LEFT_BY_ROUNDING
    return bool((~np.isfinite(round_array(sizes, dtype)) & is_small).any())


def _is_finite(output: Output, dtype: Any) -> bool:
    """Whether no value leaves the range; the −∞ of a masked class's log-probability is none that does."""
    rounded = round_array(output.value, dtype)
    exact = np.asarray(output.value, dtype=object)
    infinite = np.reshape([value == -np.inf for value in exact.ravel()], exact.shape)
    return bool((np.isfinite(rounded) | infinite).all())
