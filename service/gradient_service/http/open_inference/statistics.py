"""What a model did, counted call by call in this process."""

from time import time_ns

from gradient_service.http.timing import StageTiming
from gradient_service.schemas.open_inference import (
    DurationStatistics,
    InferenceStatistics,
    ModelName,
    ModelStatistics,
    ModelVersion,
)

STAGES = {"queue": "queue", "compute_input": "parse", "compute_infer": "compute", "compute_output": "encode"}
"""The protocol's names of the stages, and ours."""


class Duration:
    """How often something was done, and how long that took in all."""

    def __init__(self) -> None:
        self.count = 0
        self.ns = 0

    def add(self, ns: int) -> None:
        """Count once more."""
        self.count += 1
        self.ns += ns

    @property
    def told(self) -> DurationStatistics:
        """The body that tells it."""
        return DurationStatistics(count=self.count, ns=self.ns)


class ModelCounters:
    """The counters of one model; they change on the event loop only."""

    def __init__(self, name: ModelName) -> None:
        self._name = name
        self._last_inference_ms = 0
        self._durations = {each: Duration() for each in ("success", "fail", *STAGES)}

    def succeeded(self, timing: StageTiming) -> None:
        """Count a call that was answered."""
        self._last_inference_ms = time_ns() // 1_000_000
        self._durations["success"].add(timing.total)
        for told, stage in STAGES.items():
            self._durations[told].add(timing.stages.get(stage, 0))

    def failed(self, timing: StageTiming) -> None:
        """Count a call that was refused or broke off."""
        self._durations["fail"].add(timing.total)

    @property
    def told(self) -> ModelStatistics:
        """The body that tells them."""
        inferences = self._durations["success"].count
        return ModelStatistics(
            name=self._name,
            version=ModelVersion.ONE,
            last_inference=self._last_inference_ms,
            inference_count=inferences,
            execution_count=inferences,
            inference_stats=InferenceStatistics(**{name: each.told for name, each in self._durations.items()}),
            batch_stats=[],
        )
