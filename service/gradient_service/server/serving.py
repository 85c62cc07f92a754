"""Running the application: uvicorn with what this service wants of it."""

import uvicorn


def serve(*, host: str, port: int, workers: int) -> None:
    """Serve until told to stop.

    Args:
        host: address to listen on.
        port: TCP port.
        workers: processes; each holds the whole application.
    """
    uvicorn.run(
        "gradient_service.app:create_app",
        factory=True,
        host=host,
        port=port,
        workers=workers,
        server_header=False,
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=30,
    )
