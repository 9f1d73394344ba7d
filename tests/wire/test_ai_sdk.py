"""The AI SDK's wire: UI messages to a provider's, events to chunks. Its own clients read it in frontend/tests/aisdk."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.domain.events import Done, Event, Failed, OtherDelta, ReasoningDelta, Started, TextDelta, ToolCallDelta
from gateway.domain.messages import ChatRequest, Usage
from gateway.errors import InvalidValue
from gateway.wire.ai_sdk import DONE, UIMessageStream, decode_chat, decode_chat_and_token, history_token
from tests.support.provider_streams import TRACE

STARTED = Started(TRACE, "chat-1", "default")


def decode(**body: Any) -> ChatRequest:
    return decode_chat(json.dumps({"id": "chat-1", **body}).encode())


def messages(*given: dict[str, Any]) -> Any:
    """What the provider gets of these UI messages."""
    return json.loads(bytes(decode(messages=[{"id": "m", **message} for message in given]).fields["messages"]))


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def chunks(*events: Event) -> list[dict[str, Any]]:
    """The chunks of a whole stream; it must end in [DONE]."""
    out = b"".join(UIMessageStream().encode(enumerate(events, 1)))
    assert out.endswith(DONE)
    return [json.loads(line[6:]) for line in out.removesuffix(DONE).decode().split("\n\n") if line]


def call(**fields: Any) -> ToolCallDelta:
    return ToolCallDelta(msgspec.Raw(json.dumps(fields).encode()))


def other(**fields: Any) -> OtherDelta:
    return OtherDelta(msgspec.Raw(json.dumps(fields).encode()))


def done(reason: str = "stop") -> Done:
    return Done(TRACE, reason, None, 3, 20)


def test_the_chat_is_the_session_and_the_rest_goes_to_the_provider() -> None:
    """Options are ours, what the SDK adds is left out."""
    user = {"id": "m", "role": "user", "parts": [said("hi")]}
    request = decode(messages=[user], trigger="submit-message", messageId="m", model="m1", temperature=0.5, user_id="u")
    assert (request.session_id, request.model, request.user_id, request.route) == ("chat-1", "m1", "u", "/api/chat")
    assert set(request.fields) == {"messages", "temperature"}
    assert not request.continues


WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}


def test_what_assistant_ui_sends_beside_the_messages_is_translated() -> None:
    """A strict provider gets its own parameters, and nothing that it doesn't know."""
    request = decode(
        messages=[{"role": "user", "parts": [said("hi")]}],
        system="Be brief.",
        tools={
            "weather": {"description": "Tells it", "parameters": {"$schema": "x", **WEATHER}, "providerOptions": {}},
            "time": {"inputSchema": {"jsonSchema": WEATHER}},
            "none": {"description": 5, "parameters": None},
            "odd": 1,
        },
        callSettings={"maxTokens": 9, "topP": 0.5, "temperature": None, "headers": {"X-Key": "secret"}, "topK": 3},
        config={"apiKey": "secret", "baseUrl": "https://x", "modelName": "m1", "reasoningEffort": "low"},
        metadata={"page": "home", "n": 1, "": "x"},
        runConfig={},
        threadId="t",
        presencePenalty=0.1,
    )
    fields = {name: json.loads(bytes(value)) for name, value in request.fields.items()}
    assert fields == {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "tools": [
            {"type": "function", "function": {"name": "weather", "description": "Tells it", "parameters": WEATHER}},
            {"type": "function", "function": {"name": "time", "parameters": WEATHER}},
            {"type": "function", "function": {"name": "none", "parameters": {"type": "object", "properties": {}}}},
        ],
        "max_tokens": 9,
        "top_p": 0.5,
        "presence_penalty": 0.1,
        "reasoning_effort": "low",
    }
    assert (request.model, request.metadata) == ("m1", {"page": "home"})


def test_the_providers_own_parameters_stay() -> None:
    """Also a list of tools in OpenAI's form; one in the SDK's form is translated, and what is neither is dropped."""
    openai = {"type": "function", "function": {"name": "f"}}
    tools = [openai, {"type": "function", "name": "g", "inputSchema": WEATHER}, "x"]
    request = decode(
        messages=[{"role": "user", "parts": [said("hi")]}],
        tools=tools,
        model="m2",
        max_tokens=5,
        callSettings={"maxOutputTokens": 9},
        config={"modelName": "m1"},
        system=[{"role": "system", "content": "One."}, "Two.", {"content": 3}, " "],
    )
    assert (request.model, bytes(request.fields["max_tokens"])) == ("m2", b"5")
    function = {"name": "g", "parameters": WEATHER}
    assert json.loads(bytes(request.fields["tools"])) == [openai, {"type": "function", "function": function}]
    contents = [message["content"] for message in json.loads(bytes(request.fields["messages"]))]
    assert contents == ["One.", "Two.", "hi"]


