"""OpenAI's legacy wire over chats: bodies, whole answers, frames."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.events import Done, Failed, TextDelta
from gateway.domain.messages import ChatRequest
from gateway.errors import BadRequest, InvalidValue, ProviderError
from gateway.wire.text_completion import TextStream, completion, decode_completion
from tests.support.golden import RECORDINGS
from tests.support.provider_streams import TRACE, decoder

DONE = Done(TRACE, "stop", None, 1, 2)


def asked(headers: dict[str, str] | None = None, **fields: Any) -> ChatRequest:
    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    return decode_completion(json.dumps(fields).encode(), "/v1/completions", raw)


@pytest.mark.parametrize("prompt", ["Once upon", ["Once upon"]])
def test_a_prompt_is_a_question(prompt: Any) -> None:
    """All else that a chat takes goes on with it, and headers count as for a chat."""
    harmless = {"echo": False, "suffix": "", "best_of": 1, "logprobs": None, "tools": None}
    request = asked({"x-user-id": "ann"}, model="m", prompt=prompt, max_tokens=5, stream=True, n=2, **harmless)
    assert json.loads(bytes(request.fields.pop("messages"))) == [{"role": "user", "content": "Once upon"}]
    assert {name: json.loads(bytes(value)) for name, value in request.fields.items()} == {"max_tokens": 5, "n": 2}
    assert (request.model, request.stream, request.raw, request.user_id) == ("m", True, True, "ann")
    assert (request.route, request.preview) == ("/v1/completions", "Once upon")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("prompt", None, "is required"),
        ("prompt", ["a", "b"], "ask once for each"),
        ("prompt", [1, 2], "no token IDs"),
        ("prompt", [[1, 2]], "no token IDs"),
        ("prompt", 5, "is text here"),
        ("echo", True, "its question again"),
        ("echo", 0, "its question again"),
        ("suffix", "end", "from both sides"),
        ("best_of", 3, "use n"),
        ("best_of", True, "use n"),
        ("logprobs", 0, "top_logprobs"),
        ("tools", [], "use POST /v1/chat/completions"),
        ("functions", [{}], "use POST /v1/chat/completions"),
        ("messages", [{"role": "user", "content": "Hi"}], "use POST /v1/chat/completions"),
    ],
)
def test_what_a_chat_cannot_do_is_refused_by_name(field: str, value: Any, words: str) -> None:
    """Nothing is dropped in silence."""
    with pytest.raises(InvalidValue, match=words) as caught:
        asked(**{"prompt": "Hi", field: value})
    assert [name for name, _ in caught.value.details] == [field]


def test_a_body_that_is_no_json() -> None:
    """It is refused as a chat's is."""
    with pytest.raises(BadRequest):
        decode_completion(b"{", "/v1/completions")
    with pytest.raises(InvalidValue, match="prompt: is required"):
        decode_completion(b"{}", "/v1/completions")


def test_a_whole_answer() -> None:
    """Each choice has its text; what else the provider said stays beside it, and what can't be JSON is null."""
    body = (
        b'{"id":"c","object":"chat.completion","model":"m","trace_id":"tr-1","usage":{"total_tokens":3},"odd":NaN,'
        b'"choices":[{"index":0,"message":{"role":"assistant","content":"Hi \\ud83d\\ude00"},"logprobs":{"content":[]},'
        b'"finish_reason":"stop"},{"index":1,"message":{"content":null,"refusal":"No."},"finish_reason":"length"},'
        b'{"index":2,"message":{"content":[{"type":"text","text":"Ho"}]}},{"message":null,"finish_reason":"stop"}]}'
    )
    assert json.loads(completion(body)) == {
        "id": "c", "object": "text_completion", "model": "m", "trace_id": "tr-1", "usage": {"total_tokens": 3},
        "odd": None,
        "choices": [
            {"text": "Hi 😀", "index": 0, "logprobs": None, "finish_reason": "stop"},
            {"text": "No.", "index": 1, "logprobs": None, "finish_reason": "length"},
            {"text": "Ho", "index": 2, "logprobs": None, "finish_reason": None},
            {"text": "", "index": 0, "logprobs": None, "finish_reason": "stop"},
        ],
    }  # fmt: skip


def test_an_answer_that_cannot_be_read() -> None:
    """It is the provider's fault."""
    for body in (b"[]", b"", b"[" * 100_000):
        with pytest.raises(ProviderError, match="can't be read"):
            completion(body)


