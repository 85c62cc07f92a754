"""For tests of your own code: a gradient held against the service, and a service that answers as the test says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from ._fake_service import FakeRequest, FakeService

if TYPE_CHECKING:
    from ._client import GradientClient
    from ._options import ArrayLike, CheckOptions
    from .reports import CheckResult

__all__ = ["FakeRequest", "FakeService", "assert_gradient"]


def assert_gradient(
    client: GradientClient, logits: ArrayLike, labels: ArrayLike | None = None, **options: Unpack[CheckOptions]
) -> CheckResult:
    """Pass where everything claimed is right, and fail with the mistake that reproduces it where it is not.

    Args:
        client: who asks the service.
        logits: (N, K) finite numbers.
        labels: (N,) integers, 0 ≤ label < K; or give `targets` instead.
        options: `gradient`, and other claims and options, as `check` takes them.

    Returns:
        The report; lost digits are in its `diagnoses`, and no failure.

    Raises:
        AssertionError: something claimed is off; the message says what, in plain words.
        GradientClientError: the service could not be asked.
    """
    __tracebackhide__ = True  # pytest shows the caller's line
    report = client.check(logits, labels, **options)
    if not report.is_match:
        raise AssertionError(report.explain())
    return report