@pytest.mark.parametrize("nothing", [None, {}, [], "x", 5])
def test_empty_extras_are_dropped(nothing: Any) -> None:
    """Of whatever form; a blank system text, too."""
    extras = dict.fromkeys(("tools", "callSettings", "config", "metadata"), nothing)
    request = decode(message={"role": "user", "parts": [said("hi")]}, system=" ", **extras)
    assert set(request.fields) == {"messages"}


def test_a_system_text_comes_before_the_newest_message() -> None:
    """Where the client sends that one alone."""
    request = decode(message={"role": "user", "parts": [said("hi")]}, system="Be brief.")
    roles = [message["role"] for message in json.loads(bytes(request.fields["messages"]))]
    assert (roles, request.preview) == (["system", "user"], "hi")


def test_the_newest_token_of_the_history() -> None:
    """In a message's metadata, or where assistant-ui keeps what is custom in them."""
    history: list[dict[str, Any]] = [
        {"role": "assistant", "metadata": {"feedbackToken": "one"}},
        {"role": "assistant", "metadata": {"custom": {"feedbackToken": "two"}}},
        {"role": "user", "metadata": "x"},
    ]
    assert history_token(json.dumps({"messages": history}).encode()) == "two"
    assert history_token(b"{}") is None
    body = {"id": "c", "messages": [*history, {"role": "user", "parts": [said("hi")]}]}
    assert decode_chat_and_token(json.dumps(body).encode(), "/api/chat")[1] == "two"


def test_one_message_continues_the_chat() -> None:
    """For clients that send the newest alone."""
    request = decode(message={"role": "user", "parts": [said("hi"), said("there")]})
    assert request.continues
    assert request.preview == "hi\nthere"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": [], "message": {"role": "user", "parts": [said("x")]}},
        {"messages": []},
        {"messages": [{"role": "tool", "parts": []}]},
        {"messages": [{"role": "user", "parts": []}]},
        {"id": "", "messages": [{"role": "user", "parts": [said("x")]}]},
        {"message": {"role": "user", "parts": []}},
    ],
)
def test_bad_bodies(body: dict[str, Any]) -> None:
    """They are refused, and the field is named."""
    with pytest.raises(InvalidValue) as refused:
        decode(**body)
    assert refused.value.details


def test_text_messages() -> None:
    """By parts, or by `content` as before version 5; what has no text is left out."""
    assert messages(
        {"role": "system", "parts": [said("be kind")]},
        {"role": "user", "content": "old"},
        {"role": "assistant", "content": "older"},
        {"role": "assistant", "parts": [{"type": "reasoning", "text": "hm"}, said("a"), said("b")]},
        {"role": "assistant", "parts": []},
        {"role": "user", "parts": [said("new")]},
    ) == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "old"},
        {"role": "assistant", "content": "older"},
        {"role": "assistant", "content": "ab", "reasoning_content": "hm"},
        {"role": "user", "content": "new"},
    ]


def test_files() -> None:
    """Images and others, with and without text."""
    image = {"type": "file", "mediaType": "image/png", "url": "data:image/png;base64,AA"}
    paper = {"type": "file", "mediaType": "application/pdf", "url": "data:application/pdf;base64,AA"}
    shown = {"type": "image_url", "image_url": {"url": image["url"]}}
    read = {"type": "file", "file": {"file_data": paper["url"], "filename": "file"}}
    assert messages({"role": "user", "parts": [said("see"), image]}, {"role": "user", "parts": [paper]}) == [
        {"role": "user", "content": [said("see"), shown]},
        {"role": "user", "content": [read]},
    ]


