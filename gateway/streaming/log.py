"""The EventLog: everything one answer said, in order, and readers that each hold a cursor into it.

An event's position is its `id` on the wire. `Started` is at 1; text and reasoning add one a character, any other
event adds one; the terminal event is at the end plus one, or, where the server was stopped or killed, after whatever
a client may have had, of which the end may not be stored. So a position can be found again in the running log and in
a stored answer alike, whatever was merged on the way.

Text is kept once, JSON-escaped as it came. Raw frames for the OpenAI wire are held only until their one reader takes
them. Written by Run; read by the codecs' response loops. It does no I/O and knows no clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from gateway.domain.answer import Part
from gateway.domain.events import Delta, Event, Failed, ReasoningDelta, Started, Terminal, TextDelta, ToolCallDelta

if TYPE_CHECKING:
    from gateway.streaming.reader import Reader

Kind = Literal["text", "reasoning", "tool_call"]
LAST = 999_999_999_999_999  # no position is beyond it

_encode = msgspec.json.encode
_decode = msgspec.json.decode


def _decoded_call(data: bytearray) -> Any:
    """A tool call's piece; where it is JSON that no decoder of ours takes (1e999), its text."""
    try:
        return _decode(data)
    except (msgspec.MsgspecError, RecursionError):
        return data.decode("utf-8", "replace")


class _Stretch:
    """Adjacent text of one kind, or one tool call delta. `start` is the position before it."""

    __slots__ = ("chars", "data", "kind", "start")

    def __init__(self, kind: Kind, start: int, data: bytearray, chars: int) -> None:
        self.kind, self.start, self.data, self.chars = kind, start, data, chars

    def offset(self, chars: int) -> int:
        """Where in `data` the character number `chars` begins."""
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
        if self.kind == "tool_call":
            return ToolCallDelta(msgspec.Raw(self.data))
        data = bytes(self.data[offset:]) if offset else bytes(self.data)
        return TextDelta(data, chars) if self.kind == "text" else ReasoningDelta(data, chars)


