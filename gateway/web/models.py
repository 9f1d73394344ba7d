"""The OpenAI-compatible routes that are no chats: the list of models, and embeddings."""

from __future__ import annotations

from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.wire.chat_body import convert, decode_fields
from gateway.wire.native_events import Model, ModelList


async def models(request: Request) -> Response:
    """List the declared models, and of families what their providers list."""
    router = request.services.chat.settings.router
    names = dict.fromkeys([*router.models, *await router.catalog.names()])
    return JSONResponse(ModelList(data=[Model(id=name) for name in names]))


async def model(request: Request) -> Response:
    """Return one model that a chat may name: a declared one, one of a family, or a demo's. Raise NotFound."""
    name, _ = request.services.chat.settings.router.model(request.path_params["model_id"])
    return JSONResponse(Model(id=name))


async def embeddings(request: Request) -> Response:
    """Return the provider's embeddings as they are."""
    fields = decode_fields(await request.json_body())
    name = convert(bytes(fields.pop("model", b"null")), str | None, "model")
    router = request.services.chat.settings.router
    _, model = router.model(name)
    return Response(await router.embed(model, fields), media_type="application/json")
