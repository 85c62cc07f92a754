"""The loss and its derivatives, block by block: scores beside what they are compared with, and what was found."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gradient_service.core.blocks import WIDE, Rows
from gradient_service.core.derivatives import DERIVATIVES, write_derivatives
from gradient_service.core.inputs import ReductionRule, Scores, Supervision
from gradient_service.core.objectives import BlockObjective, objective_of
from gradient_service.core.outputs import Outputs
from gradient_service.core.records import record
from gradient_service.core.scaled import Scaled
from gradient_service.core.vanishing import rows_beyond_range, vanishing_rows


@record()
class Factors:
    """What multiplies the results of each row, (N,) or one for all."""

    losses: Scaled
    """r_n."""
    derivatives: Scaled
    """r_n / D, r_n, or r_n times `upstream`."""
    gain: Scaled
    """The most that may multiply a derivative, class weights aside."""


@dataclass(slots=True)
class LossPass:
    """One pass over the scores and their labels or targets, filled in block by block."""

    scores: Scores
    supervision: Supervision
    reduction: ReductionRule
    factors: Factors
    outputs: Outputs
    losses: Scaled = field(init=False)
    """r_n E_n, (N,)."""
    is_correct: NDArray[np.bool_] = field(init=False)
    """(N,), of the rows as predicted."""

    def __post_init__(self) -> None:
        self.losses = Scaled.zeros(self.scores.batch_size)
        self.is_correct = np.zeros(self.scores.batch_size, dtype=bool)

    def work_on(self, rows: slice) -> None:
        """Compute everything about the rows of a block; those that leave the range on the way, once more in `WIDE`."""
        objective = self._objective(rows, self.scores.working_dtype)
        self._write_predictions(rows, objective)
        self._write_losses(rows, objective)
        self._write_derivatives(rows, objective)
        wide = self._rows_with_wide_losses(rows, objective)
        if wide.size:
            again = rows.start + wide
            self._write_losses(again, self._objective(again, WIDE))
        wide = vanishing_rows(objective, self.factors.gain[rows], self.supervision)
        if not self.outputs.are_finite(DERIVATIVES):
            wide = np.union1d(wide, self.outputs.rows_beyond_range(rows, DERIVATIVES))
        if wide.size:
            again = rows.start + wide
            self._write_derivatives(again, self._objective(again, WIDE))

    def _objective(self, rows: Rows, dtype: np.dtype[np.floating]) -> BlockObjective:
        return objective_of(self.scores, self.supervision, rows, dtype)

    def _write_predictions(self, rows: slice, objective: BlockObjective) -> None:
        self.is_correct[rows] = objective.is_correct()
        if "probabilities" in self.outputs:
            self.outputs.write("probabilities", rows, objective.probabilities.T)
        if "predicted_labels" in self.outputs:
            self.outputs.write("predicted_labels", rows, objective.top)

    def _write_losses(self, rows: Rows, objective: BlockObjective) -> None:
        losses = self.factors.losses[rows].times(objective.row_weight).times(objective.losses()).rounded()
        self.losses[rows] = losses
        if "losses" in self.outputs:
            self.outputs.write("losses", rows, losses.value)

    def _rows_with_wide_losses(self, rows: slice, objective: BlockObjective) -> NDArray[np.intp]:
        return rows_beyond_range(objective, self.factors.losses[rows], self.supervision, self.losses[rows])

    def _write_derivatives(self, rows: Rows, objective: BlockObjective) -> None:
        write_derivatives(self.outputs, rows, objective, self.factors.derivatives[rows], self.reduction)
