"""Cutting an event stream into frames: any line end, any split, a bound."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.wire.sse import FrameSplitter, FrameTooLong, frame_data, looks_like_events
from tests.support.provider_streams import PLACES, cuts, few

LINES = st.sampled_from([b"data: a", b"data:b", b"data", b"data:  c ", b": comment", b"id: 1", b"event: x", b"", b"x"])
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def frames(pieces: list[bytes]) -> list[bytes]:
    splitter = FrameSplitter(1000)
    out: list[bytes] = []
    for piece in pieces:
        out += splitter.feed(piece)
    return [frame.strip(b"\n") for frame in (*out, *splitter.close()) if frame.strip(b"\n")]


def by_the_standard(stream: bytes) -> list[bytes]:
    """The data of each event, read line by line as the HTML standard has it."""
    events: list[bytes] = []
    data: list[bytes] = []
    lines = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    for line in (*lines, b""):  # an unfinished last event counts here
        if not line:
            if data:
                events.append(b"\n".join(data))
            data = []
        elif line == b"data" or line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
    return events


@few
@given(st.lists(st.tuples(LINES, ENDS), max_size=20), PLACES, st.sampled_from([b"", b"\xef\xbb\xbf"]))
@example([(b"data: a", b"\r\n"), (b"", b"\r\n"), (b"data:b", b"\r")], list(range(40)), b"\xef\xbb\xbf")
def test_any_split_gives_the_events_of_the_standard(
    lines: list[tuple[bytes, bytes]], places: list[int], bom: bytes
) -> None:
    """Whatever the line ends and wherever the bytes are cut."""
    stream = bom + b"".join(line + end for line, end in lines)
    for pieces in ([stream], cuts(stream, places), [stream[i : i + 1] for i in range(len(stream))]):
        found = [data for frame in frames(pieces) if (data := frame_data(frame)) is not None]
        assert found == by_the_standard(stream)


def test_a_frame_is_out_with_its_last_byte() -> None:
    """A CR at the end of a read is a line end at once; an LF that follows belongs to it."""
    splitter = FrameSplitter(100)
    assert splitter.feed(b"data: a\r\n\r") == [b"data: a"]
    assert splitter.feed(b"\n") == []
    assert splitter.feed(b"data: b\n\n") == [b"data: b"]


def test_an_unfinished_frame_is_bounded() -> None:
    """More than the bound without an end raises; a finished frame may be as long as the read that brings it."""
    splitter = FrameSplitter(10)
    assert list(splitter.feed(b"data: " + b"x" * 50 + b"\n\n")) == [b"data: " + b"x" * 50]
    splitter.feed(b"data: 1234")
    with pytest.raises(FrameTooLong):
        splitter.feed(b"5")


def test_nothing_comes_of_nothing() -> None:
    """Empty reads and an empty stream give no frame."""
    splitter = FrameSplitter(10)
    assert splitter.feed(b"") == []
    assert splitter.close() == []


@pytest.mark.parametrize(
    ("frame", "data"),
    [(b": ping", None), (b"retry: 5", None), (b"data", b""), (b"data: a\ndata: b", b"a\nb"), (b"data:a", b"a"),
     (b"data:  a", b" a"), (b"", None)],
)  # fmt: skip
def test_the_data_of_a_frame(frame: bytes, data: bytes | None) -> None:
    """One space after the colon is dropped, lines are joined, and a comment has none."""
    assert frame_data(frame) == data


@pytest.mark.parametrize(
    ("beginning", "events"),
    [
        (b"data: x", True), (b"\xef\xbb\xbf\n\ndata:", True), (b": hi", True), (b"event: error", True),
        (b"id: 1", True), (b"retry: 1", True), (b"error: x", True), (b"  {", False), (b"[", False),
        (b"\xef\xbb\xbf{", False),
        (b"dat", None), (b"", None), (b"<html>", None), (b"  \n", None),
    ],
)  # fmt: skip
def test_a_body_tells_by_its_beginning_what_it_is(beginning: bytes, events: bool | None) -> None:
    """An event stream begins with a field or a comment, JSON with a bracket."""
    assert looks_like_events(beginning) is events
