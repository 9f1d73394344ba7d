"""The EventLog: everything one answer said, in order, and readers that each hold a cursor into it.

An event's position is its `id` on the wire. `Started` is at 1; text and reasoning add one a character, any other
event adds one; the terminal event is at the end plus one, or, where the server was stopped or killed, after whatever
a client may have had, of which the end may not be stored. So a position can be found again in the running log and in
a stored answer alike, whatever was merged on the way.

Text is kept once, JSON-escaped as it came. Raw frames for the OpenAI wire are held only until their one reader takes
them. Written by Run; read by Readers. It does no I/O and knows no clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import msgspec

from gateway.domain.answer import Part
from gateway.domain.events import (
    Delta,
    Event,
    Failed,
    OtherDelta,
    ReasoningDelta,
    Started,
    Terminal,
    TextDelta,
    ToolCallDelta,
)

LAST = 999_999_999_999_999  # no position is beyond it

_encode = msgspec.json.encode
_decode = msgspec.json.decode


_WHOLE = ("tool_call", "other")  # kinds of parts that are one value, and one position


def _decoded_whole(data: bytearray) -> Any:
    """Return the value of such a part, or its text where it is JSON that no decoder here takes (1e999)."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return data.decode("utf-8", "replace")


class Listener(Protocol):
    """The protocol of those that hear of what is appended: a Reader."""

    @property
    def unsent(self) -> int:
        """Return the bytes that its client hasn't been sent yet."""

    def deliver(self, events: Sequence[Delta], raw: Sequence[bytes]) -> bool:
        """Take what was appended. Return True when the client has it, and with it everything."""


class _Segment:
    """A part as it grows: adjacent text of one kind, or one value. `start` is the position before it."""

    __slots__ = ("chars", "data", "kind", "start")

    def __init__(self, kind: str, start: int, data: bytearray, chars: int) -> None:
        self.kind, self.start, self.data, self.chars = kind, start, data, chars

    def offset(self, chars: int) -> int:
        """Return where in `data` the character number `chars` begins."""
        if chars == 0 or self.chars == len(self.data):  # no escapes, nothing beyond ASCII
            return chars
        # Escapes differ in length from provider to provider, so the data is walked, not measured.
        data, at = self.data, 0
        for _ in range(chars):
            if data[at] == 0x5C:
                pair = data[at + 1] == 0x75 and data[at + 2] in b"dD" and data[at + 3] in b"89abAB"
                at += (12 if pair else 6) if data[at + 1] == 0x75 else 2
            else:
                at += 1 if data[at] < 0x80 else 2 if data[at] < 0xE0 else 3 if data[at] < 0xF0 else 4
        return at

    def event(self, offset: int, chars: int) -> Event:
        if self.kind in _WHOLE:
            raw = msgspec.Raw(self.data)
            return ToolCallDelta(raw) if self.kind == "tool_call" else OtherDelta(raw)
        data = bytes(self.data[offset:]) if offset else bytes(self.data)
        return TextDelta(data, chars) if self.kind == "text" else ReasoningDelta(data, chars, kind=self.kind)


