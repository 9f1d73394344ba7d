"""The chaos upstream's routes: they turn one request into the steps of its reply.

It has no sockets and plays no steps: server.py does. Called by server.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import msgspec

from gateway.chaos.case import ChaosRequest, Step, whole_json
from gateway.chaos.cases import CASES, case_for
from gateway.chaos.http import error
from gateway.chaos.stats import KEPT_BODY, ReceivedRequest, Stats
from gateway.providers.demo import Reply, embeddings

CREATED = 1_700_000_000  # fixed, so that every run sends the same bytes


class HTTPRequest:
    """One HTTP request, which the server fills while it arrives. Header names are in lower case."""

    def __init__(self) -> None:
        self.method = ""
        self.path = ""
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.keep_alive = True


def reply_to(request: HTTPRequest, stats: Stats) -> tuple[str, Iterable[Step]]:
    """Return the requested model (empty where there is none) and the steps of the reply."""
    path = request.path.partition("?")[0]
    if (request.method, path) == ("GET", "/stats"):
        return "", [whole_json(stats.as_json())]
    stats.requests += 1
    stats.last.append(
        ReceivedRequest(request.method, path, request.headers, bytes(request.body[:KEPT_BODY]), time.monotonic())
    )
    if (request.method, path) == ("GET", "/v1/models"):
        models = [{"id": name, "object": "model", "created": CREATED, "owned_by": "chaos"} for name in CASES]
        return "", [whole_json(msgspec.json.encode({"object": "list", "data": models}))]
    if path not in ("/v1/chat/completions", "/v1/embeddings"):
        return "", [error(404, f"There is no route {path}.", "not_found")]
    if request.method != "POST":
        return "", [error(405, "This route takes POST only.", "method_not_allowed")]
    try:
        fields = msgspec.json.decode(request.body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return "", [error(400, "The body isn't a JSON object.", "invalid_request_error")]
    return _model_reply(fields, stats, chat=path == "/v1/chat/completions")


def _model_reply(fields: dict[str, Any], stats: Stats, *, chat: bool) -> tuple[str, Iterable[Step]]:
    model = str(fields.get("model"))
    case = case_for(model)
    if case is None:
        return model, [error(404, "This chaos model is unknown. GET /v1/models lists all.", "model_not_found")]
    stats.by_model[model] += 1
    options = fields.get("stream_options")
    request = ChaosRequest(
        model=model,
        attempt=stats.by_model[model],
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
        reply=Reply(model, reply_id="chatcmpl-chaos", created=CREATED),
        embeddings=None if chat else _embeddings(model, fields),
    )
    mode = case.stream if chat and fields.get("stream") is True else case.plain
    return model, mode.script(request)


def _embeddings(model: str, fields: dict[str, Any]) -> bytes:
    given = fields.get("input")
    inputs = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    return embeddings(model, inputs, packed=fields.get("encoding_format") == "base64")
