"""The edge: request and trace IDs, CORS, methods, and callers without a key."""

from __future__ import annotations

import re

import pytest

from tests.conftest import StartGateway
from tests.support.http_client import NO_TRACE, ask, assert_native, assert_openai, by_hand, call, dialled, read_reply
from tests.support.servers import GatewayProcess
from tests.web.conftest import ORIGIN, Locked, works

# Request and trace IDs


def test_a_request_id_is_made(edge: GatewayProcess) -> None:
    """Each response has its own."""
    ids = {call(edge, "GET", path).headers["x-request-id"] for path in ("/", "/config", "/nowhere", "/chat")}
    assert len(ids) == 4
    assert all(re.fullmatch(r"req-[0-9a-f]{24}", one) for one in ids)


@pytest.mark.parametrize("given", ["a", "req_1:2/3.4-5+6=", "x" * 128])
def test_a_request_id_that_was_given(edge: GatewayProcess, given: str) -> None:
    """It comes back, on good and on bad replies."""
    for method, path in (("GET", "/config"), ("GET", "/nowhere"), ("POST", "/chat")):
        assert call(edge, method, path, None, {"X-Request-Id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", 'a"b', "<script>", "\x1b[31m", "ü"])
def test_a_request_id_that_is_no_word(edge: GatewayProcess, given: str) -> None:
    """It is replaced, so that no log or page shows what a stranger wrote."""
    request = f"GET /config HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {given}\r\n\r\n".encode("latin-1")
    reply = by_hand(edge, request)
    if reply.status != 400:  # what HTTP itself forbids in a header, the server's parser refuses
        assert reply.status == 200
        assert re.fullmatch(r"req-[0-9a-f]{24}", reply.headers["x-request-id"])


