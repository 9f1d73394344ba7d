"""Whatever a provider says in its deltas, and whatever a client's parts bring back: nothing raises what isn't ours."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.answer import Part, answer_text, assistant_messages, have_thoughts, history_message
from gateway.domain.events import Done, OtherDelta, ReasoningDelta, Started, TextDelta, ToolCallDelta
from gateway.errors import InvalidValue
from gateway.wire.ai_sdk import UIMessageStream, decode_chat
from gateway.wire.deltas import parts_of
from tests.support.provider_streams import TRACE, decoder, delta

_NAMES = (
    "content reasoning reasoning_content reasoning_details thinking_blocks thinking extra_content google thought audio"
    " data transcript images image_url url annotations url_citation citations search_results tool_calls function custom"
    " name arguments input id index type text summary signature refusal gateway message call field role"
)
NAMES = st.sampled_from(_NAMES.split())
TEXTS = st.sampled_from(["", "x", "text", "thinking", "reasoning.text", "data:image/png;base64,AA", "https://a", "AA="])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.dictionaries(NAMES, JSON, max_size=5)
METADATA = st.dictionaries(st.just("gateway"), FIELDS) | JSON
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "reasoning", "tool-f", "dynamic-tool", "step-start", "file"])},
    optional={
        "state": st.sampled_from(["output-available", "output-error"]),
        **{name: METADATA for name in ("providerMetadata", "callProviderMetadata")},
        **{name: JSON for name in ("text", "input", "output", "toolName", "toolCallId")},
    },
)
some = settings(max_examples=200, deadline=None)


@some
@given(st.lists(FIELDS, max_size=4))
def test_any_deltas_make_messages_and_chunks(deltas: list[dict[str, Any]]) -> None:
    """Stored, folded, sent back in the next turn, and shown to `useChat`: as JSON each time."""
    shown = (TextDelta, ReasoningDelta, ToolCallDelta, OtherDelta)
    parts: list[Part] = []
    events: list[Any] = [Started(TRACE, "s", "m")]
    stream = decoder()
    for said in deltas:
        frame = b"data: " + json.dumps(delta(**said)).encode() + b"\n\n"
        events += [event for event in stream.feed(frame) if isinstance(event, shown)]
        parts += [part for part in parts_of(json.loads(json.dumps(said))) if part[0] != "tool_call"]
    messages = assistant_messages(parts, {1: parts})
    assert json.dumps([messages, history_message(parts), answer_text(parts), have_thoughts(messages)])
    events.append(Done(TRACE, "stop", None, 1, 2))
    chunks = b"".join(UIMessageStream().encode(enumerate(events, 1))).decode().split("\n\n")
    assert [json.loads(chunk[6:]) for chunk in chunks[:-2]]


@some
@given(st.lists(PARTS, max_size=4), JSON)
def test_any_parts_of_a_client_are_taken_or_refused(parts: list[dict[str, Any]], metadata: Any) -> None:
    """By an error that names what is wrong."""
    answer = {"role": "assistant", "parts": parts, "metadata": metadata}
    with suppress(InvalidValue):
        decode_chat(json.dumps({"id": "c", "messages": [{"role": "user", "content": "q"}, answer]}).encode())
