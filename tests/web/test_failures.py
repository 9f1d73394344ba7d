"""What happens when the gateway itself is at fault: by hand-made ASGI, since no request is known that does it."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from gateway.access.keys import KeyRing
from gateway.access.limits import Limits
from gateway.access.tokens import Tokens
from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.observability.metrics import Metrics
from gateway.web.application import Application
from gateway.web.request import Request
from gateway.web.route import Handler, Route
from gateway.web.types import Services
from tests.support.callers import authenticator_of

SECRET = "SELECT * FROM keys -- /srv/gateway.db"


async def raises(request: Request) -> None:
    raise RuntimeError(SECRET)


async def raises_late(request: Request) -> None:
    await request.head(200, b"text/plain")
    raise RuntimeError(SECRET)


async def ask(handler: Handler, aborted: list[str], *, direct: bool) -> list[Any]:
    """Return what the application sends for a GET /healthz that this handler answers."""
    current = Current(Config())
    nothing: Any = None
    authenticator = authenticator_of(KeyRing(), Tokens(("k",), 60), current)
    services = Services(
        current,
        Limits(current),
        nothing,
        nothing,
        nothing,
        authenticator,
        nothing,
        nothing,
        Metrics(),
        nothing,
        b"{}",
        nothing,
        nothing,
        nothing,
    )
    app = Application(services, [Route("GET", "/healthz", handler, (), direct=direct)])
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/healthz",
        "headers": [(b"host", b"localhost")],
        "query_string": b"",
        "client": ("127.0.0.1", 1),
        "extensions": {"gateway.abort": lambda: aborted.append("cut")},
    }
    await app(scope, receive, send)
    return sent


@pytest.mark.parametrize("direct", [True, False])
async def test_an_error_that_nobody_foresaw(caplog: pytest.LogCaptureFixture, direct: bool) -> None:
    """500 that says nothing of the inside; the log has all of it, under the request's ID."""
    with caplog.at_level(logging.ERROR):
        head, body = await ask(raises, [], direct=direct)
    assert head["status"] == 500
    assert json.loads(body["body"]) == {"error": "Something went wrong in the gateway.", "code": "internal_error"}
    request_id = dict(head["headers"])[b"x-request-id"].decode()
    assert [record.getMessage() for record in caplog.records] == [f"The request {request_id} failed."]
    assert caplog.records[0].exc_info is not None


@pytest.mark.parametrize("direct", [True, False])
async def test_an_error_after_the_head(caplog: pytest.LogCaptureFixture, direct: bool) -> None:
    """It is too late for a status: the connection is cut, so that nobody takes the reply for whole."""
    aborted: list[str] = []
    with caplog.at_level(logging.ERROR):
        (head,) = await ask(raises_late, aborted, direct=direct)
    assert head["status"] == 200
    assert aborted == ["cut"]
