"""What the two softmax objectives share on a block of rows."""

from gradient_service.core.blocks import Array
from gradient_service.core.records import record
from gradient_service.core.softmax import SoftmaxRows, jacobian
from gradient_service.core.targets import TargetRows


@record()
class SoftmaxObjective:
    """A block's softmax, and what it is compared with."""

    rows: SoftmaxRows
    targets: TargetRows

    @property
    def temperature(self) -> float:
        """Return T."""
        return self.rows.temperature

    @property
    def powers(self) -> Array:
        """Return d, (K, rows)."""
        return self.rows.difference

    @property
    def top(self) -> Array:
        """Return the predicted class, (rows,)."""
        return self.rows.top

    @property
    def probabilities(self) -> Array:
        """Return p, (K, rows)."""
        return self.rows.probabilities

    def is_correct(self) -> Array:
        """Return where the predicted class is the label or the first largest target, (rows,)."""
        return self.targets.classes == self.rows.top

    def jacobian(self) -> Array:
        """Return ∂p_i/∂s_j, (rows, K, K)."""
        return jacobian(self.rows)
