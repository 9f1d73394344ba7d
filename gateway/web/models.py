"""The OpenAI-compatible routes that are no chats: the list of models, and embeddings."""

from __future__ import annotations

from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.wire.chat_body import convert, decode_fields


async def models(request: Request) -> Response:
    """List the declared models."""
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "feedback-gateway"}
        for name in request.services.config.models
    ]
    return JSONResponse({"object": "list", "data": data})


async def embeddings(request: Request) -> Response:
    """Return the provider's embeddings as they are."""
    fields = decode_fields(await request.json_body())
    name = convert(bytes(fields.pop("model", b"null")), str | None, "model")
    router = request.services.chat.settings.router
    _, model = router.model(name)
    return Response(await router.embed(model, fields), media_type="application/json")
