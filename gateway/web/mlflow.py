"""Binds MLflow's endpoints (gateway/mlflow/routes.py) to HTTP. They are not in /openapi.json: MLflow describes them."""

from __future__ import annotations

from gateway.domain import ids
from gateway.mlflow import request as mlflow
from gateway.mlflow.routes import ENDPOINTS, Endpoint
from gateway.web.request import Request
from gateway.web.routes import Handler, Route


def _handler(endpoint: Endpoint) -> Handler:
    async def handle(request: Request) -> None:
        body = await request.body()
        if body and not endpoint.any_type:  # a web page can't send JSON, nor PUT, without a preflight request
            request.require_json()
        asked = mlflow.Request(
            store=request.services.store,
            project=request.principal.project,
            now=ids.now_ms(),
            params=request.path_params,
            query=request.query(),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in request.raw_headers},
            body=body,
            max_bytes=request.services.config.server.max_body_bytes,
            announce=request.services.feedback.announce,
        )
        reply = await endpoint.handler(asked)
        media = endpoint.media if isinstance(reply, bytes) else "application/json"
        await request.reply(reply, content_type=media.encode())

    return handle


MLFLOW_ROUTES: tuple[Route, ...] = tuple(
    Route(
        method=endpoint.method,
        path=endpoint.path,
        handler=_handler(endpoint),
        roles=() if endpoint.open else ("review",),
        summary=endpoint.summary,
    )
    for endpoint in ENDPOINTS
)
