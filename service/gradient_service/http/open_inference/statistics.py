"""What the models did: counted with all that the service counts, and so added up over its workers."""

from time import time

from prometheus_client import Gauge, Summary

from gradient_service.http.metrics import PREFIX, Metrics
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
SUCCESS, FAIL = "success", "fail"
LABELS = ("model", "part")
DURATION, LAST_INFERENCE = f"{PREFIX}_model_duration_seconds", f"{PREFIX}_model_last_inference_seconds"

Values = dict[tuple[str, ...], float]
"""By the name of what was counted, the model, and of durations the part."""


class ModelCounters:
    """The counters of all models.

    Args:
        metrics: what else the service counts.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._seconds = Summary(
            DURATION,
            "Calls of a model by their end, and the stages of those that succeeded.",
            LABELS,
            registry=metrics.registry,
        )
        self._last_inference = Gauge(
            LAST_INFERENCE,
            "When a call of a model succeeded last, in seconds since 1970.",
            LABELS[:1],
            registry=metrics.registry,
            multiprocess_mode="max",
        )
        for model in ModelName:  # which opens the files of both: where no descriptor is left later, no call has to fail
            self._last_inference.labels(model)
            self._seconds.labels(model, SUCCESS)

    def succeeded(self, model: ModelName, timing: StageTiming) -> None:
        """Count a call that was answered."""
        self._last_inference.labels(model).set(time())
        self._count(model, SUCCESS, timing.total)
        for part, stage in STAGES.items():
            self._count(model, part, timing.stages.get(stage, 0))

    def failed(self, model: ModelName, timing: StageTiming) -> None:
        """Count a call that was refused or broke off."""
        self._count(model, FAIL, timing.total)

    def _count(self, model: ModelName, part: str, ns: int) -> None:
        self._seconds.labels(model, part).observe(ns / 1e9)

    def told(self, *models: ModelName) -> list[ModelStatistics]:
        """Return what models did, in the protocol's form."""
        values: Values = {
            (sample.name, *(sample.labels[label] for label in LABELS if label in sample.labels)): sample.value
            for family in self._metrics.everyone().collect()
            if family.name in {DURATION, LAST_INFERENCE}
            for sample in family.samples
        }
        return [_statistics(model, values) for model in models]


def _statistics(model: ModelName, values: Values) -> ModelStatistics:
    def duration(part: str) -> DurationStatistics:
        count, seconds = (values.get((f"{DURATION}_{kind}", model, part), 0.0) for kind in ("count", "sum"))
        return DurationStatistics(count=int(count), ns=round(seconds * 1e9))

    durations = {part: duration(part) for part in (SUCCESS, FAIL, *STAGES)}
    inferences = durations[SUCCESS].count
    return ModelStatistics(
        name=model,
        version=ModelVersion.ONE,
        last_inference=int(values.get((LAST_INFERENCE, model), 0.0) * 1000),
        inference_count=inferences,
        execution_count=inferences,
        inference_stats=InferenceStatistics(**durations),
        batch_stats=[],
    )
