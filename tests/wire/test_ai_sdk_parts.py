"""What the AI SDK's messages hold beside text: tools, thoughts, files and sources; and what comes back of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.domain.events import Failed, ReasoningDelta, TextDelta
from tests.support.provider_streams import TRACE
from tests.wire.test_ai_sdk import STARTED, call, chunks, decode, done, messages, other

BLOCK = {"type": "thinking", "thinking": "hm", "signature": "S"}


def ui_parts(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The parts that `useChat` makes of chunks, and sends with the next message."""
    parts: dict[str, dict[str, Any]] = {}
    for chunk in found:
        kind, _, what = chunk["type"].rpartition("-")
        if kind in ("text", "reasoning"):
            part = parts.setdefault(chunk["id"], {"type": kind, "text": ""})
            part["text"] += chunk.get("delta", "")
            if "providerMetadata" in chunk:
                part["providerMetadata"] = chunk["providerMetadata"]
        elif chunk["type"] == "tool-input-available":
            more = {"callProviderMetadata": chunk["providerMetadata"]} if "providerMetadata" in chunk else {}
            tool = {"type": f"tool-{chunk['toolName']}", "state": "output-available", "output": "x", **more}
            parts[chunk["toolCallId"]] = tool | {"toolCallId": chunk["toolCallId"], "input": chunk["input"]}
        assert what
    return [{"type": "step-start"}, *parts.values()]


def again(*events: Any) -> dict[str, Any]:
    """The assistant's message that the provider gets in the turn after these events."""
    found: dict[str, Any] = messages({"role": "assistant", "parts": ui_parts(chunks(STARTED, *events, done()))})[0]
    return found


def test_a_tools_name_in_pieces() -> None:
    """A call begins with its whole name, and a custom tool's input is a text."""
    found = chunks(
        STARTED,
        call(index=0, id="c1", function={"name": "wea"}),
        call(index=0, function={"name": "ther"}),
        call(index=1, id="c2", custom={"name": "sql", "input": "SELECT 1"}),
        call(index=0, function={"arguments": "{}"}),
        done("tool_calls"),
    )
    assert [c["toolName"] for c in found if c["type"] == "tool-input-start"] == ["sql", "weather"]
    assert [c["input"] for c in found if c["type"] == "tool-input-available"] == [{}, "SELECT 1"]


def test_a_signature_comes_back_with_the_tools_result() -> None:
    """What a provider says of a call beside its name and input rides in the metadata that clients keep."""
    signed = {"extra_content": {"google": {"thought_signature": "S"}}}
    found = chunks(
        STARTED, call(index=0, id="c1", type="function", function={"name": "f", "arguments": "{}"}, **signed), done()
    )
    [end] = [chunk for chunk in found if chunk["type"] == "tool-input-available"]
    part = {"type": "tool-f", "toolCallId": "c1", "state": "output-available", "input": end["input"], "output": "x"}
    [asked, _] = messages({"role": "assistant", "parts": [{**part, "callProviderMetadata": end["providerMetadata"]}]})
    assert asked["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}, **signed}
    ]


@pytest.mark.parametrize("metadata", [None, 5, {"gateway": 5}, {"openai": {"id": "x"}}])
def test_metadata_that_is_not_ours(metadata: Any) -> None:
    """Nothing of it goes to the provider."""
    part = {"type": "tool-f", "toolCallId": "c1", "state": "output-available", "output": "x", "input": {}}
    [asked, _] = messages({"role": "assistant", "parts": [{**part, "callProviderMetadata": metadata}]})
    assert set(asked["tool_calls"][0]) == {"id", "type", "function"}


def reasoning(kind: str = "reasoning") -> ReasoningDelta:
    return ReasoningDelta(b"hm", 2, kind=kind)


TEXT = TextDelta(b"a", 1)


@pytest.mark.parametrize(
    ("events", "message"),
    [
        ([reasoning(), TEXT], {"content": "a", "reasoning_content": "hm"}),
        ([reasoning("reasoning:reasoning"), TEXT], {"content": "a", "reasoning": "hm"}),
        (
            [other(reasoning_details=[BLOCK]), reasoning("reasoning:"), TEXT],
            {"content": "a", "reasoning_details": [BLOCK]},
        ),
        (
            [other(content=[BLOCK]), reasoning("reasoning:"), TEXT],
            {"content": [BLOCK, {"type": "text", "text": "a"}]},
        ),
        ([TEXT, other(extra_content={"google": {"thought_signature": "S"}})],
         {"content": "a", "extra_content": {"google": {"thought_signature": "S"}}}),
        ([TEXT, other(audio={"data": "AA"}, annotations=[{}])], {"content": "a"}),
    ],
)  # fmt: skip
def test_thoughts_come_back(events: list[Any], message: dict[str, Any]) -> None:
    """In the next turn, in the shape in which the provider sent them."""
    assert again(*events) == {"role": "assistant", **message}


