"""The table of routes: method, path, handler, who may call it, and the wire of its errors.

A route without roles is open to everybody; every other one wants a key where keys are required. What a route takes and
gives is described in operations.py, trace_operations.py and people_operations.py, for /openapi.json. Tables of other
packages are bound by binding.py.
"""

from __future__ import annotations

from gateway.access.principal import Role
from gateway.web import (
    ai_sdk,
    chat,
    completions,
    feedback,
    models,
    oidc,
    ops,
    pages,
    people,
    sessions,
    sign_in,
    tickets,
    trace_export,
    traces,
)
from gateway.web.route import Route
from gateway.wire.errors import AI_SDK, OPENAI

ASK: tuple[Role, ...] = ("chat", "publishable", "lead")
ASK_OR_JUDGE: tuple[Role, ...] = (*ASK, "review")  # a reviewer's key asks models that judge: streaming/begin.py
JUDGE: tuple[Role, ...] = ("chat", "review")
OWN: tuple[Role, ...] = ("chat", "token", "lead")
OWN_CHAT: tuple[Role, ...] = ("chat", "token", "publishable", "lead")
RATE: tuple[Role, ...] = ("chat", "review", "token")
CHAT: tuple[Role, ...] = ("chat",)
VOUCH: tuple[Role, ...] = ("chat", "review")
VIEW: tuple[Role, ...] = ("review",)
ADMIN: tuple[Role, ...] = ("admin",)

ROUTES: tuple[Route, ...] = (
    Route("POST", "/v1/chat/completions", chat.completions, ASK_OR_JUDGE, OPENAI, direct=True),
    Route("POST", "/chat/stream", chat.chat_stream, ASK, direct=True),
    Route("POST", "/feedback", feedback.rate, RATE, direct=True),
    Route("POST", "/chat", chat.chat, ASK, direct=True),
    Route("GET", "/chat/stream/{trace_id}", chat.resume, OWN),
    Route("POST", "/chat/stream/{trace_id}/stop", chat.stop, OWN),
    Route("POST", "/chat/ws-ticket", tickets.ws_ticket, ASK),
    Route("POST", "/feedback/token", feedback.make_token, VOUCH),
    Route("POST", "/detailed-feedback", feedback.rate_detailed, RATE, direct=True),
    Route("GET", "/feedback", feedback.read, RATE),
    Route("DELETE", "/feedback", feedback.retract, RATE),
    Route("GET", "/sessions/{session_id}", sessions.session, RATE),
    Route("DELETE", "/users/{user_id}", ops.erase_user, ADMIN),
    Route("POST", "/api/chat", ai_sdk.chat, ASK, AI_SDK, direct=True),
    Route("GET", "/api/chat/{session_id}/stream", ai_sdk.resume, OWN_CHAT, AI_SDK),
    Route("POST", "/api/chat/{session_id}/stop", ai_sdk.stop, OWN_CHAT, AI_SDK),
    Route("POST", "/v1/completions", completions.completions, ASK, OPENAI, direct=True),
    Route("GET", "/v1/models", models.models, CHAT, OPENAI),
    Route("GET", "/v1/models/{model_id}", models.model, CHAT, OPENAI),
    Route("POST", "/v1/embeddings", models.embeddings, CHAT, OPENAI),
    Route("GET", "/config", ops.config, ()),
    Route("GET", "/healthz", ops.healthz, ()),
    Route("GET", "/readyz", ops.readyz, ()),
    Route("GET", "/metrics", ops.metrics, ADMIN),
    Route("GET", "/events", ops.events, ADMIN),
    Route("GET", "/openapi.json", ops.openapi, ()),
    Route("GET", "/docs", pages.docs, ()),
    Route("GET", "/docs/{name}", pages.docs_asset, ()),
    Route("GET", "/", pages.app, ()),
    Route("GET", "/assets/{name}", pages.asset, ()),
    Route("POST", "/gateway/mlflow/v1/chat/completions", chat.judgement, JUDGE, OPENAI, basic=True),
    Route("GET", "/traces", traces.traces, VIEW),
    Route("GET", "/traces/count", traces.count, VIEW),
    Route("GET", "/traces/export", trace_export.export, VIEW),
    Route("GET", "/traces/facets", traces.facets, VIEW),
    Route("GET", "/traces/{trace_id}", traces.trace, VIEW),
    Route("GET", "/traces/{trace_id}/spans/{span_id}", traces.span, VIEW),
    Route("GET", "/me", sign_in.me, ()),
    Route("POST", "/auth/key", sign_in.by_key, ()),
    Route("POST", "/auth/invite", sign_in.by_invite, ()),
    Route("POST", "/auth/logout", sign_in.sign_out_here, ()),
    Route("GET", "/auth/oidc", oidc.begin, ()),
    Route("GET", "/auth/oidc/callback", oidc.callback, ()),
    Route("GET", "/people", people.people, VIEW),
    Route("POST", "/people/invites", people.invite, VIEW),
    Route("GET", "/people/invites", people.invites, VIEW),
    Route("DELETE", "/people/invites/{invite_id}", people.revoke, VIEW),
)
