"""What comes in pieces is put together as the provider would have said it at once."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gateway.domain.answer import assistant_messages


def message(*others: dict[str, Any]) -> dict[str, Any]:
    """The message of an answer that says these fields, one after the other."""
    [made] = assistant_messages([("other", fields) for fields in others], {})
    return {name: value for name, value in made.items() if name != "role"}


def test_audio() -> None:
    """Data and transcript grow, the rest is replaced; data encoded piece by piece is one piece afterwards."""
    sound = [base64.b64encode(part).decode() for part in (b"a", b"bc", b"d")]
    pieces = [
        {"id": "x", "transcript": "Hel"},
        *({"data": data} for data in sound),
        {"transcript": "lo", "expires_at": 9},
    ]
    audio = message(*({"audio": piece} for piece in pieces))["audio"]
    assert audio == {"id": "x", "transcript": "Hello", "data": base64.b64encode(b"abcd").decode(), "expires_at": 9}


@pytest.mark.parametrize(("pieces", "whole"), [(["AAAA", "BBBB"], "AAAABBBB"), (["AA=", "!"], "AA=!")])
def test_audio_that_needs_no_care_or_cannot_be_read(pieces: list[str], whole: str) -> None:
    """It is put together as it is."""
    assert message(*({"audio": {"data": data}} for data in pieces))["audio"]["data"] == whole


def test_lists_grow() -> None:
    """Annotations and images are each one of their own."""
    a, b = ({"type": "url_citation", "url_citation": {"url": url}} for url in ("a", "b"))
    assert message({"annotations": [a]}, {"annotations": [a, b]}) == {"content": None, "annotations": [a, a, b]}


def test_sources_are_sent_whole_each_time() -> None:
    """The last list is the list."""
    assert message({"citations": ["a"]}, {"citations": ["a", "b"]})["citations"] == ["a", "b"]


def test_blocks_of_thought() -> None:
    """A block's text grows until its signature; another kind, index, or what follows a signature is another block."""

    def text(said: str, **more: Any) -> dict[str, Any]:
        return {"type": "reasoning.text", "text": said, "index": 0, "format": "f", **more}

    pieces = [text("a"), text("b", signature=None), text("", signature="S"), text("c"), {**text("d"), "index": 1}]
    hidden = [{"type": "reasoning.encrypted", "data": "x"}, {"type": "reasoning.encrypted", "data": "y"}]
    blocks = message(*({"reasoning_details": [piece]} for piece in [*pieces, *hidden]))["reasoning_details"]
    assert blocks == [text("ab", signature="S"), text("c"), {**text("d"), "index": 1}, *hidden]


def test_a_content_of_parts() -> None:
    """Thinking in lists of lists, as Mistral has it, and a picture: text becomes a part among them."""

    def thinking(said: str) -> dict[str, Any]:
        return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": said}]}]}

    image = {"type": "image_url", "image_url": "data:image/png;base64,AA"}
    parts = [("other", thinking("Let ")), ("reasoning:", "Let "), ("other", thinking("me")), ("reasoning:", "me"),
             ("text", "4"), ("text", "2"), ("other", {"content": [image]})]  # fmt: skip
    assert assistant_messages(parts, {})[0]["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Let me"}]},
        {"type": "text", "text": "42"},
        image,
    ]


def test_fields_nobody_knows() -> None:
    """Texts of the delta itself grow; what changes its type is replaced, and what says nothing changes nothing."""
    others: list[dict[str, Any]] = [
        {"x": "a"},
        {"x": "b"},
        {"y": 1},
        {"y": [1]},
        {"y": []},
        {"z": {"a": None}},
        {"z": {"a": {"b": 1}}},
    ]
    assert message(*others) == {
        "content": None,
        "x": "ab",
        "y": [1],
        "z": {"a": {"b": 1}},
    }
    assert message({"f": {"name": "n", "arguments": "{"}}, {"f": {"arguments": "}"}})["f"] == {
        "name": "n",
        "arguments": "{}",
    }


def test_a_field_that_is_a_text_first_and_then_another() -> None:
    """The last one counts, whatever it is."""
    assert message({"x": "a"}, {"x": [True]})["x"] == [True]
    assert message({"x": [True]}, {"x": "a"})["x"] == "a"
