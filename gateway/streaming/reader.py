"""A client's place in the log, with what it takes to wake it, push to it and measure it. Made by Run.attach.

The log tells its readers what was appended; a codec's response loop reads. The sweep looks at the times.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from gateway.domain.events import Done, Event, Started
from gateway.streaming.log import EventLog

Push = Callable[[bytes, bytes, int], bool]  # text, raw frames, position: hand it to the client at once, if it can be


class Reader:
    """A client's place in the log, with what it takes to wake and measure it. Made by Run.attach.

    A `raw` reader gets the provider's frames instead of events: there is one at most, from the beginning.
    """

    __slots__ = (
        "_appends", "_cursor", "_had", "_in_flight", "_log", "_pending", "_took", "_waiter",
        "drop", "idle_since", "merged", "push", "pushed", "raw", "sending_since", "token",
    )  # fmt: skip

    def __init__(self, log: EventLog, *, raw: bool, after: int, now: float) -> None:
        self.raw = raw
        self.idle_since = now  # loop time when something was last sent
        self.sending_since: float | None = None
        self.drop: Callable[[], None] | None = None  # ends the client's loop; called when a send takes too long
        self.push: Push | None = None
        self.pushed = False  # something was, since the sweep looked last
        self.token: str | None = None  # this client's own, in place of that of whoever asked
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
        events, token = self._log.read(self._cursor), self.token
        return events if token is None else [(position, _bearing(event, token)) for position, event in events]

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


def _bearing(event: Event, token: str) -> Event:
    return msgspec.structs.replace(event, feedback_token=token) if isinstance(event, Started | Done) else event
