"""The application on a Ray cluster: `serve run gradient_service.ray_serve:app`, scaled and placed by Ray Serve.

Each replica makes the application for itself, with the settings of the `GRADIENT_…` variables that it finds. Ray's own
proxies stand before the replicas; what surrounds these is named in an environment variable of theirs,
`RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=gradient_service.ray_serve:proxy_layers`. Importing this needs Ray.
"""

from fastapi import FastAPI
from ray import serve
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gradient_service.app import create_app
from gradient_service.http.problems import MAX_INSTANCE_LENGTH, MEDIA_TYPE, printable, problem_bytes
from gradient_service.http.request_id import FIELD, request_id_of
from gradient_service.schemas.problem import Problem
from gradient_service.settings import Settings

CALLS_AT_ONCE = 128
"""What Ray hands to a replica before it keeps calls back: more than it may, since the service refuses by itself."""
HELD = "gradient.held"
"""The key of a scope under which the message stands that the gateway has read."""
LOST = "The replica that had this call is gone. Calls are pure: repeat it."


def application() -> FastAPI:
    """Return the application, sending what Ray can carry to its proxy."""
    made = create_app()
    made.middleware_stack = Carried(made.middleware_stack or made.build_middleware_stack())
    return made


class Carried:
    """Reads what the gateway held, sends bodies as bytes, which can be pickled where views of arrays cannot.

    It leaves the id to Ray's proxy, which gives each request without an id one, and sets it in the answer, whether it
    stands there or not.
    """

    def __init__(self, layers: ASGIApp) -> None:
        self._layers = layers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does."""
        held: Message | None = scope.pop(HELD, None)

        async def receive_held() -> Message:
            nonlocal held
            message, held = held, None
            return message or await receive()

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": bytes(message.get("body", b""))}
            elif message["type"] == "http.response.start":
                headers = [header for header in message["headers"] if header[0].lower() != FIELD]
                message = {**message, "headers": headers}
            await send(message)

        await self._layers(scope, receive_held, send_on)


def proxy_layers() -> list[Middleware]:
    """Return what stands around a proxy."""
    return [Middleware(Gateway)]


class Gateway:
    """Tells the caller of a call that was lost with its replica; Ray alone answers 500, which nobody repeats.

    Where a replica is lost before it has said that it takes the call, Ray gives the call to another one, and what the
    first had taken of the body is lost with it. So the body travels with the head, which each of them is given whole.

    The proxy would set any id of a caller in the answer, so that one that is none is replaced before it sees it.
    """

    def __init__(self, proxy: ASGIApp) -> None:
        settings = Settings()
        self._proxy = proxy
        self._held_bytes = max(settings.max_json_body_bytes, settings.max_binary_body_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 502 where the proxy has no answer."""
        has_begun = False

        async def send_on(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        if scope["type"] == "http":
            headers = [header for header in scope["headers"] if header[0] != FIELD]
            headers.append((FIELD, request_id_of(scope).encode()))
            scope = {**scope, "headers": headers, HELD: await self._hold(receive)}
        await self._proxy(scope, receive, send_on)
        if scope["type"] == "http" and not has_begun:
            await _say_lost(scope, send)

    async def _hold(self, receive: Receive) -> Message:
        """Read the body, or so much of it that every replica refuses it, unless the caller leaves meanwhile."""
        body, is_whole = bytearray(), False
        while not is_whole and len(body) <= self._held_bytes:
            message = await receive()
            if message["type"] != "http.request":
                return message
            body += message.get("body", b"")
            is_whole = not message.get("more_body", False)
        return {"type": "http.request", "body": bytes(body), "more_body": not is_whole}


async def _say_lost(scope: Scope, send: Send) -> None:
    problem = Problem(
        type="about:blank",  # the replicas have no page for what they never answer
        title="Bad gateway",
        status=502,
        detail=LOST,
        instance=printable(scope["path"], MAX_INSTANCE_LENGTH),
        request_id=request_id_of(scope),
        errors=[],
        error=LOST,
    )
    headers = [(b"content-type", MEDIA_TYPE.encode()), (FIELD, problem.request_id.encode())]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": problem_bytes(problem)})


deployment = serve.deployment(serve.ingress(application)(), name="gradient", max_ongoing_requests=CALLS_AT_ONCE)
"""One replica, of one core, unless the cluster's configuration says otherwise."""
app = deployment.bind()
