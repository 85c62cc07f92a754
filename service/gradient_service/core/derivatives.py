"""The derivatives of a block: each from its objective, times the factor of its rows, into the outputs."""

from collections.abc import Collection

from gradient_service.core.blocks import Rows
from gradient_service.core.chain_rule import multiply_out
from gradient_service.core.curvature import hessian_diagonal
from gradient_service.core.inputs import ReductionRule
from gradient_service.core.objectives import BlockObjective
from gradient_service.core.outputs import Outputs
from gradient_service.core.scaled import Scaled

DERIVATIVES = frozenset(
    {
        "gradient",
        "gradient_diagonal_only",
        "hessian_diagonal",
        "loss_wrt_probabilities",
        "jacobian",
        "gradient_by_chain_rule",
    }
)


def largest_gain(factor: Scaled, temperature: float, names: Collection[str]) -> Scaled:
    """Return what may multiply a row's derivatives, class weights aside: its factor, times 1/T or 1/T² if that is more.

    0 where no derivative is asked for.
    """
    if DERIVATIVES.isdisjoint(names):
        return Scaled.of(0.0)
    temperature = min(temperature, 1.0)
    by_logits = factor.over(temperature)
    return by_logits.over(temperature) if "hessian_diagonal" in names else by_logits


def write_derivatives(
    outputs: Outputs, rows: Rows, objective: BlockObjective, factor: Scaled, reduction: ReductionRule
) -> None:
    """Write every derivative asked for. The formulas differentiate by s = logits / T: by the logits is 1/T more."""
    factor = factor.times(objective.row_weight)
    by_logits = factor.over(objective.temperature)
    if "gradient" in outputs:
        place = outputs.place("gradient", rows, objective.targets.dtype)
        outputs.write("gradient", rows, objective.gradient(by_logits, place).T)
    if "gradient_diagonal_only" in outputs:
        outputs.write("gradient_diagonal_only", rows, objective.gradient_diagonal_only(by_logits).T)
    if "hessian_diagonal" in outputs:
        curvature = hessian_diagonal(objective, reduction.curvature)
        outputs.write("hessian_diagonal", rows, by_logits.over(objective.temperature).scale(curvature).T)
    if "loss_wrt_probabilities" in outputs:
        outputs.write("loss_wrt_probabilities", rows, objective.loss_wrt_probabilities(factor).T)
    if "jacobian" in outputs:
        outputs.write("jacobian", rows, objective.jacobian())
    if "gradient_by_chain_rule" in outputs:
        # As reported: in float32 the factors are rounded before they meet.
        loss_wrt_probabilities = outputs.rounded(objective.loss_wrt_probabilities(factor).T)
        jacobian = outputs.rounded(objective.jacobian())
        product = multiply_out(loss_wrt_probabilities, jacobian, objective.temperature)
        outputs.write("gradient_by_chain_rule", rows, product)
