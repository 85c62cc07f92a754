"""What a request passes on its way to its endpoint, from the outside in.

The framework would put more around every request: a look at the size of its body, traces. These cost a small call some
of its time, and have nothing to do here.
"""

from fastapi import FastAPI
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp

from gradient_service.http import cross_origin, problems
from gradient_service.http.endpoints import ShortWay
from gradient_service.http.health import Lifecycle
from gradient_service.http.message_rules import MessageRules, MessageRulesMiddleware
from gradient_service.http.request_log import RequestLog, RequestLogMiddleware
from gradient_service.settings import Settings


def layered(app: FastAPI, settings: Settings, lifecycle: Lifecycle, log: RequestLog) -> ASGIApp:
    """Return what answers in place of the framework's own layers, once every route has been added."""
    inner: ASGIApp = ShortWay(AsyncExitStackMiddleware(app.router), app.routes)
    inner = ExceptionMiddleware(inner, handlers=problems.handlers(app))
    inner = cross_origin.answering(inner, settings)
    inner = MessageRulesMiddleware(inner, rules=MessageRules.of(settings), lifecycle=lifecycle)
    inner = cross_origin.admitting(inner, settings)
    inner = RequestLogMiddleware(inner, log)
    return ServerErrorMiddleware(inner, handler=problems.on_fault_of_layer)
