"""The OpenAI-compatible routes that are no chats: the list of models, and embeddings."""

from __future__ import annotations

import msgspec

from gateway.providers.openai import MAX_EMBEDDING_BYTES
from gateway.web.request import Request
from gateway.web.responses import JSONResponse, Response
from gateway.wire.chat_body import convert, decode_fields
from gateway.wire.native_events import Model, ModelList

_LONG = 2_097_152  # bytes of a list of inputs
_WRITTEN, _PACKED = 66_000, 16_400  # bytes of 3,072 numbers, as JSON and in base64


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
    request.count(_expected(fields))
    reply = await router.embed(model, fields)
    fields.clear()
    request.let_go()  # from here on the reply counts itself
    return Response(reply, media_type="application/json")


def _expected(fields: dict[str, msgspec.Raw]) -> int:
    """Return the bytes that the reply may take: some thousand numbers for each input, twice while it comes."""
    inputs = memoryview(fields.get("input", b""))
    if bytes(inputs[:100]).replace(b" ", b"")[:2] not in (b'["', b"[["):  # one text, or its tokens
        return 0
    if len(inputs) > _LONG:  # counting them would take memory, too
        return 2 * MAX_EMBEDDING_BYTES
    count = len(msgspec.json.decode(inputs, type=list[msgspec.Raw]))
    numbers = _PACKED if fields.get("encoding_format") == msgspec.Raw(b'"base64"') else _WRITTEN
    return 2 * min(count * numbers, MAX_EMBEDDING_BYTES)
