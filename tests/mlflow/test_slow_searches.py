"""A search that takes long: it holds up neither the end of the server nor goes on without its caller."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from gateway.mlflow.routes import Endpoint
from gateway.web.binding import bind
from gateway.web.http_protocol import Gone
from gateway.web.request import ClientGone, Request
from tests.support.load_client import Exchange, fetch, send
from tests.support.servers import GatewayProcess

_PLACE = [{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]
_SLOW = {"locations": _PLACE, "filter": f"trace.text LIKE '%{'a_' * 4_000}b%'"}


async def _a_long_text(gateway: GatewayProcess) -> None:
    attribute = {"key": "mlflow.spanInputs", "value": {"stringValue": "a" * 900_000}}
    for number in range(1, 11):
        span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "n", "attributes": [attribute]}
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
        stored = await fetch(gateway.port, "POST", "/v1/traces", body, {"x-mlflow-experiment-id": "0"})
        assert stored.status == 200, stored.body


async def _search(gateway: GatewayProcess) -> Exchange:
    """A search that has begun: the gateway has its whole request."""
    exchange = await send(gateway.port, "POST", "/api/3.0/mlflow/traces/search", _SLOW)
    await fetch(gateway.port, "GET", "/readyz")
    return exchange


async def test_sigterm_ends_a_search(tmp_path: Path) -> None:
    """Its caller is told that the server is shutting down, and the server ends as it should."""
    with GatewayProcess(tmp_path) as gateway:
        await _a_long_text(gateway)
        searching = await _search(gateway)
        gateway.signal(signal.SIGTERM)
        reply = await searching.end()
        assert (reply.status, reply.json["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
        assert await asyncio.to_thread(gateway.wait) == 0


def _request(extensions: dict[str, Any]) -> Request:
    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        raise AssertionError(json.dumps(message))

    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [], "extensions": extensions}
    services: Any = type("Services", (), {"config": type("C", (), {"server": type("S", (), {"max_body_bytes": 1})})})
    return Request(scope, receive, send, services, "r")


@pytest.mark.parametrize("first", [True, False])
async def test_a_read_ends_when_its_caller_leaves(first: bool) -> None:
    """Whether it left before the handler began or while it waits."""
    gone, begun = Gone(), asyncio.Event()

    async def handler(_: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    (route,) = bind((Endpoint("GET", "/", handler, reads=True),), (), lambda request, body: None)
    gone.happened = first
    answering = asyncio.ensure_future(route.handler(_request({"gateway.gone": gone})))
    await begun.wait()
    gone.happened = True
    for call in list(gone):
        call()
    with pytest.raises(ClientGone):
        await answering
    assert not gone


async def test_a_time_out_of_a_handler_is_its_own() -> None:
    """Where the caller is still there, and on servers that don't tell."""

    async def handler(_: Any) -> Any:
        raise TimeoutError

    (route,) = bind((Endpoint("GET", "/", handler, reads=True),), (), lambda request, body: None)
    for extensions in ({"gateway.gone": Gone()}, {}):
        with pytest.raises(TimeoutError):
            await route.handler(_request(extensions))
