"""Binds MLflow's endpoints (gateway/mlflow/routes.py) to HTTP. They are not in /openapi.json: MLflow describes them."""

from __future__ import annotations

from gateway.domain import ids
from gateway.mlflow.call import Call, Plain
from gateway.mlflow.routes import ENDPOINTS, Endpoint
from gateway.mlflow.wire.errors import MLFLOW, OTLP, OTLP_PATH
from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.web.route import Handler, Route

_ANY_BODY = ("PUT",)


def _handler(endpoint: Endpoint) -> Handler:
    async def handle(request: Request) -> Response:
        body = await request.body()
        # a web page can't send JSON, nor PUT, unasked; the OTLP route looks at its content type itself
        if body and endpoint.method not in _ANY_BODY and endpoint.path != OTLP_PATH:
            request.require_json()
        call = Call(
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
        reply = await endpoint.handler(call)
        if isinstance(reply, Plain):
            return Response(reply.body, media_type=reply.content_type.decode())
        return JSONResponse(reply)

    return handle


MLFLOW_ROUTES: tuple[Route, ...] = tuple(
    Route(
        method=endpoint.method,
        path=endpoint.path,
        handler=_handler(endpoint),
        roles=() if endpoint.open else ("review",),
        wire=OTLP if endpoint.path == OTLP_PATH else MLFLOW,
    )
    for endpoint in ENDPOINTS
)
