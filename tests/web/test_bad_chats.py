"""Bad chats: what each gets, that nothing of it is stored, and that the server goes on."""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any

import pytest

from tests.support.http_client import assert_native, assert_openai, by_hand, call, dialled, read_reply
from tests.support.servers import GatewayProcess
from tests.web.conftest import MAX_BODY, works

PATHS = ["/chat", "/chat/stream", "/v1/chat/completions"]
ROLE_HI = {"role": "user", "content": "hi"}
DEEP = b'{"messages": [{"role": "user", "content": ' + b"[" * 50_000 + b"]" * 50_000 + b"}]}"

# body, status (400 on /v1 where it is 422), code
BAD: dict[str, tuple[bytes | dict[str, Any], int, str]] = {
    "empty": (b"", 400, "not_json"),
    "not-json": (b"{message: hi}", 400, "not_json"),
    "cut-off": (b'{"messages": [', 400, "not_json"),
    "two-documents": (b"{}{}", 400, "not_json"),
    "nan": (b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', 400, "not_json"),
    "not-utf-8": (b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}', 400, "not_json"),
    "utf-16": ('{"messages": []}'.encode("utf-16"), 400, "not_json"),
    "byte-order-mark": (b'\xef\xbb\xbf{"messages": []}', 400, "not_json"),
    "too-deep": (DEEP, 400, "not_json"),
    "lone-surrogate": (b'{"messages": [{"role": "user", "content": "a\\ud800b"}]}', 422, "invalid_value"),
    "lone-surrogate-name": (b'{"\\udfff": 1, "messages": [{"role": "user", "content": "x"}]}', 422, "invalid_value"),
    "array": (b"[]", 422, "invalid_value"),
    "string": (b'"hi"', 422, "invalid_value"),
    "null": (b"null", 422, "invalid_value"),
    "nothing": ({}, 422, "invalid_value"),
    "no-messages": ({"messages": []}, 422, "invalid_value"),
    "messages-of-strings": ({"messages": ["hi"]}, 422, "invalid_value"),
    "messages-object": ({"messages": {"role": "user"}}, 422, "invalid_value"),
    "bad-role": ({"messages": [{"role": "robot", "content": "hi"}]}, 422, "invalid_value"),
    "no-role": ({"messages": [{"content": "hi"}]}, 422, "invalid_value"),
    "role-number": ({"messages": [{"role": 1, "content": "hi"}]}, 422, "invalid_value"),
    "content-number": ({"messages": [{"role": "user", "content": 7}]}, 422, "invalid_value"),
    "model-number": ({"messages": [ROLE_HI], "model": 7}, 422, "invalid_value"),
    "model-empty": ({"messages": [ROLE_HI], "model": ""}, 422, "invalid_value"),
    "model-unknown": ({"messages": [ROLE_HI], "model": "gpt-nowhere"}, 404, "model_not_found"),
}
NATIVE: dict[str, tuple[Any, str]] = {
    "message-empty": ({"message": ""}, "message"),
    "message-blank": ({"message": " \n\t"}, "message"),
    "message-number": ({"message": 5}, "message"),
    "both": ({"message": "hi", "messages": [ROLE_HI]}, "message"),
    "session-number": ({"message": "hi", "session_id": 5}, "session_id"),
    "session-empty": ({"message": "hi", "session_id": ""}, "session_id"),
    "session-long": ({"message": "hi", "session_id": "s" * 251}, "session_id"),
    "user-list": ({"message": "hi", "user_id": ["u"]}, "user_id"),
    "request-id-long": ({"message": "hi", "client_request_id": "r" * 251}, "client_request_id"),
    "tags-list": ({"message": "hi", "tags": ["a"]}, "tags"),
    "tags-value": ({"message": "hi", "tags": {"a": 1}}, "tags[...]"),
    "tags-many": ({"message": "hi", "tags": {str(i): "" for i in range(51)}}, "tags"),
    "metadata-string": ({"message": "hi", "metadata": "m"}, "metadata"),
    "several-answers": ({"message": "hi", "n": 2}, "n"),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("body", "status", "code"), BAD.values(), ids=BAD.keys())
def test_bad_bodies(edge: GatewayProcess, path: str, body: bytes | dict[str, Any], status: int, code: str) -> None:
    """A clear error in the shape of its wire, no trace, and the next chat is answered."""
    before = len(edge.store.traces())
    reply = call(edge, "POST", path, body)
    if path.startswith("/v1"):
        assert_openai(reply, 400 if status == 422 else status, code)
    else:
        assert_native(reply, status, code)
    assert "x-trace-id" not in reply.headers
    assert len(edge.store.traces()) == before
    assert works(edge)


@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
@pytest.mark.parametrize(("body", "field"), NATIVE.values(), ids=NATIVE.keys())
def test_bad_fields(edge: GatewayProcess, path: str, body: Any, field: str) -> None:
    """The field is named, and nothing is stored."""
    before = len(edge.store.traces())
    assert_native(call(edge, "POST", path, body), 422, "invalid_value", field)
    assert len(edge.store.traces()) == before


@pytest.mark.parametrize("value", ["", "s" * 251])
@pytest.mark.parametrize("name", ["X-Session-Id", "X-User-Id", "X-Client-Request-Id"])
def test_bad_option_headers(edge: GatewayProcess, name: str, value: str) -> None:
    """The gateway's options on /v1 ride in headers, and have the same bounds."""
    reply = call(edge, "POST", "/v1/chat/completions", {"messages": [ROLE_HI]}, {name: value})
    assert_openai(reply, 400, "invalid_value")
    assert reply.json["error"]["param"] == name.lower()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
@pytest.mark.parametrize("path", PATHS)
def test_a_body_of_another_type(edge: GatewayProcess, path: str, kind: str) -> None:
    """What a page can send without asking its browser first is refused."""
    reply = call(edge, "POST", path, json.dumps({"messages": [ROLE_HI]}).encode(), {"Content-Type": kind})
    if path.startswith("/v1"):
        assert_openai(reply, 415, "unsupported_type")
    else:
        assert_native(reply, 415, "unsupported_type")


def test_embeddings_of_no_model(edge: GatewayProcess) -> None:
    """They have the same errors, in OpenAI's shape."""
    assert_openai(call(edge, "POST", "/v1/embeddings", {"model": "nowhere", "input": "x"}), 404, "model_not_found")
    assert_openai(call(edge, "POST", "/v1/embeddings", {"model": 5, "input": "x"}), 400, "invalid_value")
    assert_openai(call(edge, "POST", "/v1/embeddings", b"{"), 400, "not_json")


# Size


def test_the_largest_body(edge: GatewayProcess) -> None:
    """Exactly max_body_bytes is taken, one more is 413."""
    rim = len(json.dumps({"message": ""}))
    assert call(edge, "POST", "/chat", {"message": "x" * (MAX_BODY - rim)}).status == 200
    assert_native(call(edge, "POST", "/chat", {"message": "x" * (MAX_BODY - rim + 1)}), 413, "too_large")


HEAD = b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize("path", [*PATHS, "/feedback", "/detailed-feedback"])
def test_a_length_that_is_too_large(edge: GatewayProcess, path: str) -> None:
    """It is refused by its Content-Length, before any of it has come."""
    before = len(edge.store.traces())
    reply = by_hand(edge, HEAD % path.encode() + b"Content-Length: 999999999999\r\n\r\n")
    if path.startswith("/v1"):
        assert_openai(reply, 413, "too_large")
    else:
        assert_native(reply, 413, "too_large")
    assert reply.headers["connection"] == "close"
    assert len(edge.store.traces()) == before
    assert works(edge)


@pytest.mark.parametrize("path", ["/chat", "/v1/chat/completions", "/feedback"])
def test_a_body_that_never_ends(edge: GatewayProcess, path: str) -> None:
    """Chunks without an end are refused once they are over the bound."""
    with dialled(edge) as connection:
        connection.sendall(HEAD % path.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        with contextlib.suppress(OSError):
            for _ in range(MAX_BODY // 10_000 + 2):
                connection.sendall(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        reply = read_reply(connection)
        assert reply.status == 413
        assert reply.headers["connection"] == "close"
    assert works(edge)


@pytest.mark.parametrize("times", [2, 100])
def test_a_large_body_sent_whole(edge: GatewayProcess, times: int) -> None:
    """A client that sends all before it reads gets its 413 too, not a broken connection."""
    assert_native(call(edge, "POST", "/chat", b"x" * (MAX_BODY * times)), 413, "too_large")
    assert works(edge)


def test_a_body_that_breaks_off(edge: GatewayProcess) -> None:
    """A client that leaves amid its body leaves nothing behind."""
    before = len(edge.store.traces())
    with dialled(edge) as connection:
        connection.sendall(HEAD % b"/chat" + b'Content-Length: 100\r\n\r\n{"message": "hi"')
    with dialled(edge) as connection:
        connection.sendall(HEAD % b"/chat" + b'Content-Length: 100\r\n\r\n{"message": "hi"')
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            assert not connection.recv(100).startswith(b"HTTP/1.1 200")
    assert works(edge)
    assert len(edge.store.traces()) == before + 1
