"""What a delta says, in whatever shape: reasoning, parts of a content, audio, images, annotations, anything."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.wire.deltas import parts_of

BLOCK = {"type": "thinking", "thinking": "hm", "signature": "S"}
DETAIL = {"type": "reasoning.text", "text": "hm", "index": 0}
IMAGE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}


@pytest.mark.parametrize(
    "delta",
    [
        {},
        {"role": "assistant"},
        {"role": "assistant", "content": ""},
        {"content": None, "refusal": None, "tool_calls": [], "audio": None, "reasoning": ""},
        {"role": "assistant", "name": "A model", "content": "", "audio_content": ""},
        {
            "provider_specific_fields": {"refusal": None},
            "images": [{}],
            "reasoning_details": [{"type": "x", "text": ""}],
        },
        {"token_id": 128009, "token_ids": [1, 2], "prefix": True, "score": 0.5},
        {"content": []},
        {"content": [{"type": "text", "text": ""}, {}, 5, {"type": "thinking", "thinking": []}]},
    ],
)
def test_what_says_nothing(delta: dict[str, Any]) -> None:
    """Labels, and fields that are empty however deep: no first token, and no activity."""
    assert parts_of(delta) == []


@pytest.mark.parametrize(
    ("delta", "parts"),
    [
        ({"reasoning_content": "hm"}, [("reasoning", "hm")]),
        ({"reasoning": "hm"}, [("reasoning:reasoning", "hm")]),
        ({"thinking": "hm"}, [("reasoning:thinking", "hm")]),
        ({"content": "a", "reasoning_content": "hm"}, [("reasoning", "hm"), ("text", "a")]),
        ({"reasoning_content": "hm", "reasoning": "hm"}, [("reasoning", "hm")]),
        ({"reasoning": {"content": "hm"}}, [("other", {"reasoning": {"content": "hm"}}), ("reasoning:", "hm")]),
        (
            {"reasoning": "hm", "reasoning_details": [DETAIL]},
            [("reasoning:reasoning", "hm"), ("other", {"reasoning_details": [DETAIL]})],
        ),
        ({"reasoning_details": [DETAIL]}, [("other", {"reasoning_details": [DETAIL]}), ("reasoning:", "hm")]),
        ({"thinking_blocks": [BLOCK]}, [("other", {"thinking_blocks": [BLOCK]}), ("reasoning:", "hm")]),
        ({"reasoning_details": [{"data": "xyz"}]}, [("other", {"reasoning_details": [{"data": "xyz"}]})]),
        ({"content": [BLOCK]}, [("other", {"content": [BLOCK]}), ("reasoning:", "hm")]),
        (
            {"content": [{"type": "redacted_thinking", "data": "x"}]},
            [("other", {"content": [{"type": "redacted_thinking", "data": "x"}]})],
        ),
        (
            {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}]},
            [
                ("other", {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}]}),
                ("reasoning:", "hm"),
            ],
        ),
        (
            {"content": "hm", "extra_content": {"google": {"thought": True, "x": 1}}},
            [("reasoning:", "hm"), ("other", {"extra_content": {"google": {"x": 1}}})],
        ),
        ({"content": "hm", "extra_content": {"google": {"thought": True}}}, [("reasoning:", "hm")]),
    ],
)
def test_reasoning(delta: dict[str, Any], parts: list[Any]) -> None:
    """Texts keep the name of their field; what has a shape of its own is kept as it came, and its text shown."""
    assert parts_of(delta) == parts


@pytest.mark.parametrize(
    ("delta", "parts"),
    [
        (
            {"content": ["a", {"text": "b"}, {"type": "text", "text": "c"}]},
            [("text", "a"), ("text", "b"), ("text", "c")],
        ),
        ({"content": {"type": "text", "text": "a"}}, [("text", "a")]),
        ({"content": [{"type": "text", "text": "a"}, IMAGE]}, [("text", "a"), ("other", {"content": [IMAGE]})]),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, [("other", {"refusal": "No."})]),
        ({"refusal": "No."}, [("other", {"refusal": "No."})]),
        ({"audio": {"id": "a"}}, [("other", {"audio": {"id": "a"}})]),
        (
            {"images": [IMAGE], "annotations": [{"x": 1}]},
            [("other", {"images": [IMAGE]}), ("other", {"annotations": [{"x": 1}]})],
        ),
        (
            {"function_call": {"name": "f"}, "never_heard_of": {"x": 7}},
            [("other", {"function_call": {"name": "f"}}), ("other", {"never_heard_of": {"x": 7}})],
        ),
        ({"tool_calls": [{"index": 0}]}, [("tool_call", [{"index": 0}])]),
    ],
)
def test_all_else(delta: dict[str, Any], parts: list[Any]) -> None:
    """Parts of a content in their order, and any other field under its own name."""
    assert parts_of(delta) == parts
