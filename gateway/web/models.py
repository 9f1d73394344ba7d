"""The OpenAI-compatible routes that are no chats: the list of models, and embeddings."""

from __future__ import annotations

from gateway.web.exchange import Exchange
from gateway.wire.chat_body import convert, decode_fields


async def models(x: Exchange) -> None:
    """GET /v1/models: the declared ones."""
    data = [
        {"id": name, "object": "model", "created": 0, "owned_by": "feedback-gateway"}
        for name in x.services.config.models
    ]
    await x.reply({"object": "list", "data": data})


async def embeddings(x: Exchange) -> None:
    """POST /v1/embeddings: the provider's reply as it is."""
    fields = decode_fields(await x.json_body())
    name = convert(bytes(fields.pop("model", b"null")), str | None, "model")
    router = x.services.chat.settings.router
    _, model = router.model(name)
    await x.reply(await router.embed(model, fields))