def test_trace_ids_on_responses(edge: GatewayProcess) -> None:
    """Every response of a chat that got a trace names it; what was refused before has none."""
    chat = call(edge, "POST", "/chat", {"message": "hi"})
    assert chat.headers["x-trace-id"] == chat.json["trace_id"]
    stream = call(edge, "POST", "/chat/stream", {"message": "hi"})
    assert stream.headers["x-trace-id"] == stream.events[0]["trace_id"]
    openai = call(edge, "POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]})
    assert openai.headers["x-trace-id"] == openai.json["trace_id"]
    again = call(edge, "GET", f"/chat/stream/{chat.headers['x-trace-id']}")
    assert again.headers["x-trace-id"] == chat.headers["x-trace-id"]
    for method, path in (("GET", "/config"), ("POST", "/chat"), ("GET", f"/chat/stream/{NO_TRACE}")):
        assert "x-trace-id" not in call(edge, method, path).headers


def test_a_traceparent_is_a_link(edge: GatewayProcess) -> None:
    """It is kept, and gives nobody a say in the trace's own ID."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    first, second = (
        call(edge, "POST", "/chat", {"message": "hi"}, {"traceparent": parent}).json["trace_id"] for _ in range(2)
    )
    assert first != second
    assert "0af7651916cd43dd8448eb211c80319c" not in first
    assert edge.store.trace(first)["traceparent"] == parent


# CORS


@pytest.mark.parametrize("path", ["/chat/stream", "/v1/chat/completions", "/feedback", "/nowhere"])
def test_preflight(edge: GatewayProcess, locked: Locked, path: str) -> None:
    """A page of a configured origin may ask, without a key: browsers send none with a preflight."""
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, last-event-id, idempotency-key",
    }
    for gateway in (edge, locked.gateway):
        reply = call(gateway, "OPTIONS", path, None, headers)
        assert (reply.status, reply.body) == (204, b"")
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        assert reply.headers["access-control-allow-methods"] == "GET, POST, DELETE"
        allowed = reply.headers["access-control-allow-headers"].split(", ")
        assert set(headers["Access-Control-Request-Headers"].split(", ")) <= set(allowed)
        assert reply.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "asked",
    [
        "authorization,content-type,user-agent,x-stainless-lang,x-stainless-retry-count",  # OpenAI
        "content-type,user-agent",  # the AI SDK
        "authorization,content-type,openai-organization,openai-project,openai-beta",
        "authorization,content-type,http-referer,x-title",  # what was written for OpenRouter
        "cache-control,last-event-id,x-requested-with,pragma",
        "baggage,content-type,sentry-trace,traceparent,tracestate,x-datadog-trace-id",
    ],
)
def test_what_clients_send_of_themselves(edge: GatewayProcess, asked: str) -> None:
    """A client works in each browser: every header that it can't leave away is allowed."""
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
    for path in ("/v1/chat/completions", "/api/chat", "/feedback"):
        reply = call(edge, "OPTIONS", path, None, headers)
        allowed = reply.headers["access-control-allow-headers"].split(", ")
        assert set(asked.split(",")) <= set(allowed)
        assert "x-forwarded-for" not in allowed


def test_a_page_can_read_replies(edge: GatewayProcess, locked: Locked) -> None:
    """Good and bad ones, streams and refusals for want of a key, with the headers that say which trace it was."""
    origin = {"Origin": ORIGIN}
    replies = [
        call(edge, "POST", "/chat", {"message": "hi"}, origin),
        call(edge, "POST", "/chat/stream", {"message": "hi"}, origin),
        call(edge, "POST", "/chat", {"message": ""}, origin),
        call(locked.gateway, "POST", "/chat", {"message": "hi"}, origin),
    ]
    assert [reply.status for reply in replies] == [200, 200, 422, 401]
    for reply in replies:
        assert reply.headers["access-control-allow-origin"] == ORIGIN
        assert {"X-Trace-Id", "X-Request-Id"} <= set(reply.headers["access-control-expose-headers"].split(", "))
        assert "access-control-allow-credentials" not in reply.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil.example", "*", ""])
def test_other_origins(edge: GatewayProcess, origin: str) -> None:
    """They get no CORS header at all, neither on a preflight nor on a reply."""
    preflight = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for reply in (
        call(edge, "OPTIONS", "/chat", None, preflight),
        call(edge, "GET", "/config", None, {"Origin": origin}),
    ):
        assert not [name for name in reply.headers if name.startswith("access-control")]
        assert reply.headers["vary"] == "Origin"


def test_no_origin_no_cors(edge: GatewayProcess) -> None:
    """Other clients see nothing of it."""
    headers = call(edge, "GET", "/config").headers
    assert not [name for name in headers if name.startswith("access-control") or name == "vary"]


# Methods and paths


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/chat", {"POST"}),
        ("PUT", "/feedback", {"DELETE", "GET", "POST"}),
        ("DELETE", f"/chat/stream/{NO_TRACE}", {"GET"}),
        ("GET", f"/chat/stream/{NO_TRACE}/stop", {"POST"}),
        ("POST", "/healthz", {"GET"}),
        ("OPTIONS", "/chat", {"POST"}),
        ("BREW", "/chat", {"POST"}),
    ],
)
def test_another_method(edge: GatewayProcess, method: str, path: str, allowed: set[str]) -> None:
    """405, which says what there is."""
    request = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    reply = by_hand(edge, request)
    if method == "BREW" and reply.status == 400:
        return  # the parser knows no such method
    assert_native(reply, 405, "method_not_allowed")
    assert {part.strip() for part in reply.headers["allow"].split(",")} >= allowed