def test_tools_step_by_step() -> None:
    """A call goes with its result; one without is left out."""
    tool = {"toolCallId": "c1", "input": {"city": "Ulm"}}
    parts = [
        {"type": "step-start"},
        said("let me see"),
        {"type": "tool-weather", "state": "output-available", "output": {"c": 7}, **tool},
        {"type": "dynamic-tool", "toolName": "clock", "state": "output-error", "errorText": "broken", **tool},
        {"type": "tool-weather", "state": "input-available", **tool},
        {"type": "step-start"},
        said("7 degrees"),
    ]
    first, weather, clock, second, _ = messages(
        {"role": "assistant", "parts": parts}, {"role": "user", "parts": [said("thanks")]}
    )
    assert [each["function"]["name"] for each in first["tool_calls"]] == ["weather", "clock"]
    assert first["tool_calls"][0]["function"]["arguments"] == '{"city":"Ulm"}'
    assert weather == {"role": "tool", "tool_call_id": "c1", "content": '{"c":7}'}
    assert clock["content"] == "broken"
    assert second == {"role": "assistant", "content": "7 degrees"}


def test_an_answer() -> None:
    """Parts open before their deltas and close before the next; metadata comes first and last."""
    events = (ReasoningDelta(b"hm", 2), TextDelta(b"H\\u00e9", 2), TextDelta(b"y", 1))
    last = Done(TRACE, "stop", Usage(1, 2, 3), 3, 20, "t2")
    found = chunks(Started(TRACE, "chat-1", "default", "t"), *events, last)
    assert [chunk["type"] for chunk in found] == [
        *("start", "start-step", "reasoning-start", "reasoning-delta", "reasoning-end"),
        *("text-start", "text-delta", "text-delta", "text-end", "finish-step", "finish"),
    ]
    begun = {"traceId": TRACE, "sessionId": "chat-1", "model": "default", "feedbackToken": "t"}
    assert found[0] == {"type": "start", "messageId": TRACE, "messageMetadata": begun}
    assert found[6] == {"type": "text-delta", "id": "2", "delta": "Hé"}
    timing = {"firstTokenMs": 3, "totalMs": 20}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    assert found[-1]["messageMetadata"] == begun | {"feedbackToken": "t2", "timing": timing, "usage": usage}
    assert found[-1]["finishReason"] == "stop"


@pytest.mark.parametrize(
    ("reason", "shown"),
    [("length", "length"), ("content_filter", "content-filter"), ("tool_calls", "tool-calls"), ("odd", "other")],
)
def test_reasons(reason: str, shown: str) -> None:
    """Only words that the clients know."""
    assert chunks(STARTED, done(reason))[-1]["finishReason"] == shown


def test_a_stop_is_an_abort() -> None:
    """With the metadata before it, since an abort carries none."""
    *_, metadata, abort = chunks(STARTED, TextDelta(b"a", 1), done("stopped"))
    assert metadata["messageMetadata"]["traceId"] == TRACE
    assert abort == {"type": "abort", "reason": "stopped"}


def test_a_failure() -> None:
    """After what there is of the text."""
    failed = Failed(TRACE, "The provider answered 500.", "upstream_error", True)
    assert chunks(STARTED, TextDelta(b"a", 1), failed)[-2:] == [
        {"type": "text-end", "id": "1"},
        {"type": "error", "errorText": "The provider answered 500."},
    ]


def test_tool_calls() -> None:
    """Pieces grow into one input; what isn't JSON, or isn't of the form, kills no client."""
    found = chunks(
        STARTED,
        TextDelta(b"a", 1),
        call(index=0, id="c1", function={"name": "weather", "arguments": ""}),
        call(index=0, function={"arguments": '{"city":'}),
        call(index=0, function={"arguments": '"Ulm"}'}),
        call(index=1, function={"name": "clock"}),
        call(index=2, id="c3", function={"name": "broken", "arguments": "{"}),
        call(index=3, id="c4", function={"arguments": "lost"}),
        call(index="odd"),
        done("tool_calls"),
    )
    assert found[4:8] == [
        {"type": "text-end", "id": "1"},
        {"type": "tool-input-start", "toolCallId": "c1", "toolName": "weather"},
        {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '{"city":'},
        {"type": "tool-input-delta", "toolCallId": "c1", "inputTextDelta": '"Ulm"}'},
    ]
    ends = [chunk for chunk in found if chunk["type"] in ("tool-input-available", "tool-input-error")]
    assert [(end["toolCallId"], end["toolName"], end["input"]) for end in ends] == [
        ("c1", "weather", {"city": "Ulm"}),
        ("call_1", "clock", {}),
        ("c3", "broken", "{"),
    ]


def test_the_short_way_for_text() -> None:
    """It is open only while a text part is."""
    stream = UIMessageStream()
    stream.encode([(1, STARTED)])
    assert stream.text(b"a") is None
    stream.encode([(2, TextDelta(b"a", 1))])
    assert stream.text(b"\\n") == b'data: {"type":"text-delta","id":"1","delta":"\\n"}\n\n'