class EventLog:
    """Append-only. `closed` holds the terminal event once there is one; nothing follows it."""

    def __init__(self, started: Started) -> None:
        self.started = started
        self.position = 1  # of the last event
        self.size = 0  # bytes of text and tool calls
        self.appends = 0  # how often something was appended
        self.closed: Terminal | None = None
        self.end = LAST  # position of the terminal event, once there is one
        self.readers: set[Reader] = set()
        self._stretches: list[_Stretch] = []
        self._room: asyncio.Future[None] | None = None

    def append(self, events: Iterable[Delta], raw: Iterable[bytes] = ()) -> None:
        """Add what the provider said, and wake whoever waits for it."""
        for event in events:
            if isinstance(event, TextDelta):
                self._grow("text", event.text, event.chars)
            elif isinstance(event, ReasoningDelta):
                self._grow("reasoning", event.text, event.chars)
            elif isinstance(event, ToolCallDelta):
                self._grow("tool_call", bytes(event.call), 1)
        self.appends += 1
        for reader in self.readers:
            reader.notify(raw)

    def say(self, text: bytes, chars: int, raw: bytes) -> bool:
        """Add the text of frames, `raw`: `append` for most of what comes. True: a reader hasn't taken it yet."""
        last = self._stretches[-1] if self._stretches else None
        if last is not None and last.kind == "text":
            last.data += text
            last.chars += chars
            self.position += chars
            self.size += len(text)
        else:
            self._grow("text", text, chars)
        self.appends += 1
        late = False
        for reader in self.readers:
            if not reader.offer(text, raw):
                late = True
        return late

    def close(self, terminal: Terminal) -> None:
        """The end. The readers get it after all else."""
        if self.closed is None:
            self.closed = terminal
            if not (isinstance(terminal, Failed) and terminal.code == "server_shutdown"):
                self.end = self.position + 1
            for reader in self.readers:
                reader.notify(())

    def parts(self, since: tuple[int, int] = (0, 0)) -> list[Part]:
        """What was said since a mark, decoded."""
        parts: list[Part] = []
        first, offset = since
        for stretch in self._stretches[first:]:
            data = stretch.data[offset:]
            offset = 0
            if data:
                call = stretch.kind == "tool_call"
                parts.append((stretch.kind, _decoded_call(data) if call else _decode(b'"' + bytes(data) + b'"')))
        return parts

    def parts_json(self, since: tuple[int, int] = (0, 0)) -> str:
        """The same as JSON. Text is JSON as it is kept, so that this takes no time; tool calls have to be looked at."""
        parts: list[bytes] = []
        first, offset = since
        for stretch in self._stretches[first:]:
            data = stretch.data[offset:]
            offset = 0
            if data:
                value = _encode(_decoded_call(data)) if stretch.kind == "tool_call" else b'"%b"' % bytes(data)
                parts.append(b'["%b",%b]' % (stretch.kind.encode(), value))
        return "[" + b",".join(parts).decode() + "]"

    def mark(self) -> tuple[int, int]:
        """The end of the log, for a later `parts(since=…)`."""
        last = len(self._stretches) - 1
        return (last, len(self._stretches[last].data)) if last >= 0 else (0, 0)

    def restore(self, parts: Iterable[Part]) -> None:
        """Fill an empty log from a stored answer."""
        for kind, value in parts:
            if kind == "tool_call":
                self._grow(kind, _encode(value), 1)
            else:
                self._grow(kind, _encode(value)[1:-1], len(value))

    def behind(self) -> int:
        """Bytes that the slowest reader has not yet sent on."""
        return max((reader.unsent for reader in self.readers), default=0)

    async def room(self, limit: int) -> None:
        """Wait while the slowest reader is more than `limit` bytes behind."""
        while self.behind() > limit:
            if self._room is None or self._room.done():
                self._room = asyncio.get_running_loop().create_future()
            await self._room

    def advanced(self) -> None:
        """A reader sent what it held, or left: whoever waits for room looks again."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def read(self, cursor: Cursor) -> list[tuple[int, Event]]:
        """What comes after the cursor, merged where adjacent, with positions; the cursor moves to the end."""
        out: list[tuple[int, Event]] = []
        if cursor.position < 1:
            cursor.position = 1
            out.append((1, self.started))
        stretches = self._stretches
        while cursor.stretch < len(stretches):
            stretch = stretches[cursor.stretch]
            chars = stretch.start + stretch.chars - cursor.position
            if chars > 0:
                cursor.position += chars
                out.append((cursor.position, stretch.event(cursor.offset, chars)))
                cursor.offset = len(stretch.data)
            if cursor.stretch == len(stretches) - 1:
                break
            cursor.stretch += 1
            cursor.offset = 0
        if self.closed is not None and cursor.position < self.end:
            cursor.position = self.end
            out.append((cursor.position, self.closed))
        return out

    def seek(self, after: int) -> Cursor:
        """A cursor that has had everything up to and including position `after`."""
        cursor = Cursor()
        cursor.position = max(0, min(after, self.position if self.closed is None else self.end))
        for index, stretch in enumerate(self._stretches):
            cursor.stretch = index
            had = cursor.position - stretch.start
            if had < stretch.chars:
                cursor.offset = stretch.offset(had) if had > 0 else 0
                break
            cursor.offset = len(stretch.data)
        return cursor

    def to_end(self, cursor: Cursor) -> None:
        """The cursor has had everything."""
        cursor.position = self.position
        cursor.stretch = len(self._stretches) - 1
        cursor.offset = len(self._stretches[-1].data)

    def _grow(self, kind: Kind, data: bytes, chars: int) -> None:
        if not chars:
            return
        last = self._stretches[-1] if self._stretches else None
        if last is not None and last.kind == kind != "tool_call":
            last.data += data
            last.chars += chars
        else:
            self._stretches.append(_Stretch(kind, self.position, bytearray(data), chars))
        self.position += chars
        self.size += len(data)


class Cursor:
    """A place in the log: the position sent last, and where that is in the stretches."""

    __slots__ = ("offset", "position", "stretch")

    def __init__(self) -> None:
        self.position = 0
        self.stretch = 0
        self.offset = 0