@pytest.mark.parametrize("path", ["/nowhere", "/chat/", "//chat", "/chat/stream/", "/sessions", "/%63hat%00", "/.env"])
def test_unknown_paths(edge: GatewayProcess, path: str) -> None:
    """404 in the native shape."""
    for method in ("GET", "POST"):
        assert_native(
            by_hand(edge, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()), 404, "unknown_path"
        )


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/nowhere", "/v1/"])
def test_unknown_paths_of_openai(edge: GatewayProcess, path: str) -> None:
    """404 in OpenAI's shape, which its clients can show."""
    assert_openai(call(edge, "POST", path, {}), 404, "unknown_path")
    assert_openai(call(edge, "GET", "/v1/chat/completions"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("POST", "/v1/responses", "POST /v1/chat/completions"),
        ("POST", "/v1/messages/count_tokens", "POST /v1/chat/completions"),
        ("POST", "/v1/images/generations", "the provider itself"),
        ("POST", "/v1/audio/speech", "the provider itself"),
        ("GET", "/v1/files/file-1", "the provider itself"),
        ("POST", "/v1/v1/chat/completions", "/v1 twice"),
        ("POST", "/v1/engines/gpt/completions", "POST /v1/completions"),
        ("POST", "/chat/completions", "must end in /v1"),
        ("POST", "//v1/chat/completions", "two slashes"),
        ("POST", "/v1/chat/completions/", "slash at its end"),
        ("GET", "/v1/chat/completions/chatcmpl-1", "the provider itself"),
        ("GET", "/models", "must end in /v1"),
        ("GET", "/models/echo", "must end in /v1"),
        ("POST", "/api/v1/chat/completions", "must end in /v1"),
        ("POST", "/openai/deployments/gpt/chat/completions", "the model in the body"),
        ("POST", "/openai/v1/chat/completions", "POST /v1/chat/completions"),
    ],
)
def test_what_openai_has_and_this_has_not(edge: GatewayProcess, method: str, path: str, words: str) -> None:
    """The error names what was asked for, and says what to use instead, where OpenAI's clients show it."""
    reply = call(edge, method, f"{path}?api-version=1", {} if method == "POST" else None)
    assert_openai(reply, 404, "unknown_path")
    said = reply.json["error"]["message"]
    assert said.startswith(f"{method} {path} is not served here. ")
    assert words in said


@pytest.mark.parametrize(
    ("method", "path", "words"),
    [
        ("POST", "/api/generate", "POST /v1/completions"),
        ("GET", "/api/tags", "GET /v1/models"),
        ("POST", "/api/show", "GET /v1/models/{model_id}"),
        ("POST", "/api/embed", "POST /v1/embeddings"),
        ("POST", "/api/embeddings", "POST /v1/embeddings"),
        ("GET", "/api/version", "GET /healthz"),
        ("GET", "/api/ps", "GET /v1/models"),
        ("POST", "/api/pull", "GET /v1/models"),
        ("HEAD", "/api/blobs/sha256:0", ""),
        ("POST", "/v1beta/models/gemini:generateContent", "POST /v1/chat/completions"),
    ],
)
def test_what_ollama_has_and_this_has_not(edge: GatewayProcess, method: str, path: str, words: str) -> None:
    """The same as text, which Ollama's clients show."""
    reply = call(edge, method, path, {} if method == "POST" else None)
    if method == "HEAD":
        assert reply.status == 404
        return
    said = reply.json["error"]
    assert reply.status == 404
    assert said.startswith(f"{method} {path} is not served here. ")
    assert words in said


