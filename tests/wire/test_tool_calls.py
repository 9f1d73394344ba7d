"""Tool calls as providers really send them: whatever the pieces look like, one right call comes of each."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.answer import merge_tool_calls
from gateway.wire.tool_calls import ToolCalls

OSLO, ROME = '{"city":"Oslo"}', '{"city":"Rome"}'
WEATHER = ("get_weather", OSLO)
_LEFT_OUT: Any = ...


def piece(index: Any = _LEFT_OUT, call_id: Any = _LEFT_OUT, name: Any = _LEFT_OUT, arguments: Any = _LEFT_OUT) -> Any:
    """One element of `delta.tool_calls`, with those fields alone that are given."""
    body = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not ...}
    head = {key: value for key, value in (("index", index), ("id", call_id)) if value is not ...}
    return {**head, "type": "function", "function": body}


def merged(*pieces: Any, whole: bool = False) -> list[dict[str, Any]]:
    """The calls that come of these pieces."""
    calls = ToolCalls("seed")
    return merge_tool_calls(made for each in pieces if (made := calls.piece(each, whole=whole)) is not None)


def said(*pieces: Any, whole: bool = False) -> list[tuple[str, str]]:
    """The name and the arguments of each call; the IDs must all be there, and differ."""
    calls = merged(*pieces, whole=whole)
    assert len({call["id"] for call in calls if call["id"]}) == len(calls)
    return [(call["function"]["name"], call["function"]["arguments"]) for call in calls]


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(0, "c", "get_weather", ""), piece(0, ..., ..., '{"city":'), piece(0, ..., ..., '"Oslo"}')],
        [piece(0, "c", "get_weather", ""), piece(0, None, None, '{"city":'), piece(0, None, None, '"Oslo"}')],
        [piece(0, "c", "get_weather", None), piece(0, "", "", '{"city":'), piece(0, "", "", '"Oslo"}')],
        [piece(0, "c", "get_weather", '{"city":'), piece(0, "c", "get_weather", '"Oslo"}')],
        [piece(0, "c", "get_weather", ""), piece(0, "new1", ..., '{"city":'), piece(0, "new2", ..., '"Oslo"}')],
        [piece(0, "c", "get_weather", '{"city":'), piece(0, "new", "get_weather", '"Oslo"}')],
        [piece(..., "c", "get_weather", '{"city":'), piece(..., "c", ..., '"Oslo"}')],
        [piece(..., "c", "get_weather", '{"city":'), piece(..., ..., ..., '"Oslo"}')],
        [piece(None, None, "get_weather", '{"city":'), piece(None, None, None, '"Oslo"}')],
        [piece(0, ..., "get_", ...), piece(0, ..., "weather", ...), piece(0, ..., ..., OSLO)],
        [piece(0, "c", ..., ...), piece(0, ..., "get_weather", ...), piece(0, ..., ..., OSLO)],
        [piece(0, "c", "get_weather", OSLO), piece(0, "c", "get_weather", OSLO)],
        [piece(0, "c", "get_weather", OSLO), piece(0, "c", "get_weather", "")],
        [piece(0, "c", "get_weather", {"city": "Oslo"})],
        [piece(0, "c", "get_weather", {"city": "Oslo"}), piece(0, "c", ..., {"city": "Oslo"})],
        [piece(0, 7, "get_weather", OSLO)],
        [piece(0, "c", "get_weather", '{"city":'), piece(1, ..., ..., '"Oslo"}')],
        [piece(0, "c", "get_weather", ""), {}, piece(0), "junk", piece(0, ..., ..., OSLO)],
    ],
)
def test_pieces_of_one_call(pieces: list[Any]) -> None:
    """Null, empty, new and repeated IDs and names, no index, arguments as an object: it is one call."""
    assert said(*pieces) == [WEATHER]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (piece(0, "a", "get_weather", OSLO), piece(0, "b", "get_weather", ROME)),
        (piece(0, "a", "get_weather", OSLO), piece(0, "a", "get_weather", ROME)),
        (piece(0, "a", "get_weather", OSLO), piece(1, "a", "get_weather", ROME)),
        (piece(0, "", "get_weather", OSLO), piece(0, "", "get_weather", ROME)),
        (piece(..., "a", "get_weather", OSLO), piece(..., "b", "get_weather", ROME)),
        (piece(..., ..., "get_weather", OSLO), piece(..., ..., "get_weather", ROME)),
        (piece(0, "a", "get_weather", OSLO), piece(1, "b", "get_weather", {"city": "Rome"})),
    ],
)
def test_two_calls_of_one_tool(one: Any, other: Any) -> None:
    """They are told apart by their IDs, their indexes, or by the first one's being whole."""
    assert said(one, other) == [("get_weather", OSLO), ("get_weather", ROME)]


@pytest.mark.parametrize("index", [0, ..., None])
@pytest.mark.parametrize("call_id", ["same", None])
def test_two_tools(index: Any, call_id: Any) -> None:
    """Another name is another call, also amid the first one's arguments."""
    assert said(piece(index, call_id, "one", '{"a":'), piece(index, call_id, "two", "{}")) == [
        ("one", '{"a":'),
        ("two", "{}"),
    ]


def test_calls_side_by_side() -> None:
    """Pieces of two calls in turn, both with an index, or found again by their IDs alone."""
    whole = [("one", '{"a":1}'), ("two", '{"b":2}')]
    by_index = [(0, "a"), (1, "b")]
    for heads in (by_index, [(..., "a"), (..., "b")], [(0, "a"), (0, "b")]):
        (one, a), (two, b) = heads
        first = piece(one, a, "one", '{"a":'), piece(two, b, "two", '{"b":')
        assert said(*first, piece(one, a, ..., "1}"), piece(two, b, ..., "2}")) == whole


def test_whole_calls_of_a_document() -> None:
    """Each is one of its own, also where they are alike and have no IDs."""
    assert said(piece(..., ..., "now", ""), piece(..., ..., "now", ""), whole=True) == [("now", ""), ("now", "")]


def test_what_leaves_is_as_the_format_says() -> None:
    """ID, kind and name once, indexes from 0 on, an ID where none came; and what else the provider said."""
    calls = ToolCalls("seed")
    signed = {**piece(3, None, "f", ""), "extra_content": {"google": {"thought_signature": "S"}}}
    assert calls.piece(signed) == {
        "index": 0,
        "id": "call_seed_0",
        "type": "function",
        "function": {"name": "f", "arguments": ""},
        "extra_content": {"google": {"thought_signature": "S"}},
    }
    assert calls.piece(piece(3, None, "f", "{}")) == {"index": 0, "function": {"arguments": "{}"}}
    assert calls.piece(piece(3, None, None, "")) is None
    assert calls.piece({"index": 3, "function": 5}) is None
    assert calls.piece({**piece(4, "a", "f"), "type": None})["type"] == "function"  # type: ignore[index]


def test_a_custom_tool() -> None:
    """Its input is any text, under names of its own."""
    first = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "sql", "input": "SELECT "}}
    assert merged(first, {"index": 0, "custom": {"input": "1"}}) == [
        {"type": "custom", "id": "c", "custom": {"name": "sql", "input": "SELECT 1"}}
    ]


def test_braces_that_close_nothing_end_no_call() -> None:
    """Arguments that look whole and are not go on, though the name is repeated."""
    assert said(piece(0, "c", "f", '{"a":{}'), piece(0, "c", "f", ',"b":1}')) == [("f", '{"a":{},"b":1}')]
