"""The native wire: bodies in, events and errors out, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.domain.events import Done, Event, Failed, OtherDelta, ReasoningDelta, Started, TextDelta, ToolCallDelta
from gateway.domain.messages import Usage
from gateway.errors import BadRequest, GatewayError, InvalidValue, Unavailable
from gateway.wire import native
from tests.support.golden import check
from tests.support.provider_streams import TRACE

STARTED = Started(TRACE, "s-1 “x”", "default", "gw-ft-a.b")
EVENTS: list[tuple[int, Event]] = [
    (1, STARTED),
    (3, ReasoningDelta(b"hm", 2)),
    (9, TextDelta('Hé\\n\\"😀'.encode(), 6)),
    (10, ToolCallDelta(msgspec.Raw(b'{"index":0,\n"id":"call_1","function":{"name":"f","arguments":"{}"}}'))),
    (11, Done(TRACE, "stop", Usage(1, 2, 3), 12, 34, "gw-ft-a.b")),
]
PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
FAILED = Failed(TRACE, "The provider answered 500.", "upstream_error", True)


def chat(**fields: Any) -> Any:
    return native.decode_chat(json.dumps(fields).encode(), "/chat/stream")


def test_golden_events() -> None:
    """Every event as server-sent events, and as WebSocket frames."""
    stopped: list[tuple[int, Event]] = [(12, Done(TRACE, "stopped", None, None, 5)), (13, FAILED)]
    wire = native.EventStream()
    stream = b"".join([wire.connected, *wire.encode(EVENTS), wire.heartbeat, *wire.encode(stopped)])
    check("native.sse", stream)
    frames = [frame.decode() for frame in native.SocketFrames('c"1').encode([*EVENTS, *stopped])]
    frames.append(native.error_frame(Unavailable("Later."), {"id": "c1"}))
    check("socket.jsonl", "".join(frame + "\n" for frame in frames).encode())


def test_golden_errors() -> None:
    """The one shape, with and without details and trace."""
    wrong = InvalidValue("name: wrong", details=[("name", "wrong"), ("é", "odd")])
    shapes = [native.error_fields(GatewayError("Oops.")), native.error_fields(wrong, TRACE)]
    check("native-errors.json", msgspec.json.encode(shapes))


def test_every_event_is_one_line_of_json() -> None:
    """A client that splits on line ends and parses what follows `data: ` reads all of it."""
    lines = b"".join(native.EventStream().encode(EVENTS)).decode().split("\n")
    found = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert [event["type"] for event in found] == ["start", "reasoning", "token", "tool_call", "done"]
    assert found[2]["content"] == 'Hé\n"😀'


def test_what_is_no_text_is_told_as_it_came() -> None:
    """With the provider's own fields; but a refusal's words are read as text."""
    audio, refusal = (OtherDelta(msgspec.Raw(raw)) for raw in (b'{"audio":{"data":"AA"}}', b'{"refusal":"No\\n"}'))
    assert json.loads(native.event_json(audio)) == {"type": "delta", "delta": {"audio": {"data": "AA"}}}
    assert json.loads(native.event_json(refusal)) == {"type": "token", "content": "No\n"}


def test_a_message_becomes_the_messages() -> None:
    """With everything else beside it: options taken out, the provider's parameters kept as they are."""
    request = native.decode_chat(
        b'{"message":"Hi \\u00e9","model":"m","session_id":"s","user_id":"u","client_request_id":"r","tags":{"a":"b"},'
        b'"metadata":{"c":"d"},"temperature":0.50,"tools":null,"stream":false,"stream_options":7,"n":1,"messages":null}',
        "/chat", [(b"traceparent", PARENT.encode())],
    )  # fmt: skip
    assert {name: bytes(raw) for name, raw in request.fields.items()} == {
        "temperature": b"0.50", "tools": b"null", "n": b"1",
        "messages": '[{"role":"user","content":"Hi é"}]'.encode(),
    }  # fmt: skip
    assert (request.model, request.session_id, request.user_id, request.client_request_id) == ("m", "s", "u", "r")
    assert (request.tags, request.metadata, request.preview) == ({"a": "b"}, {"c": "d"}, "Hi é")
    assert (request.route, request.traceparent, request.continues) == (
        "/chat",
        PARENT,
        True,
    )
    assert (request.stream, request.raw) == (True, False)


def test_null_is_the_same_as_nothing() -> None:
    """For every option; a parameter of the provider's stays as it is."""
    names = ("model", "session_id", "user_id", "client_request_id", "tags", "metadata", "messages", "stream", "n")
    request = chat(message="Hi", **dict.fromkeys(names))
    bare = chat(message="Hi")
    assert bytes(request.fields.pop("n")) == b"null"
    assert msgspec.structs.replace(request, size=bare.size) == bare
    assert (request.tags, request.metadata, request.continues) == ({}, {}, False)
    assert native.decode_chat(b'{"message":"a"}', "/chat", [(b"traceparent", b"nonsense")]).traceparent is None


def test_messages_continue_nothing() -> None:
    """They bring their own history; the last user message is the preview."""
    request = chat(
        session_id="s",
        messages=[
            {"role": "user", "content": "one"},
            {"role": "user", "content": [{"type": "text", "text": "two"}, {"type": "image_url"}, 5]},
            {"role": "assistant", "content": None, "tool_calls": []},
        ],
    )
    assert (request.continues, request.preview) == (False, "two")


def test_the_last_message_is_the_preview_where_no_user_spoke() -> None:
    """Without content it is empty."""
    assert chat(messages=[{"role": "system", "content": "be"}]).preview == "be"
    assert chat(messages=[{"role": "tool"}]).preview == ""


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "message"),
        ({"message": "a", "messages": [{"role": "user", "content": "b"}]}, "message"),
        ({"message": " \n"}, "message"),
        ({"message": 5}, "message"),
        ({"messages": []}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages"),
        ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": []}]}, "messages"),
        ({"messages": [{"role": "user"}, {"role": "assistant", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "robot"}]}, "messages[0].role"),
        ({"messages": [{"content": "x"}]}, "messages[0]"),
        ({"message": "a", "n": 2}, "n"),
        ({"message": "a", "n": "x"}, "n"),
        ({"message": "a", "session_id": ""}, "session_id"),
        ({"message": "a", "user_id": "u" * 251}, "user_id"),
        ({"message": "a", "model": 5}, "model"),
        ({"message": "a", "tags": {"a": 1}}, "tags[...]"),
        ({"message": "a", "tags": {"": "x"}}, "tags"),
        ({"message": "a", "metadata": {str(i): "" for i in range(51)}}, "metadata"),
    ],
)
def test_bad_values_are_named(fields: dict[str, Any], field: str) -> None:
    """Each is 422 with the field in its details."""
    with pytest.raises(InvalidValue) as caught:
        chat(**fields)
    assert caught.value.details[0][0] == field


@pytest.mark.parametrize("body", [b"", b"{", b"\xff{}", b'{"a":NaN}', b"[" * 100_000])
def test_what_is_not_json_is_400(body: bytes) -> None:
    """Bad UTF-8 too."""
    with pytest.raises(BadRequest) as caught:
        native.decode_chat(body, "/chat")
    assert caught.value.code == "not_json"


@pytest.mark.parametrize(
    "body",
    [b"[]", b'"x"', b'{"message":"\\ud800"}', b'{"message":"a","user_id":"\\udc00"}'],
)
def test_json_that_is_no_chat_is_422(body: bytes) -> None:
    """Not an object, or text with half a character."""
    with pytest.raises(InvalidValue):
        native.decode_chat(body, "/chat")
