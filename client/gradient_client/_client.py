"""The synchronous shell: it sends and sleeps as the calls say, and decides nothing."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar, Unpack

from ._events import EventHook
from ._lifecycle import Lifecycle
from ._options import ArrayLike, CheckOptions, GradientOptions, LossOptions, SoftmaxOptions
from ._pause import pause
from ._protocol import CHECK, GRADIENT, LOSS, SOFTMAX
from ._retry import DEFAULT_RETRY, Retry
from ._settings import ClientSettings
from ._steps import Send, Sleep, Steps, Together
from ._together import run_together
from ._transport import HttpReply, Transport
from ._wire import WireName
from .reports import CheckResult
from .results import GradientResult, Limits, LossResult, SoftmaxResult

if TYPE_CHECKING:
    from ._httpx import HttpxTransport

T = TypeVar("T")


class GradientClient(Lifecycle[Transport]):
    """A client of the gradient service; safe to share among threads, to pickle, to fork.

    Args:
        base_url: the service's address, such as `http://localhost:8000`; left out, GRADIENT_SERVICE_URL.
        api_key: sent as a bearer token; left out, GRADIENT_API_KEY if set.
        timeout: seconds for each call as a whole, attempts, waits and body included, 24 days at most; None for
            no limit.
        retry: when a failed call is tried again.
        wire: how arrays travel: `binary`, as safetensors, or `json`, for people to read; the results are the same.
        transport: a function from `HttpRequest` to `HttpReply` in place of the network.
        on_event: called with an `Event` at each step of each call.

    Raises:
        ConfigurationError: there is no address, or an argument is unusable; from a call, the proxy is.
    """

    _own_transport: HttpxTransport

    def __init__(  # noqa: PLR0913 - a client is configured here or nowhere
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float | None = 10.0,
        retry: Retry = DEFAULT_RETRY,
        wire: WireName = "binary",
        transport: Transport | None = None,
        on_event: EventHook | None = None,
    ) -> None:
        settings = ClientSettings.resolve(base_url, api_key=api_key, timeout=timeout, retry=retry, wire=wire)
        super().__init__(settings, transport, on_event)

    @classmethod
    def in_process(
        cls, *, timeout: float | None = 10.0, wire: WireName = "binary", on_event: EventHook | None = None
    ) -> Self:
        """A client of the service in this process, without a network: the same calls with the same bits.

        Args:
            timeout: as for any client.
            wire: likewise.
            on_event: likewise.

        Returns:
            The client, of an application that all such clients of the process share; its settings are the defaults.

        Raises:
            ConfigurationError: the service is not installed.
        """
        from ._in_process import URL, InProcessTransport  # noqa: PLC0415 - few clients need it

        return cls(URL, timeout=timeout, wire=wire, transport=InProcessTransport(), on_event=on_event)

    def softmax(self, logits: ArrayLike, **options: Unpack[SoftmaxOptions]) -> SoftmaxResult:
        """Probabilities and decisions of each row.

        Formula: p_j = exp(s_j) / Σ_k exp(s_k), with s = logits / temperature

        Args:
            logits: (N, K) finite numbers.
            options: see `SoftmaxOptions`.

        Returns:
            `probabilities` (N, K) and `predicted_labels` (N,) int64, or what `include` names.

        Raises:
            InputError: an argument cannot be sent.
            ChunkError: with `chunk_rows`, any of the following befell a chunk.
            ServiceError: the service refused or failed; see `errors` for the classes.
            TransportError: no reply arrived in time or at all.
            ResponseError: the reply breaks the contract.
        """
        return self._run(self._calls.compute(SOFTMAX, {"logits": logits}, options))

    def loss(self, logits: ArrayLike, labels: ArrayLike | None = None, **options: Unpack[LossOptions]) -> LossResult:
        """Cross-entropy of logits and labels, or of logits and target rows.

        Formula: E = − Σ_j w_j c_j log p_j for each row, reduced by `reduction`

        Args:
            logits: (N, K) finite numbers.
            labels: (N,) integers, 0 ≤ label < K; or give `targets` instead.
            options: see `LossOptions`.

        Returns:
            `loss` in nats and its mergeable `summary`, or what `include` names.

        Raises:
            InputError: an argument cannot be sent.
            ChunkError: with `chunk_rows`, any of the following befell a chunk.
            ServiceError: the service refused or failed; see `errors` for the classes.
            TransportError: no reply arrived in time or at all.
            ResponseError: the reply breaks the contract.
        """
        return self._run(self._calls.compute(LOSS, {"logits": logits, "labels": labels}, options))

    def gradient(
        self, logits: ArrayLike, labels: ArrayLike | None = None, **options: Unpack[GradientOptions]
    ) -> GradientResult:
        """The loss and its derivative with respect to the logits, in one pass.

        Formula: ∂E/∂s_i = W p_i − w_i c_i with W = Σ_j w_j c_j, times the reduction's factor and 1/T

        Args:
            logits: (N, K) finite numbers.
            labels: (N,) integers, 0 ≤ label < K; or give `targets` instead.
            options: see `GradientOptions`.

        Returns:
            `loss` in nats, `gradient` (N, K) and `summary`, or what `include` names.

        Raises:
            InputError: an argument cannot be sent.
            ChunkError: with `chunk_rows`, any of the following befell a chunk.
            ServiceError: the service refused or failed; see `errors` for the classes.
            TransportError: no reply arrived in time or at all.
            ResponseError: the reply breaks the contract.
        """
        return self._run(self._calls.compute(GRADIENT, {"logits": logits, "labels": labels}, options))

    def check(self, logits: ArrayLike, labels: ArrayLike | None = None, **options: Unpack[CheckOptions]) -> CheckResult:
        """Whether what you computed is right, and which known mistake reproduces it if not.

        Formula: |claimed − reference| ≤ atol + rtol · size, in every element

        Args:
            logits: (N, K) finite numbers.
            labels: (N,) integers, 0 ≤ label < K; or give `targets` instead.
            options: what you claim, `gradient`, `loss`, `losses` or `probabilities`, and see `CheckOptions`.

        Returns:
            `verdict` and `diagnoses`, and the figures behind them.

        Raises:
            InputError: an argument cannot be sent.
            ServiceError: the service refused or failed; see `errors` for the classes.
            TransportError: no reply arrived in time or at all.
            ResponseError: the reply breaks the contract.
        """
        return self._run(self._calls.compute(CHECK, {"logits": logits, "labels": labels}, options))

    def limits(self) -> Limits:
        """The limits of the running service.

        Returns:
            A read-only mapping from name to number, the well-known names also as attributes.

        Raises:
            ServiceError: the service refused or failed.
            TransportError: no reply arrived in time or at all.
            ResponseError: the reply breaks the contract.
        """
        return self._run(self._calls.limits())

    def ready(self) -> bool:
        """Whether the service would take work now.

        Returns:
            False also when it is starting, draining, out of reach or nothing listens at all.
        """
        return self._run(self._calls.ready())

    def wait_until_ready(self, *, timeout: float = 30.0) -> None:
        """Return as soon as the service is ready.

        Args:
            timeout: seconds to wait at most.

        Raises:
            DeadlineExceededError: it was not ready in time; the message holds its last answer.
            ConfigurationError: the timeout is unusable.
        """
        self._run(self._calls.wait_until_ready(timeout))

    def close(self) -> None:
        """Close the connections; a transport of the caller's own stays open. Closing twice is harmless."""
        self._closed = True
        if self._custom_transport is None:
            self._own_transport.close()

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self) -> None:
        from ._httpx import HttpxTransport  # noqa: PLC0415 - importing the package need not import httpx

        self._own_transport = HttpxTransport(self._settings.base_url)

    def _run(self, steps: Steps[T]) -> T:
        """Perform each step of a call and return its result."""
        self._check_open()
        with closing(steps):
            outcome = None
            while True:
                try:
                    step = steps.send(outcome)
                except StopIteration as finished:
                    result: T = finished.value
                    return result
                outcome = self._perform(step)

    def _perform(self, step: Send | Sleep | Together) -> HttpReply | OSError | None:
        if isinstance(step, Sleep):
            pause(step.seconds)
            return None
        if isinstance(step, Together):
            run_together([partial(self._run, lane) for lane in step.lanes], step.stop)
            return None
        transport = self._custom_transport or self._own_transport
        try:
            return transport(step.request)
        except OSError as failure:
            return failure
