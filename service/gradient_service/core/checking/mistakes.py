"""The tables of mistakes that recipes can have in them, and of the ways in which each is made."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log

from gradient_service.core.checking import ways
from gradient_service.core.checking.codes import DiagnosisCode as Code
from gradient_service.core.checking.recipes import Recipe

Ways = Callable[[Recipe], Iterator[Recipe]]
Factors = Callable[[Recipe], Iterator[float]]


@dataclass(frozen=True, slots=True)
class Step:
    """A mistake within a row."""

    code: Code
    ways: Ways
    """Returns recipes in which it is made, given the right one."""
    is_of_batch: bool = False
    """Whether all rows must be looked at first."""
    usual_ways: Ways | None = None
    """Fewer of them, to be tried together with other mistakes."""

    def beside(self, other: Recipe) -> Iterator[Recipe]:
        """Return recipes in which it is made beside another mistake."""
        return (self.usual_ways or self.ways)(other)


@dataclass(frozen=True, slots=True)
class Scaling:
    """A mistake that multiplies everything by a number."""

    code: Code
    factors: Factors
    outputs: tuple[str, ...] = ("loss", "losses", "gradient")


def _constantly(factor: float) -> Factors:
    return lambda _: iter((factor,))


REDUCED = ("loss", "gradient")
SCALINGS = (
    Scaling(Code.SUM_INSTEAD_OF_MEAN, ways.by_denominator, REDUCED),
    Scaling(Code.SCALED_BY_BATCH_SIZE, ways.by_batch_size),
    Scaling(Code.SCALED_BY_CLASS_COUNT, ways.by_class_count),
    Scaling(Code.WRONG_DENOMINATOR, ways.by_other_denominators, REDUCED),
    Scaling(Code.SIGN_FLIPPED, _constantly(-1.0)),
    Scaling(Code.TEMPERATURE_NOT_IN_GRADIENT, ways.by_temperature, ("gradient",)),
    Scaling(Code.LOG_BASE_2, _constantly(1 / log(2))),
    Scaling(Code.LOG_BASE_10, _constantly(1 / log(10))),
)
STEPS = (
    Step(Code.IGNORED_ROWS_COUNTED, ways.ignored_counted),
    Step(Code.WEIGHTS_IGNORED, ways.weights_ignored),
    Step(Code.TEMPERATURE_IGNORED, ways.temperature_ignored),
    Step(Code.SMOOTHING_IGNORED, ways.smoothing_ignored),
    Step(Code.SMOOTHING_OVER_OTHER_CLASSES, ways.smoothing_over_others),
    Step(Code.LABELS_OFF_BY_ONE, ways.labels_off),
    Step(Code.MASK_IN_DENOMINATOR, ways.masked_late),
    Step(Code.SOFTMAX_APPLIED_TWICE, ways.softmax_twice),
    Step(Code.PROBABILITIES_GIVEN_AS_LOGITS, ways.probabilities_as_logits),
    Step(Code.BINARY_FORMULA_OVER_SOFTMAX, ways.binary_formula),
    Step(Code.DIAGONAL_ONLY_JACOBIAN, ways.diagonal_only),
    Step(Code.SOFTMAX_OVER_BATCH, ways.over_batch, is_of_batch=True),
    Step(Code.TRANSPOSED_LAYOUT, ways.other_layout),
    Step(Code.CLASS_MAJOR_LAYOUT, ways.other_layout),
    Step(Code.CLIPPED_PROBABILITIES, ways.clipped, usual_ways=ways.clipped_as_usual),
    Step(Code.LOWER_PRECISION, ways.read_with_fewer_digits),
)
