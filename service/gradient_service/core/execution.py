"""How blocks are run: in order or spread over threads, with a checkpoint between them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from gradient_service.core.blocks import USUAL_BUFFER, buffer_size, never_stops, row_blocks
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

    def run(self, work: Callable[[slice], None], shape: tuple[int, int], bytes_a_row: int) -> None:
        """Do the work of every block of rows; each writes only its own, so that the order cannot matter.

        Args:
            work: what is done with the rows of a slice.
            shape: N and K.
            bytes_a_row: of the largest array that the work makes of a block, and of the numbers of each row beside it.
        """
        batch_size, num_classes = shape
        blocks = list(row_blocks(batch_size, bytes_a_row))
        at_a_time = buffer_size(blocks[0].stop if blocks else 0, num_classes)
        if self.threads == 1 or len(blocks) <= 1:
            self._run_some(work, blocks, at_a_time)
            return
        shares = [blocks[start :: self.threads] for start in range(min(self.threads, len(blocks)))]
        with ThreadPoolExecutor(len(shares)) as pool:
            for share in [pool.submit(self._run_some, work, share, at_a_time) for share in shares]:
                share.result()

    def _run_some(self, work: Callable[[slice], None], blocks: Sequence[slice], at_a_time: int) -> None:
        # Infinities and vanishing numbers are expected inside the formulas and judged at their end.
        with np.errstate(all="ignore"):
            if at_a_time != USUAL_BUFFER:  # as it is, unless a caller of the core changed it
                np.setbufsize(at_a_time)  # until the end of this context
            for block in blocks:
                self.checkpoint()
                work(block)
