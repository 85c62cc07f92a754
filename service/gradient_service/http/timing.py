"""How long each stage of a call takes."""

from time import perf_counter_ns

SHOWN = ("read", "parse", "compute", "encode")


class StageTiming:
    """The stages of one call, each ended by name; `Server-Timing` tells those that a caller knows."""

    def __init__(self) -> None:
        self.start = self._last = perf_counter_ns()
        self.stages: dict[str, int] = {}
        """Nanoseconds by stage, one behind the other."""
        self.dialect = ""
        """The kind of the body, once the head has settled it."""
        self.shape: tuple[int, ...] = ()
        """N and K, once the body has been read."""

    def end(self, stage: str) -> None:
        """Note that a stage has just ended."""
        now = perf_counter_ns()
        self.stages[stage] = now - self._last
        self._last = now

    @property
    def total(self) -> int:
        """Nanoseconds since the call began."""
        return perf_counter_ns() - self.start

    @property
    def header(self) -> str:
        """The stages so far, in milliseconds."""
        stages = self.stages
        return ", ".join([f"{stage};dur={stages[stage] / 1e6:.3f}" for stage in SHOWN if stage in stages])
