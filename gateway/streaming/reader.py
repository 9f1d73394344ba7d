"""A client's place in the log: it wakes the client's loop, pushes to the client, and measures how far it is behind.

The log delivers to it what is appended; the loop of web/pump.py reads from it; the sweep of runs.py looks at its times.
It does no I/O. Made by Runs.reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from gateway.config.schema import Streaming
from gateway.domain.events import Delta, Done, Event, Started, TextDelta
from gateway.streaming.log import EventLog

Write = Callable[
    [bytes], bool
]  # hands bytes to the client at once; False, and nothing done, where it would have to wait
EncodeText = Callable[[bytes, int], bytes | None]  # of text, still escaped, and its position; None: not by itself


class Reader:
    """A client's place in the log. `ready` first, then `read`, `sent` and `wait` in turn.

    A reader whose `wait` is pending has had everything: `wait` is called right after a `read` that gave nothing, with
    no await between, and from then on each `deliver` either pushes what came or ends the wait. That is why `deliver`
    may push past the loop: there is nothing that the client should get before it.
    """

    __slots__ = (
        "_appends", "_begun", "_cursor", "_encode_text", "_on_timeout", "_pushed", "_quiet_since", "_read_size",
        "_sending_since", "_sent_size", "_token", "_waiter", "_write", "log", "merged",
    )  # fmt: skip

    def __init__(
        self,
        log: EventLog,
        after: int = 0,
        token: str | None = None,
        *,
        begun: asyncio.Future[None] | None = None,
        now: float = 0.0,
    ) -> None:
        """`after`: the position that the client has. `token`: a feedback token in place of the log's. `begun` is done
        once the trace's row is committed. `now` is loop time."""
        self.log = log
        self.merged = 0  # appends that reached the client together with the one before
        self._cursor = log.seek(after)
        self._token = token
        self._begun = begun
        self._appends = log.appends
        self._sent_size = self._read_size = log.size  # of the log, when what was sent and read last was read
        self._waiter: asyncio.Future[bool] | None = None
        self._write: Write | None = None
        self._encode_text: EncodeText
        self._on_timeout: Callable[[], None] | None = None
        self._sending_since: float | None = None  # loop time
        self._quiet_since = now  # loop time when something was last sent
        self._pushed = False  # something was, since the sweep looked last

    @property
    def trace_id(self) -> str:
        """Return the trace of the answer."""
        return self.log.started.trace_id

    @property
    def unsent(self) -> int:
        """Return the bytes that came since this reader began and that it has not sent on."""
        return self.log.size - self._sent_size

    @property
    def waiting(self) -> bool:
        """Return True while the client has had everything."""
        return self._waiter is not None

    @property
    def sending_since(self) -> float | None:
        """Return the loop time since when the client hasn't taken what is being sent to it; None where it has."""
        return self._sending_since

    async def ready(self) -> None:
        """Wait until the trace's row is committed: no byte goes to a client before. Raises the store's error."""
        if self._begun is not None:
            await asyncio.shield(self._begun)

    # What the client's loop calls.

    def read(self) -> list[tuple[int, Any]]:
        """Return all events that are new, with positions. Follow it with `sent`."""
        self._note_read()
        events, token = self.log.read(self._cursor), self._token
        return events if token is None else [(position, _with_token(event, token)) for position, event in events]

    def sending(self) -> _Sending:
        """Have the sweep watch how long a send takes: `with reader.sending(): await …`."""
        return _Sending(self)

    def sent(self) -> None:
        """Note that the client has what was read last."""
        self._sent_size = self._read_size
        self.log.advanced()

    async def wait(self) -> bool:
        """Wait for news and return True, or for a heartbeat to be due and return False."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            return await self._waiter
        finally:
            self._waiter = None

    def take_merged(self) -> int:
        """Return how many merges there were since the last time."""
        merged, self.merged = self.merged, 0
        return merged

    def connect(self, on_timeout: Callable[[], None]) -> None:
        """Have `on_timeout` called when the client takes nothing for too long."""
        self._on_timeout = on_timeout

    def push_with(self, encode_text: EncodeText, write: Write) -> None:
        """Push lone texts into the client from now on."""
        self._encode_text, self._write = encode_text, write

    def disconnect(self) -> None:
        """Neither push nor time out any more."""
        self._on_timeout = self._write = None

    # What the log calls.

    def deliver(self, events: Sequence[Delta], raw: Sequence[bytes]) -> bool:
        """See Listener. Push a lone text to a client that has had everything before it, else end the wait."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return False
        if self._write is not None and len(events) == 1 and type(event := events[0]) is TextDelta:
            log = self.log
            data = self._encode_text(event.text, log.position)
            if data is not None and self._write(data):
                log.to_end(self._cursor)
                self._note_pushed()
                return True
        waiter.set_result(True)
        return False

    # What the sweep calls.

    def check_timeout(self, now: float, config: Streaming) -> Literal["send_timeouts", "heartbeats"] | None:
        """Time out a send that hangs, and wake a reader that is due to send a heartbeat. Return what was done."""
        if self._sending_since is not None:
            if self._sending_since < now - config.send_timeout_s and self._on_timeout is not None:
                self._on_timeout()
                return "send_timeouts"
        elif self._pushed:
            self._pushed, self._quiet_since = False, now
        elif self._waiter is not None and self._quiet_since < now - config.heartbeat_s:
            self._quiet_since = now  # not every wire sends a heartbeat when it is woken for one
            self.wake_for_heartbeat()
            return "heartbeats"
        return None

    def wake_for_heartbeat(self) -> None:
        """End the wait with False."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(False)

    def time_out(self) -> None:
        """Cut off the client, if one is connected."""
        if self._on_timeout is not None:
            self._on_timeout()

    def _note_read(self) -> None:
        log = self.log
        behind = log.appends - self._appends
        if behind > 1:
            self.merged += behind - 1
        self._appends = log.appends
        self._read_size = log.size

    def _note_pushed(self) -> None:
        log = self.log
        self._sent_size = self._read_size = log.size
        self._appends = log.appends
        self._pushed = True


class _Sending:
    """A class, not a generator: it is entered for each piece that is sent."""

    __slots__ = ("_loop", "_reader")

    def __init__(self, reader: Reader) -> None:
        self._reader, self._loop = reader, asyncio.get_running_loop()

    def __enter__(self) -> None:
        self._reader._sending_since = self._loop.time()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:  # else the client is gone, or the pump is ended
            self._reader._sending_since, self._reader._quiet_since = None, self._loop.time()


class RawReader(Reader):
    """Gets the provider's own frames, as `bytes` in place of events, and then the terminal event.

    There is one at most, from the beginning on: raw frames are not kept for others.
    """

    __slots__ = ("_in_flight", "_pending")

    def __init__(self, log: EventLog, *, begun: asyncio.Future[None] | None = None, now: float = 0.0) -> None:
        super().__init__(log, begun=begun, now=now)
        self._pending: list[bytes] = []
        self._in_flight = 0  # bytes being sent

    @property
    def unsent(self) -> int:
        """Return the bytes of the frames that it has not sent on."""
        return self._in_flight + sum(map(len, self._pending))

    def read(self) -> list[tuple[int, Any]]:
        """Return all frames that are new as one piece, and the terminal event. Follow it with `sent`."""
        self._note_read()
        log, data = self.log, b"".join(self._pending)
        self._pending.clear()
        self._in_flight = len(data)
        out: list[tuple[int, Any]] = [(log.position, data)] if data else []
        if log.closed is not None:
            out.append((log.end, log.closed))
        return out

    def sent(self) -> None:
        """Note that the client has what was read last."""
        self._in_flight = 0
        super().sent()

    def deliver(self, events: Sequence[Delta], raw: Sequence[bytes]) -> bool:
        """See Listener. Push frames to a client that has had everything before them, else keep them for `read`."""
        waiter = self._waiter
        waiting = waiter is not None and not waiter.done()
        if raw and waiting and self._write is not None:
            data = self._encode_text(raw[0] if len(raw) == 1 else b"".join(raw), self.log.position)
            if data is not None and self._write(data):
                self._note_pushed()
                return True
        self._pending.extend(raw)
        if waiting:
            waiter.set_result(True)  # type: ignore[union-attr]
        return False


def _with_token(event: Event, token: str) -> Event:
    return msgspec.structs.replace(event, feedback_token=token) if isinstance(event, Started | Done) else event
