"""OpenAI's wire as the gateway serves it: bodies, what goes around the provider's frames, errors."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.domain.events import Done, Failed, Terminal
from gateway.domain.messages import ChatRequest, Usage
from gateway.errors import (
    Forbidden,
    GatewayError,
    InvalidValue,
    NotFound,
    ProviderBusy,
    ProviderRefused,
    StoreUnavailable,
    Unauthorized,
)
from gateway.wire import openai
from tests.support.golden import RECORDINGS, check
from tests.support.provider_streams import TRACE, decoder

PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
ASK = [{"role": "user", "content": "Hi"}]


def chat(headers: dict[str, str] | None = None, **fields: Any) -> ChatRequest:
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return openai.decode_chat(json.dumps(fields).encode(), "/v1/chat/completions", raw)


def ends(end: Terminal, *, return_trace_id: bool = False) -> bytes:
    """What follows the provider's last frame."""
    [data] = openai.ChunkStream("default", 5, return_trace_id=return_trace_id).encode([(9, end)])
    return data


@pytest.mark.parametrize("name", ["openai-text", "openai-n2", "no-done", "llama-cpp-python-crlf", "dashscope-no-space"])
def test_golden_streams(name: str) -> None:
    """Recorded streams as a client gets them."""
    stream = decoder(keep_raw=True, keep_usage=False)
    stream.feed((RECORDINGS / f"{name}.sse").read_bytes())
    stream.close()
    end = ends(Done(TRACE, "stop", None, 1, 2), return_trace_id=name == "openai-text")
    check(f"{name}.sse", b"".join(stream.raw) + end)


def test_a_providers_own_words_go_on() -> None:
    """Its code, type and param, each where it has one, before the stream and within it."""
    error = ProviderRefused("Too long.", status=400)
    error.said = "context_length_exceeded", None, "messages"
    shown = {
        "message": "Too long.", "type": "invalid_request_error", "code": "context_length_exceeded", "param": "messages",
    }  # fmt: skip
    assert openai.error_body(error) == {"error": shown}
    failed = Failed(TRACE, "Too long.", error.code, False, 400, said=error.said)
    assert json.loads(ends(failed).removeprefix(b"data: ")) == {"error": shown}
    error.said = None, "their_type", None
    assert openai.error_body(error)["error"] | {"message": ""} == {
        "message": "", "type": "their_type", "code": "upstream_refused", "param": None,
    }  # fmt: skip


def test_golden_ends() -> None:
    """A stopped answer's last chunk, a failure amid a stream, and a stopped plain answer."""
    stopped = Done(TRACE, "stopped", Usage(1, 2, 3), 1, 2)
    failed = Failed(TRACE, "The provider answered 500.", "upstream_error", True)
    late = Failed(TRACE, "Too slow.", "upstream_timeout", True, 504)
    stream = ends(stopped)
    check("openai-ends.sse", openai.ChunkStream.heartbeat + stream + ends(failed) + ends(late))
    check("openai-stopped.json", openai.stopped_completion(stopped, [("text", "So far")], "default", 5))


def test_golden_errors() -> None:
    """OpenAI's shape, and its types by status."""
    errors: list[GatewayError] = [
        InvalidValue("n: wrong", details=[("n", "wrong")]), NotFound("Unknown."), Unauthorized("Key."),
        Forbidden("Role."), ProviderBusy("Busy."), ProviderRefused("Odd.", status=422), StoreUnavailable("Later."),
    ]  # fmt: skip
    shapes = [{"status": openai.error_status(error), **openai.error_body(error)} for error in errors]
    check("openai-errors.json", msgspec.json.encode(shapes))


def test_a_plain_body() -> None:
    """Everything but model, stream and stream_options goes to the provider as it is."""
    request = chat(messages=ASK, seed=5)
    assert (request.model, request.stream, request.raw, request.include_usage) == (None, False, True, False)
    assert (sorted(request.fields), request.preview) == (["messages", "seed"], "Hi")


def test_a_streaming_body_with_all_options() -> None:
    """Options ride in headers; OpenAI's own user and metadata go to the provider and onto the trace."""
    request = chat(
        {"x-session-id": "s", "x-client-request-id": "r", "traceparent": PARENT, "x-tag-team": "t"},
        messages=ASK, model="m", stream=True, stream_options={"include_usage": True}, user="ann",
        metadata={"a": "b", "c": 5},
    )  # fmt: skip
    assert (request.model, request.stream, request.include_usage) == ("m", True, True)
    assert sorted(request.fields) == ["messages", "metadata", "user"]
    assert (request.user_id, request.session_id, request.client_request_id) == ("ann", "s", "r")
    assert (request.traceparent, request.tags, request.metadata) == (PARENT, {"team": "t"}, {"a": "b"})


def test_what_is_no_traceparent_is_ignored() -> None:
    """As W3C Trace Context says."""
    assert chat({"traceparent": "00-1"}, messages=ASK).traceparent is None
    assert chat(messages=ASK).traceparent is None


@pytest.mark.parametrize(
    "headers", [{"x-tag-a": "x" * 8_001}, {"x-tag-": "x"}, {f"x-tag-{number}": "x" for number in range(51)}]
)
def test_tags_have_the_native_bounds(headers: dict[str, str]) -> None:
    """In number, name and length."""
    with pytest.raises(InvalidValue) as caught:
        chat(headers, messages=ASK)
    assert caught.value.details[0][0].startswith("X-Tag")


def test_the_header_names_the_user_before_the_body() -> None:
    """And a user that is no ID of ours goes to the provider only."""
    assert chat({"x-user-id": "header"}, messages=ASK, user="body").user_id == "header"
    assert chat(messages=ASK, user=5).user_id is None
    assert chat(messages=ASK, metadata="x").metadata == {}


@pytest.mark.parametrize(
    ("fields", "field"),
    [({}, "messages"), ({"messages": []}, "messages"), ({"messages": ASK, "stream": "yes"}, "stream"),
     ({"messages": ASK, "model": ""}, "model")],
)  # fmt: skip
def test_bad_values_are_named(fields: dict[str, Any], field: str) -> None:
    """In OpenAI's shape the first is `param`."""
    with pytest.raises(InvalidValue) as caught:
        chat(**fields)
    assert openai.error_body(caught.value)["error"]["param"] == field
