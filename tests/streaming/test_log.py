"""The EventLog: every reader gets the same, whenever and from wherever it reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.answer import Part
from gateway.domain.events import (
    ChoiceDelta,
    Delta,
    Done,
    Event,
    Failed,
    Finished,
    OtherDelta,
    ReasoningDelta,
    Started,
    TextDelta,
    ToolCallDelta,
)
from gateway.streaming.log import EventLog
from gateway.streaming.reader import RawReader, Reader

STARTED = Started("tr-1", "s-1", "m")
DONE = Done("tr-1", "stop", None, 1, 2)
few = settings(max_examples=80, deadline=None)


def escaped(character: str, style: int) -> bytes:
    """One character in a JSON string, in one of the ways that servers write it."""
    if style == 0:
        return json.dumps(character, ensure_ascii=False)[1:-1].encode()
    if style == 1:
        return json.dumps(character)[1:-1].encode()
    utf16 = character.encode("utf-16-be").hex()
    utf16 = utf16.upper() if style == 3 else utf16
    return "".join("\\u" + utf16[i : i + 4] for i in range(0, len(utf16), 4)).encode()


CHARACTER = st.tuples(st.sampled_from('ab "\\\n/é€😀👍\x01\u2028'), st.integers(0, 3))


@st.composite
def deltas(draw: st.DrawFn) -> tuple[Delta, Part | None]:
    """An event, and the part that it is."""
    kind = draw(st.sampled_from("ttttrscmox"))
    if kind in "trs":
        pairs = draw(st.lists(CHARACTER, max_size=5))
        said = "".join(character for character, _ in pairs)
        data = b"".join(escaped(*pair) for pair in pairs)
        if kind == "t":
            return TextDelta(data, len(said)), ("text", said)
        named = "reasoning" if kind == "r" else "reasoning:reasoning"
        return ReasoningDelta(data, len(said), kind=named), (named, said)
    if kind in "cm":
        value = {"index": 0, "id": draw(st.text(max_size=3))}
        raw = msgspec.Raw(json.dumps(value).encode())
        return (ToolCallDelta(raw), ("tool_call", value)) if kind == "c" else (OtherDelta(raw), ("other", value))
    return (ChoiceDelta(1, "text", "x") if kind == "o" else Finished(0, "stop")), None


EVENTS = st.lists(deltas(), max_size=12)


def folded(parts: Iterable[Part | None]) -> list[Part]:
    """Parts with adjacent text joined and empty ones gone."""
    out: list[Part] = []
    for part in parts:
        if part is None or part[1] == "":
            continue
        if out and out[-1][0] == part[0] and isinstance(part[1], str):
            out[-1] = (part[0], out[-1][1] + part[1])
        else:
            out.append(part)
    return out


def part_of(event: Event) -> Part | None:
    match event:
        case TextDelta(text=data, chars=chars):
            said = json.loads(b'"' + data + b'"')
            assert len(said) == chars
            return ("text", said)
        case ReasoningDelta(text=data, kind=kind):
            return (kind, json.loads(b'"' + data + b'"'))
        case ToolCallDelta(call=call):
            return ("tool_call", json.loads(bytes(call)))
        case OtherDelta(fields=fields):
            return ("other", json.loads(bytes(fields)))
        case _:
            return None


def units(parts: Iterable[Part]) -> list[Any]:
    """What each position holds: a character with its kind, or a value."""
    return [(kind, one) for kind, value in parts for one in (value if isinstance(value, str) else [value])]


def filled(events: Iterable[tuple[Delta, Part | None]], *, closed: bool = True) -> EventLog:
    log = EventLog(STARTED)
    for event, _ in events:
        log.append([event])
    if closed:
        log.close(DONE)
    return log


@few
@given(EVENTS, st.data())
def test_every_reader_gets_the_same(events: list[tuple[Delta, Part | None]], data: st.DataObject) -> None:
    """Fast, slow and late ones, resumed anywhere: the rest from there, rising positions, one terminal event."""
    log = EventLog(STARTED)
    readers: list[tuple[int, Reader, list[tuple[int, Event]]]] = []
    everything = units(folded(part for _, part in events))
    for event, _ in (*events, (None, None)):
        for _, reader, got in readers:
            if data.draw(st.booleans()):
                got += reader.read()
        if data.draw(st.booleans()):
            after = data.draw(st.integers(0, log.position))
            readers.append((after, Reader(log, after), []))
        if event is None:
            log.close(DONE)
        else:
            log.append([event])
    for after in {0, 1, log.position, *range(0, log.position, 3)}:
        readers.append((after, Reader(log, after), []))
    for after, reader, got in readers:
        got += reader.read()
        assert reader.read() == []
        positions = [position for position, _ in got]
        assert positions == sorted(set(positions))
        assert all(position > after for position in positions)
        assert [event for _, event in got if isinstance(event, (Started, Done))] == [STARTED, DONE][after > 0 :]
        assert got[-1] == (log.position + 1, DONE)
        assert units(folded(part_of(event) for _, event in got)) == everything[max(0, after - 1) :]


@few
@given(EVENTS)
def test_a_log_made_again_has_the_same_positions(events: list[tuple[Delta, Part | None]]) -> None:
    """From its stored parts, as JSON: whoever resumes after a restart misses nothing and gets nothing twice."""
    log = filled(events)
    again = EventLog(STARTED)
    again.restore([(kind, value) for kind, value in json.loads(json.dumps(log.parts()))])
    again.close(DONE)
    assert again.position == log.position
    for after in range(log.position + 3):
        here, there = log.read(log.seek(after)), again.read(again.seek(after))
        assert [position for position, _ in here] == [position for position, _ in there]
        assert [part_of(event) for _, event in here] == [part_of(event) for _, event in there]


@few
@given(EVENTS, st.data())
def test_checkpoints_together_are_the_text(events: list[tuple[Delta, Part | None]], data: st.DataObject) -> None:
    """Each from the mark of the one before."""
    log = EventLog(STARTED)
    saved: list[Part] = []
    mark = log.mark()
    for event, _ in events:
        log.append([event])
        if data.draw(st.booleans()):
            saved += log.parts(mark)
            mark = log.mark()
    saved += log.parts(mark)
    assert folded(saved) == log.parts() == folded(part for _, part in events)
    assert log.parts(log.mark()) == []


@few
@given(st.lists(st.lists(st.binary(max_size=5), max_size=3), max_size=10), st.data())
def test_a_raw_reader_gets_every_frame_once(reads: list[list[bytes]], data: st.DataObject) -> None:
    """In order, joined where it was behind."""
    log = EventLog(STARTED)
    reader = RawReader(log)
    log.listeners.add(reader)
    got = b""
    for frames in reads:
        log.append([], frames)
        if data.draw(st.booleans()):
            got += b"".join(frames for _, frames in reader.read())
            reader.sent()
    got += b"".join(frames for _, frames in reader.read())
    assert got == b"".join(frame for frames in reads for frame in frames)


@pytest.mark.parametrize("after", [-5, 99])
def test_a_position_that_never_was_is_the_nearest(after: int) -> None:
    """Before the beginning is the beginning; beyond the end of a running log is its end, and misses nothing."""
    log = EventLog(STARTED)
    log.append([TextDelta(b"ab", 2)])
    cursor = log.seek(after)
    log.append([ToolCallDelta(msgspec.Raw(b"{}")), TextDelta(b"cd", 2)])
    log.close(DONE)
    assert log.read(cursor)[-3:] == [
        (4, ToolCallDelta(msgspec.Raw(b"{}"))), (6, TextDelta(b"cd", 2)), (7, DONE),
    ]  # fmt: skip


def test_a_reader_beyond_the_end_of_a_running_log_still_ends() -> None:
    """The terminal event reaches it."""
    log = EventLog(STARTED)
    cursor = log.seek(99)
    log.close(DONE)
    log.close(Done("tr-1", "length", None, 1, 2))  # the first one counts
    assert log.read(cursor) == [(2, DONE)]


@pytest.mark.parametrize("after", [1, 3, 4, 400])
def test_the_end_of_a_stopped_server_comes_after_all_that_a_client_had(after: int) -> None:
    """It may have had more than was stored when the server was killed."""
    failed = Failed("tr-1", "The server stopped.", "server_shutdown", retryable=True)
    log = EventLog(STARTED)
    log.restore([("text", "ab")])
    log.close(failed)
    assert log.read(log.seek(after))[-1:] == [(log.end, failed)]
    assert log.end > 10**14
    assert log.read(log.seek(log.end)) == []


def test_a_call_that_no_decoder_takes_is_kept_as_text() -> None:
    """A number out of range is JSON all the same."""
    log = filled([(ToolCallDelta(msgspec.Raw(b'{"n":1e999}')), None)])
    assert log.parts() == [("tool_call", '{"n":1e999}')]


def test_a_checkpoint_after_a_mark_has_what_came_since() -> None:
    """As JSON; a segment that was saved whole is not in it again."""
    log = EventLog(STARTED)
    log.append([TextDelta(b"a", 1)])
    mark = log.mark()
    log.append([ReasoningDelta(b"hm", 2)])
    assert log.parts_json(mark) == '[["reasoning","hm"]]'


async def test_waiting_ends_with_news_or_a_nudge() -> None:
    """True and False; neither is needed twice."""
    log = EventLog(STARTED)
    reader = Reader(log)
    log.listeners.add(reader)
    waits = asyncio.ensure_future(reader.wait())
    await asyncio.sleep(0)
    assert reader.waiting
    log.append([TextDelta(b"a", 1)])
    reader.wake_for_heartbeat()
    assert await waits
    assert not reader.waiting
    waits = asyncio.ensure_future(reader.wait())
    await asyncio.sleep(0)
    reader.wake_for_heartbeat()
    assert not await waits


async def test_drain_waits_for_the_slowest_reader() -> None:
    """Until it has sent on what it held, or has left; many may wait at once."""
    log = EventLog(STARTED)
    await log.drain(0)
    slow, raw = Reader(log), RawReader(log)
    log.listeners |= {slow, raw}
    log.append([TextDelta(b"abcd", 4)], [b"123456"])
    assert (slow.unsent, raw.unsent, log.behind()) == (4, 6, 6)
    waits = [asyncio.ensure_future(log.drain(3)) for _ in range(2)]
    await asyncio.sleep(0)
    assert raw.read() == [(5, b"123456")]
    assert log.behind() == 6  # being sent is not sent
    raw.sent()
    await asyncio.sleep(0)
    assert not waits[0].done()
    slow.read()
    log.append([TextDelta(b"ef", 2)])
    slow.sent()
    assert slow.unsent == 2
    await asyncio.gather(*waits)
    log.advanced()  # nobody waits


def test_merges_are_counted() -> None:
    """Each append that reached the client together with the one before."""
    log = EventLog(STARTED)
    reader = Reader(log)
    for _ in range(3):
        log.append([TextDelta(b"a", 1)])
    reader.read()
    log.append([TextDelta(b"a", 1)])
    reader.read()
    assert reader.take_merged() == 2
    assert reader.take_merged() == 0
