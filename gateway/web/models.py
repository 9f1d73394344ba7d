"""The OpenAI-compatible routes that are no chats: the list of models, and embeddings."""

from __future__ import annotations

from gateway.web.request import Request
from gateway.wire.chat_body import convert, decode_fields


async def models(request: Request) -> None:
    """GET /v1/models: the declared ones."""
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "feedback-gateway"}
        for name in request.services.config.models
    ]
    await request.reply({"object": "list", "data": data})


async def embeddings(request: Request) -> None:
    """POST /v1/embeddings: the provider's reply as it is."""
    fields = decode_fields(await request.json_body())
    name = convert(bytes(fields.pop("model", b"null")), str | None, "model")
    router = request.services.chat.settings.router
    _, model = router.model(name)
    await request.reply(await router.embed(model, fields))