def events_of(data: bytes) -> list[Any]:
    """The JSON of each frame; each has one line and a blank one."""
    frames = data.decode().split("\n\n")
    assert frames.pop() == ""
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames)
    return [json.loads(frame[6:]) if frame != "data: [DONE]" else "[DONE]" for frame in frames]


def sent(name: str, *, keep_usage: bool = False) -> list[Any]:
    """What a client gets of a recorded stream."""
    stream = decoder(keep_raw=True, keep_usage=keep_usage)
    stream.feed((RECORDINGS / f"{name}.sse").read_bytes())
    stream.close()
    encoder = TextStream("default", 5)
    return events_of(b"".join(encoder.encode([*((1, raw) for raw in stream.raw), (2, DONE)])))


def text_of(events: list[Any], index: int = 0) -> str:
    return "".join(choice["text"] for event in events[:-1] for choice in event["choices"] if choice["index"] == index)


@pytest.mark.parametrize(
    "name",
    ["openai-text", "no-done", "llama-cpp-python-crlf", "dashscope-no-space", "halved-characters", "gemini-compat"],
)
def test_a_recorded_stream_has_its_text(name: str) -> None:
    """All of it, in frames of the legacy form; the last of them has the trace's ID."""
    stream = decoder()
    deltas = stream.feed((RECORDINGS / f"{name}.sse").read_bytes()) + stream.close()
    wanted = "".join(json.loads(b'"' + event.text + b'"') for event in deltas if isinstance(event, TextDelta))
    events = sent(name)
    assert text_of(events).encode("utf-16", "surrogatepass").decode("utf-16") == wanted
    assert {event["object"] for event in events[:-1]} == {"text_completion"}
    assert (events[-2]["trace_id"], events[-1]) == (TRACE, "[DONE]")
    assert events[-2]["choices"][0]["finish_reason"] == "stop"


def test_several_choices_keep_their_indexes() -> None:
    """As the provider counts them."""
    events = sent("openai-n2")
    assert text_of(events, 0)
    assert text_of(events, 1)


def test_usage_that_was_asked_for_is_sent() -> None:
    """In the chunk without choices, as the provider sent it."""
    with_usage = [event for event in sent("openai-text", keep_usage=True)[:-1] if event.get("usage")]
    assert [event["choices"] for event in with_usage] == [[]]
    assert not [event for event in sent("openai-text")[:-1] if event.get("usage")]


def test_what_has_no_text_is_not_sent() -> None:
    """A role, reasoning, a tool's call: then there is nothing to push, either."""
    stream = TextStream("default", 5)
    deltas: list[Any] = [{"role": "assistant", "content": ""}, {"reasoning_content": "hm"}, {"tool_calls": [{}]}, None]
    for delta in deltas:
        frame = b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"
        assert (stream.text(frame, 1), stream.encode([(1, frame)])) == (None, [])
    for odd in (
        b'data: {"choices":[],"prompt_filter_results":[]}\n\n',
        b'data: {"choices":null}\n\n',
        b"data: {}\n\n",
        b"id: 1\n\n",
    ):
        assert (stream.text(odd, 1), stream.encode([(1, odd)])) == (None, [])
    frame = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
    assert events_of(stream.text(frame, 1) or b"")[0]["choices"][0]["text"] == "Hi"


def test_the_ends_of_a_stream() -> None:
    """A stop has its last chunk; a failure is OpenAI's error, and no [DONE] follows; a wanted trace ID comes first."""
    stopped, done = events_of(b"".join(TextStream("m", 5).encode([(1, Done(TRACE, "stopped", None, 1, 2))])))
    assert stopped["choices"] == [{"text": "", "index": 0, "logprobs": None, "finish_reason": "stop"}]
    assert (stopped["object"], stopped["trace_id"], done) == ("text_completion", TRACE, "[DONE]")
    (failed,) = events_of(
        b"".join(TextStream("m", 5).encode([(1, Failed(TRACE, "Late.", "upstream_timeout", True, 504))]))
    )
    assert failed["error"]["code"] == "upstream_timeout"
    wanted = events_of(b"".join(TextStream("m", 5, return_trace_id=True).encode([(1, DONE)])))
    assert wanted == [{"trace_id": TRACE}, "[DONE]"]
