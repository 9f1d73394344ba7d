"""The scripts' steps, without a socket: how bytes are divided into writes."""

from __future__ import annotations

from gateway.chaos import case_for
from gateway.chaos.case import LAST_CHUNK, SSE_HEAD, ChaosRequest, Step
from gateway.providers.demo import Reply


def steps(model: str, *, stream: bool = True) -> list[Step]:
    case = case_for(model)
    assert case is not None
    request = ChaosRequest(model=model, attempt=1, include_usage=False, reply=Reply(model, reply_id="x", created=1))
    return list((case.stream if stream else case.plain).script(request))


def writes(model: str, *, stream: bool = True) -> list[bytes]:
    return [step for step in steps(model, stream=stream) if isinstance(step, bytes)]


def payload(chunk: bytes) -> bytes:
    return chunk.partition(b"\r\n")[2].removesuffix(b"\r\n")


def test_ok_writes_a_chunk_a_frame() -> None:
    """The good stream is a head, a write for each frame, and the last chunk."""
    first, *frames, last = writes("ok")
    assert (first, last) == (SSE_HEAD, LAST_CHUNK)
    assert all(payload(chunk).startswith(b"data: ") and payload(chunk).endswith(b"\n\n") for chunk in frames)


def test_split_utf8_cuts_inside_characters() -> None:
    """Each byte of a character is in another write than the one before, with a pause between."""
    chunks = [payload(chunk) for chunk in writes("split-utf8")[1:-1]]
    assert any(chunk.endswith(b"\xf0") for chunk in chunks)
    assert b"\x9f" in chunks
    assert sum(isinstance(step, float) for step in steps("split-utf8")) == len(chunks)
    assert len(writes("split-utf8", stream=False)) > 3


def test_split_frame_cuts_inside_frames_and_blank_lines() -> None:
    """Three writes a frame: half a document, the rest with one line end, the other line end."""
    chunks = [payload(chunk) for chunk in writes("split-frame")[1:-1]]
    assert chunks[2::3] == [b"\n"] * (len(chunks) // 3)
    assert all(not chunk.startswith(b"data") for chunk in chunks[1::3])


def test_byte_by_byte_writes_single_bytes() -> None:
    """No write is longer than a byte."""
    assert {len(data) for data in writes("byte-by-byte")} == {1}
    assert {len(data) for data in writes("byte-by-byte", stream=False)} == {1}


def test_split_crlf_parts_cr_from_lf() -> None:
    """CR ends one write, LF is the next."""
    chunks = [payload(chunk) for chunk in writes("split-crlf")[1:-1]]
    assert all(chunk.endswith(b"\r") for chunk in chunks[::2])
    assert set(chunks[1::2]) == {b"\n"}


def test_slow_head_writes_the_head_by_bytes() -> None:
    """There is a pause after each byte of the head, and none in the body."""
    taken = steps("slow-head-3ms")
    assert taken.count(0.003) == len(SSE_HEAD)
    assert all(isinstance(step, bytes) for step in taken[2 * len(SSE_HEAD) :])


def test_lorem_without_a_delay_rides_in_few_writes() -> None:
    """Tokens are batched where they are not paced, and paced where they are."""
    assert len(writes("lorem-640-0ms")) < 20
    assert steps("lorem-5-7ms").count(0.007) > 5


def test_die_in_utf8_ends_inside_the_character() -> None:
    """The last byte sent is the second of four."""
    assert payload(writes("die-in-utf8")[0].partition(b"\r\n\r\n")[2]).endswith(b"\xf0\x9f")
    assert writes("die-in-utf8", stream=False)[0].endswith(b"\xf0\x9f")


def test_huge_line_is_bounded() -> None:
    """The largest possible number makes 100 MB at most."""
    case = case_for("huge-line-999999")
    assert case is not None
    assert case.stream.expect.outcome == "too_long"
