"""How blocks are run: in order or spread over threads, with a checkpoint between them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gradient_service.core.blocks import never_stops
from gradient_service.core.records import record


@record()
class Execution:
    """Who does the work and who may stop it.

    Args:
        threads: how many threads share the blocks; NumPy's kernels release the interpreter lock.
        checkpoint: called before each block, before each output of one is written, and all the time within long rows;
            what it raises ends the work (a deadline, a departed client).
    """

    threads: int = 1
    checkpoint: Callable[[], None] = never_stops

    def run(self, work: Callable[[slice], None], blocks: Sequence[slice]) -> None:
        """Do the work of every block; each writes only its own rows, so that the order cannot matter."""
        if self.threads == 1 or len(blocks) == 1:
            self._run_some(work, blocks)
            return
        shares = [blocks[start :: self.threads] for start in range(min(self.threads, len(blocks)))]
        with ThreadPoolExecutor(len(shares)) as pool:
            for share in [pool.submit(self._run_some, work, share) for share in shares]:
                share.result()

    def _run_some(self, work: Callable[[slice], None], blocks: Sequence[slice]) -> None:
        # Infinities and vanishing numbers are expected inside the formulas and judged at their end.
        with np.errstate(all="ignore"):
            for block in blocks:
                self.checkpoint()
                work(block)
