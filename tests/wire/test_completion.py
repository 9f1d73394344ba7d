"""Whole completions, and answers that come in the form that was not asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.answer import answer_text
from gateway.domain.events import Finished, UsageReported
from gateway.domain.messages import Usage
from gateway.errors import AnswerTooLong
from gateway.wire.completion import CompletionDecoder, FoldingDecoder
from tests.support.golden import RECORDINGS, check
from tests.support.provider_streams import (
    PLACES,
    TEXT,
    TRACE,
    chunks,
    cuts,
    decoder,
    delta,
    few,
    merged,
    read,
    text_of,
    written,
)

USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


def completion(*, as_stream: bool = False, keep_usage: bool = True, max_bytes: int = 1_000_000) -> CompletionDecoder:
    return CompletionDecoder(TRACE, as_stream=as_stream, keep_usage=keep_usage, max_bytes=max_bytes)


def folding() -> FoldingDecoder:
    return FoldingDecoder(TRACE, max_frame_bytes=1_000_000)


def document(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    choices = [
        {"index": i, "message": {"role": "assistant", **said}, "finish_reason": "stop"}
        for i, said in enumerate(messages)
    ]
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, **more}


NAMES = TEXT.filter(bool)
CALLS = st.lists(
    st.fixed_dictionaries(
        {
            "id": NAMES,
            "type": st.just("function"),
            "function": st.fixed_dictionaries({"name": NAMES, "arguments": TEXT}),
        }
    ),
    max_size=3,
    unique_by=lambda call: str(call["id"]),
)


@few
@given(st.lists(TEXT, max_size=2), TEXT, TEXT, CALLS, PLACES, st.booleans(), st.sampled_from([None, 1]))
def test_a_document_survives_the_way_to_a_stream_and_back(
    others: list[str], content: str, why: str, calls: list[Any], places: list[int], escaped: bool, indent: int | None
) -> None:
    """Plain JSON as chunks, those folded into plain JSON: the same messages, ends and usage."""
    first: dict[str, Any] = {"content": content or None}
    if why:
        first["reasoning_content"] = why
    if calls:
        first["tool_calls"] = calls
    whole = document(first, *({"content": text} for text in others if text), usage=USAGE)
    there = completion(as_stream=True)
    for piece in cuts(json.dumps(whole, ensure_ascii=escaped, indent=indent).encode(), places):
        assert there.feed(piece) == []
    said = merged(there.close())
    assert there.failure is None
    stream = b"".join(there.raw) + b"data: [DONE]\n\n"
    again = decoder()
    events, _ = read(again, [stream])
    assert text_of(events) == text_of(said) == content
    back = folding()
    read(back, cuts(stream, places))
    result = json.loads(back.raw[0])
    assert result.pop("trace_id") == TRACE
    if not content and not calls:
        whole["choices"][0]["message"]["content"] = ""
    assert result == whole


@few
@given(st.data(), PLACES)
def test_folding_gives_one_document_of_the_streams_text(data: st.DataObject, places: list[int]) -> None:
    """However the bytes come, halves of characters and all."""
    stream = data.draw(written(data.draw(chunks())))
    fold = folding()
    events, _ = read(fold, cuts(stream, places))
    result = json.loads(fold.raw[0])
    assert (result["object"], result["model"], result["trace_id"]) == ("chat.completion", "m", TRACE)
    message = result["choices"][0]["message"]
    assert (message["content"] or "") == text_of(events)
    assert result["choices"][0]["finish_reason"] == "stop"


def test_a_plain_answer_is_passed_on_with_the_trace_id() -> None:
    """Byte for byte but for the extra field at its end; its events tell text, end and usage."""
    body = json.dumps(document({"content": "Hi"}, usage=USAGE), indent=2).encode()
    plain = completion()
    plain.feed(b"")
    plain.feed(body + b"\n")
    events = plain.close()
    assert plain.raw == [body[:-1] + f',"trace_id":"{TRACE}"}}'.encode()]
    assert merged(events) == [("TextDelta", "Hi", 1), Finished(0, "stop"), UsageReported(Usage(1, 2, 3))]
    assert (plain.model, plain.finished, plain.done) == ("m", True, False)


def test_a_halved_character_in_a_plain_answer_becomes_a_replacement_in_a_stream() -> None:
    """What one decoder repairs the way to a stream takes as well."""
    whole = document({"content": "a\ud83d"})
    there = completion(as_stream=True)
    there.feed(json.dumps(whole).encode())
    there.close()
    assert there.failure is None
    assert text_of(read(decoder(), there.raw)[0]) == "a\ufffd"


def test_a_first_frame_that_has_to_be_mended_folds() -> None:
    """Half a character in the first token."""
    fold = folding()
    frames = [delta(content="\ud83d"), delta(content="\ude00")]
    read(fold, [b"".join(b"data: " + json.dumps(f).encode() + b"\n\n" for f in frames) + b"data: [DONE]\n\n"])
    assert json.loads(fold.raw[0])["choices"][0]["message"]["content"] == "😀"


def test_an_endless_document_is_too_long() -> None:
    """`max_answer_bytes` holds for plain JSON too."""
    plain = completion(max_bytes=10)
    plain.feed(b"x" * 11)
    assert isinstance(plain.failure, AnswerTooLong)
    assert plain.close() == []


@pytest.mark.parametrize(
    ("body", "as_stream"),
    [(b"", False), (b"<html>", False), (b"[]", False), (b"{}", False), (b'{"choices":[]}', True), (b"[DONE]", False),
     (b'{"usage":{}}', True), (b'{"choices":[{"message":{"tool_calls":[5]}}]}', True)],
)  # fmt: skip
def test_what_is_no_completion_is_a_failure(body: bytes, as_stream: bool) -> None:
    """Nothing of it is passed on."""
    plain = completion(as_stream=as_stream)
    plain.feed(body)
    assert plain.close() == []
    assert plain.failure is not None
    assert plain.raw == []


def test_usage_that_was_not_asked_for_is_no_chunk() -> None:
    """Plain JSON for a caller that streams."""
    there = completion(as_stream=True, keep_usage=False)
    there.feed(json.dumps(document({"content": "Hi"}, usage=USAGE)).encode())
    there.close()
    assert b"usage" not in there.raw[0]


def test_a_stream_that_never_ended_makes_no_document() -> None:
    """Its events are there for the trace."""
    fold = folding()
    events, _ = read(fold, [b"data: " + json.dumps(delta(content="Hi")).encode() + b"\n\n"])
    assert (text_of(events), fold.raw) == ("Hi", [])
    assert answer_text([]) == ""


def test_an_empty_stream_folds_to_an_empty_answer() -> None:
    """[DONE] and nothing before it."""
    fold = folding()
    fold.feed(b"data: [DONE]\n\n")
    fold.close()
    assert json.loads(fold.raw[0])["choices"][0]["message"] == {"role": "assistant", "content": ""}


def test_golden_conversions() -> None:
    """Recorded answers in the other form."""
    there = completion(as_stream=True)
    there.feed((RECORDINGS / "ollama-text.json").read_bytes())
    there.close()
    check("plain-to-stream.sse", b"".join(there.raw))
    fold = folding()
    read(fold, [(RECORDINGS / "openai-tools.sse").read_bytes()])
    check("stream-to-plain.json", fold.raw[0])


def test_what_is_no_text_folds_too() -> None:
    """Thoughts, refusals, sound and calls, of every choice, under the names that the provider gave them."""
    fold = folding()
    frames = [
        delta(reasoning="h"),
        delta(reasoning="m"),
        delta(refusal="No."),
        delta(audio={"data": "AA"}),
        delta(1, tool_calls=[{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}]),
    ]
    read(fold, [b"".join(b"data: " + json.dumps(f).encode() + b"\n\n" for f in frames) + b"data: [DONE]\n\n"])
    one, two = (choice["message"] for choice in json.loads(fold.raw[0])["choices"])
    assert one == {"role": "assistant", "content": None, "reasoning": "hm", "refusal": "No.", "audio": {"data": "AA"}}
    assert two["tool_calls"] == [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]


def test_a_message_that_is_no_object_has_no_chunk() -> None:
    """Its choice ends all the same."""
    there = completion(as_stream=True)
    there.feed(json.dumps({"choices": [{"message": [], "finish_reason": "stop"}]}).encode())
    there.close()
    assert (there.failure, b'"delta":{}' in there.raw[0]) == (None, True)