def test_thoughts_before_a_tool_call_come_back_with_it() -> None:
    """Also where there is no text that they could ride with."""
    said = again(
        other(reasoning_details=[BLOCK]),
        call(index=0, id="c1", function={"name": "f", "arguments": "{}"}),
        call(index=1, id="c2", function={"name": "g", "arguments": "{}"}),
    )
    assert said["reasoning_details"] == [BLOCK]
    assert [each["id"] for each in said["tool_calls"]] == ["c1", "c2"]


@pytest.mark.parametrize(
    "ours",
    [
        {"field": 5, "message": 5, "call": 5},
        {"field": "content", "message": {"role": "system", "tool_calls": [], "content": "x"}},
        {"message": {"content": [5]}},
    ],
)
def test_metadata_that_a_client_made_up(ours: Any) -> None:
    """It gets no field into a message that isn't one of a thought."""
    part = {"type": "reasoning", "text": "hm", "providerMetadata": {"gateway": ours}}
    [said] = messages({"role": "assistant", "parts": [part, {"type": "text", "text": "a"}]})
    assert said == {"role": "assistant", "content": "a", "reasoning_content": "hm"}


def test_a_refusal_and_a_transcript_are_text() -> None:
    """As parts of the message; so is text after them."""
    found = chunks(STARTED, other(refusal="No"), other(audio={"transcript": "\n."}), TEXT, done())
    assert [chunk["delta"] for chunk in found if chunk["type"] == "text-delta"] == ["No", "\n.", "a"]


PICTURE = "data:image/webp;base64,AA"


def test_pictures_are_files() -> None:
    """Of a delta or among the parts of a content; an address that is no picture's isn't shown."""
    found = chunks(
        STARTED,
        other(images=[{"type": "image_url", "image_url": {"url": PICTURE}}]),
        other(content=[{"type": "image_url", "image_url": "https://x.example/a"}, {"type": "x"}, 5]),
        other(images=[{"image_url": "javascript:alert(1)"}, {"image_url": {"url": 5}}]),
        other(images="x"),
        done(),
    )
    assert [(chunk["url"], chunk["mediaType"]) for chunk in found if chunk["type"] == "file"] == [
        (PICTURE, "image/webp"),
        ("https://x.example/a", "image/png"),
    ]


@pytest.mark.parametrize(("data", "kind"), [("UklGRgAA", "audio/wav"), ("AAAA", "audio/pcm")])
def test_speech_is_a_file_at_the_end(data: str, kind: str) -> None:
    """Its type is said by how it begins."""
    found = chunks(STARTED, other(audio={"data": data[:4]}), other(audio={"data": data[4:]}), done())
    assert [(chunk["url"], chunk["mediaType"]) for chunk in found if chunk["type"] == "file"] == [
        (f"data:{kind};base64,{data}", kind)
    ]


def test_sources() -> None:
    """Each is shown once, whichever field named it."""
    cited = {"type": "url_citation", "url_citation": {"url": "https://b.example", "title": "B"}}
    found = chunks(
        STARTED,
        other(citations=["https://a.example", "javascript:x", 5]),
        other(
            annotations=[cited, cited, {"type": "url_citation", "url": "https://c.example", "title": 5}, {"type": "x"}]
        ),
        other(search_results=[{"url": "https://a.example"}, {"url": "https://d.example", "title": "D"}]),
        done(),
    )
    assert [(chunk["url"], chunk.get("title")) for chunk in found if chunk["type"] == "source-url"] == [
        ("https://a.example", None),
        ("https://b.example", "B"),
        ("https://c.example", None),
        ("https://d.example", "D"),
    ]


def test_a_failure_closes_what_is_open() -> None:
    """The thoughts so far ride with the part."""
    found = chunks(STARTED, other(thinking_blocks=[BLOCK]), reasoning(), Failed(TRACE, "Broken.", "x", retryable=False))
    assert found[-2]["providerMetadata"] == {"gateway": {"message": {"thinking_blocks": [BLOCK]}}}
    assert found[-1] == {"type": "error", "errorText": "Broken."}
    assert json.dumps(found)


@pytest.mark.parametrize(
    ("answered", "model", "kept"),
    [("m", "m", True), ("m", "n", False), ("m", None, True), (None, "m", True), (5, "m", True)],
)
def test_another_models_thoughts(answered: Any, model: str | None, kept: bool) -> None:
    """They stay away from a model that didn't think them, where both are known."""
    parts = [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "a"}]
    said = {"role": "assistant", "parts": parts, "metadata": None if answered is None else {"model": answered}}
    request = decode(messages=[{"role": "user", "content": "q"}, said], **({"model": model} if model else {}))
    [_, message] = json.loads(bytes(request.fields["messages"]))
    assert ("reasoning_content" in message, request.thoughts) == (kept, kept)