class EventLog:
    """Append-only. `closed` holds the terminal event once there is one; nothing follows it."""

    def __init__(self, started: Started) -> None:
        self.started = started
        self.position = 1  # of the last event
        self.size = 0  # bytes of text, tool calls and all else
        self.appends = 0  # how often something was appended
        self.closed: Terminal | None = None
        self.end = LAST  # position of the terminal event, once there is one
        self.listeners: set[Listener] = set()
        self._segments: list[_Segment] = []
        self._drained: asyncio.Future[None] | None = None

    def append(self, events: Sequence[Delta], raw: Sequence[bytes] = ()) -> bool:
        """Add what the provider said, and deliver it. `raw` is the same as the provider's own frames.

        Return True when a listener's client doesn't have it yet.
        """
        for event in events:
            if type(event) is TextDelta:  # cheaper than isinstance(), and most events are text
                segments, text = self._segments, event.text
                if segments and (last := segments[-1]).kind == "text":
                    last.data += text
                    last.chars += event.chars
                    self.position += event.chars
                    self.size += len(text)
                else:
                    self._grow("text", text, event.chars)
            elif isinstance(event, ReasoningDelta):
                self._grow(event.kind, event.text, event.chars)
            elif isinstance(event, ToolCallDelta):
                self._grow("tool_call", bytes(event.call), 1)
            elif isinstance(event, OtherDelta):
                self._grow("other", bytes(event.fields), 1)
        self.appends += 1
        behind = False
        for listener in self.listeners:
            if not listener.deliver(events, raw):
                behind = True
        return behind

    def close(self, terminal: Terminal) -> None:
        """End the log. The readers get the terminal event after everything else."""
        if self.closed is None:
            self.closed = terminal
            if not (isinstance(terminal, Failed) and terminal.code == "server_shutdown"):
                self.end = self.position + 1
            for listener in self.listeners:
                listener.deliver((), ())

    def parts(self, since: tuple[int, int] = (0, 0)) -> list[Part]:
        """Return what was said since a mark, decoded."""
        parts: list[Part] = []
        first, offset = since
        for segment in self._segments[first:]:
            data = segment.data[offset:]
            offset = 0
            if data:
                whole = segment.kind in _WHOLE
                parts.append((segment.kind, _decoded_whole(data) if whole else _decode(b'"' + bytes(data) + b'"')))
        return parts

    def parts_json(self, since: tuple[int, int] = (0, 0)) -> str:
        """Return the same as JSON. Text is kept as JSON, so it costs nothing; what is no text has to be decoded."""
        parts: list[bytes] = []
        first, offset = since
        for segment in self._segments[first:]:
            data = segment.data[offset:]
            offset = 0
            if data:
                value = _encode(_decoded_whole(data)) if segment.kind in _WHOLE else b'"%b"' % bytes(data)
                parts.append(b'["%b",%b]' % (segment.kind.encode(), value))
        return "[" + b",".join(parts).decode() + "]"

    def mark(self) -> tuple[int, int]:
        """Return the end of the log, for a later `parts(since=…)`."""
        last = len(self._segments) - 1
        return (last, len(self._segments[last].data)) if last >= 0 else (0, 0)

    def restore(self, parts: Iterable[Part]) -> None:
        """Fill an empty log from a stored answer."""
        for kind, value in parts:
            if kind in _WHOLE:
                self._grow(kind, _encode(value), 1)
            else:
                self._grow(kind, _encode(value)[1:-1], len(value))

    def behind(self) -> int:
        """Return the bytes that the slowest listener has not yet sent on."""
        most = 0
        for listener in self.listeners:  # cheaper than max(), which would want a generator
            if (unsent := listener.unsent) > most:
                most = unsent
        return most

    async def drain(self, limit: int) -> None:
        """Wait while the slowest listener is more than `limit` bytes behind."""
        while self.behind() > limit:
            if self._drained is None or self._drained.done():
                self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def advanced(self) -> None:
        """Have those who wait in `drain` look again, since a listener sent what it held, or left."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def read(self, cursor: Cursor) -> list[tuple[int, Event]]:
        """Return what comes after the cursor, with positions, adjacent text merged. The cursor moves to the end."""
        out: list[tuple[int, Event]] = []
        if cursor.position < 1:
            cursor.position = 1
            out.append((1, self.started))
        segments = self._segments
        while cursor.segment < len(segments):
            segment = segments[cursor.segment]
            chars = segment.start + segment.chars - cursor.position
            if chars > 0:
                cursor.position += chars
                out.append((cursor.position, segment.event(cursor.offset, chars)))
                cursor.offset = len(segment.data)
            if cursor.segment == len(segments) - 1:
                break
            cursor.segment += 1
            cursor.offset = 0
        if self.closed is not None and cursor.position < self.end:
            cursor.position = self.end
            out.append((cursor.position, self.closed))
        return out

    def seek(self, after: int) -> Cursor:
        """Return a cursor that has had everything up to and including position `after`."""
        cursor = Cursor()
        cursor.position = max(0, min(after, self.position if self.closed is None else self.end))
        for index, segment in enumerate(self._segments):
            cursor.segment = index
            had = cursor.position - segment.start
            if had < segment.chars:
                cursor.offset = segment.offset(had) if had > 0 else 0
                break
            cursor.offset = len(segment.data)
        return cursor

    def to_end(self, cursor: Cursor) -> None:
        """Move the cursor to the end."""
        cursor.position = self.position
        cursor.segment = len(self._segments) - 1
        cursor.offset = len(self._segments[-1].data)

    def _grow(self, kind: str, data: bytes, chars: int) -> None:
        if not chars:
            return
        segments = self._segments
        if segments and (last := segments[-1]).kind == kind and kind not in _WHOLE:
            last.data += data
            last.chars += chars
        else:
            segments.append(_Segment(kind, self.position, bytearray(data), chars))
        self.position += chars
        self.size += len(data)


class Cursor:
    """A place in the log: the position sent last, and where that is in the segments."""

    __slots__ = ("offset", "position", "segment")

    def __init__(self) -> None:
        self.position = 0
        self.segment = 0
        self.offset = 0
