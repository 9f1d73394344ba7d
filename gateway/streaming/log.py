"""The EventLog: everything one answer said, in order, and readers that each hold a cursor into it.

An event's position is its `id` on the wire. `Started` is at 1; text and reasoning add one a character, any other
event adds one; the terminal event is at the end plus one. So a position can be found again in the running log and in
a stored answer alike, whatever was merged on the way.

Text is kept once, JSON-escaped as it came. Raw frames for the OpenAI wire are held only until their one reader takes
them. Written by Run; read by the codecs' response loops. It does no I/O and knows no clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Literal

import msgspec

from gateway.domain.answer import Part
from gateway.domain.events import Delta, Event, ReasoningDelta, Started, Terminal, TextDelta, ToolCallDelta

Kind = Literal["text", "reasoning", "tool_call"]

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
        if self.closed is not None and cursor.position == self.position:
            cursor.position += 1
            out.append((cursor.position, self.closed))
        return out

    def seek(self, after: int) -> Cursor:
        """A cursor that has had everything up to and including position `after`."""
        cursor = Cursor()
        cursor.position = max(0, min(after, self.position + (self.closed is not None)))
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


Push = Callable[[bytes, bytes, int], bool]  # text, raw frames, position: hand it to the client at once, if it can be


class Reader:
    """A client's place in the log, with what it takes to wake and measure it. Made by Run.attach.

    A `raw` reader gets the provider's frames instead of events: there is one at most, from the beginning.
    """

    __slots__ = (
        "_appends", "_cursor", "_had", "_in_flight", "_log", "_pending", "_took", "_waiter",
        "drop", "idle_since", "merged", "push", "pushed", "raw", "sending_since",
    )  # fmt: skip

    def __init__(self, log: EventLog, *, raw: bool, after: int, now: float) -> None:
        self.raw = raw
        self.idle_since = now  # loop time when something was last sent
        self.sending_since: float | None = None
        self.drop: Callable[[], None] | None = None  # ends the client's loop; called when a send takes too long
        self.push: Push | None = None
        self.pushed = False  # something was, since the sweep looked last
        self._log = log
        self._cursor = log.seek(after)
        self._pending: list[bytes] = []
        self._in_flight = 0  # raw: bytes being sent
        self._had = log.size  # else: the log's size when the last finished send began
        self._took = log.size
        self._waiter: asyncio.Future[bool] | None = None
        self.merged = 0  # appends that reached the client together with the one before
        self._appends = log.appends

    @property
    def unsent(self) -> int:
        """Bytes that came since this reader attached and that it has not sent on."""
        if self.raw:
            return self._in_flight + sum(map(len, self._pending))
        return self._log.size - self._had

    def notify(self, raw: Iterable[bytes]) -> None:
        """Something was appended."""
        if self.raw:
            self._pending.extend(raw)
        self._wake(news=True)

    def offer(self, text: bytes, raw: bytes) -> bool:
        """The text of some frames was appended: push it to a client that has had all before it; else notify."""
        log, waiter = self._log, self._waiter
        if self.push is None or waiter is None or waiter.done() or not self.push(text, raw, log.position):
            self.notify((raw,))
            return False
        if not self.raw:
            log.to_end(self._cursor)
        self._had = self._took = log.size
        self._appends = log.appends
        self.pushed = True
        return True

    def nudge(self) -> None:
        """The reader has been idle for long: wake it, so that it sends a heartbeat."""
        self._wake(news=False)

    @property
    def waiting(self) -> bool:
        return self._waiter is not None

    async def wait(self) -> bool:
        """Wait for news: True; or for a nudge: False."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            return await self._waiter
        finally:
            self._waiter = None

    def read(self) -> list[tuple[int, Event]]:
        """All that is new, with positions. Follow it with `sent`."""
        self._count_merged()
        self._took = self._log.size
        return self._log.read(self._cursor)

    def read_raw(self) -> bytes:
        """All frames that are new. Follow it with `sent`."""
        self._count_merged()
        data = b"".join(self._pending)
        self._pending.clear()
        self._in_flight = len(data)
        return data

    def sent(self) -> None:
        """What was read last is with the client now."""
        self._in_flight = 0
        self._had = self._took
        self._log.advanced()

    def take_merged(self) -> int:
        """How many merges there were since the last time."""
        merged, self.merged = self.merged, 0
        return merged

    def _count_merged(self) -> None:
        behind = self._log.appends - self._appends
        if behind > 1:
            self.merged += behind - 1
        self._appends = self._log.appends

    def _wake(self, *, news: bool) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(news)