def test_ollamas_chat(edge: GatewayProcess) -> None:
    """/api/chat is the AI SDK's here, and says so to a client of Ollama."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
    reply = call(edge, "POST", "/api/chat", body)
    assert reply.status == 422
    assert b"Ollama's isn't served: use POST /v1/chat/completions" in reply.body


def test_what_is_named_is_shown_safely(edge: GatewayProcess, locked: Locked) -> None:
    """Of a path only so much, on one line; and nothing of it to who has no key."""
    reply = call(edge, "POST", f"/v1/%0a%1b[31m{'x' * 300}", {})
    assert_openai(reply, 404, "unknown_path")
    assert reply.json["error"]["message"].isprintable()
    assert "x" * 100 not in reply.json["error"]["message"]
    for path in ("/v1/responses", "/chat/completions", "/api/tags"):
        assert call(locked.gateway, "GET", path).status == 401


@pytest.mark.parametrize("path", ["/", "/healthz", "/config", "/v1/models", "/nowhere"])
def test_head(edge: GatewayProcess, path: str) -> None:
    """The headers of a GET, and no body; the connection stays good for more."""
    get = call(edge, "GET", path)
    with dialled(edge) as connection:
        for _ in range(2):
            connection.sendall(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            head = read_reply(connection, "HEAD")
            assert (head.status, head.body) == (get.status, b"")
            assert head.headers["content-length"] == get.headers["content-length"]


@pytest.mark.parametrize("path", ["/events", "/chat/stream/{trace_id}"])
def test_head_of_a_stream(edge: GatewayProcess, path: str) -> None:
    """It ends, though the stream would go on."""
    trace_id = call(edge, "POST", "/chat/stream", {"message": "hi"}).headers["x-trace-id"]
    with dialled(edge) as connection:
        for _ in range(2):
            target = path.format(trace_id=trace_id)
            connection.sendall(f"HEAD {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            reply = read_reply(connection, "HEAD")
            assert reply.body == b""
            assert reply.status in (200, 405)


# Callers without a key


FORWARDED = ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Via", "X-Real-IP"]


@pytest.mark.parametrize("name", FORWARDED)
def test_a_proxy_before_the_gateway(edge: GatewayProcess, name: str) -> None:
    """What came through one may be from anywhere."""
    for method, path in (("POST", "/chat"), ("GET", "/feedback"), ("GET", "/nowhere"), ("GET", "/metrics")):
        assert_native(call(edge, method, path, None, {name: "127.0.0.1"}), 401, "unauthorized")
    assert_openai(call(edge, "GET", "/v1/models", None, {name: "127.0.0.1"}), 401, "unauthorized")
    assert call(edge, "GET", "/config", None, {name: "127.0.0.1"}).json["key_required"] is True
    assert call(edge, "GET", "/config").json["key_required"] is False


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "10.0.0.1", ""]
)
def test_a_name_that_was_pointed_here(edge: GatewayProcess, host: str) -> None:
    """A page whose name resolves to 127.0.0.1 shows by its Host that it is no local one."""
    assert_native(call(edge, "GET", "/v1x", None, {"Host": host}), 401, "unauthorized")
    assert_native(call(edge, "POST", "/chat", {"message": "hi"}, {"Host": host}), 401, "unauthorized")
    assert call(edge, "GET", "/healthz", None, {"Host": host}).status == 200


def test_two_hosts(edge: GatewayProcess) -> None:
    """Nobody knows which one a proxy went by."""
    request = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert by_hand(edge, request).status in (400, 401)


@pytest.mark.parametrize("authorization", ["Bearer gw-sk-wrong", "Bearer gw-", "bearer gw-sk-\xff"])
def test_a_bad_key_is_refused_on_this_machine_too(edge: GatewayProcess, authorization: str) -> None:
    """Even here, where none is needed; the challenge says how to do better, and the key isn't repeated."""
    reply = call(edge, "POST", "/chat", {"message": "hi"}, {"Authorization": authorization})
    assert_native(reply, 401, "invalid_api_key")
    assert reply.headers["www-authenticate"] == "Bearer"


def test_never(start_gateway: StartGateway) -> None:
    """Written out, it lets everybody in, whichever way they came."""
    gateway = start_gateway({"auth": {"require_keys": "never"}})
    headers = {"Host": "gateway.example", "X-Forwarded-For": "8.8.8.8"}
    assert call(gateway, "POST", "/chat", {"message": "hi", "model": "demo/lorem-1-0ms"}, headers).status == 200
    assert call(gateway, "GET", "/config", None, headers).json["key_required"] is False


def test_always(locked: Locked) -> None:
    """Nobody is let in without a key, and a good one opens from anywhere."""
    gateway, key = locked.gateway, locked.keys["chat"]
    assert_native(call(gateway, "POST", "/chat", {"message": "hi"}), 401, "unauthorized")
    assert call(gateway, "POST", "/chat", {"message": "hi"}, {"Host": "g.example", "Via": "p"}, key=key).status == 200
    assert call(gateway, "GET", "/config").json["key_required"] is True
    assert ask(gateway, key=key)["model"] == "default"
    assert works(gateway, key)
