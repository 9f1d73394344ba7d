"""Clients that stream and rate without a pause, and remember all that the gateway told them, until it is killed.

They judge nothing; check.py compares what they remember with what is in the store after the restart.
"""

from __future__ import annotations

import asyncio
import dataclasses
import random
from types import TracebackType
from typing import Any, Self

from tests.support.load_client import Exchange, Reply, fetch, send, text_of

MODELS = ("lorem-40-20ms", "unicode-120-20ms", "lorem-5-5ms", "unicode-400-10ms")
CLIENTS, RATERS = 24, 8


@dataclasses.dataclass
class Rated:
    """A rating that got a 2xx."""

    trace_id: str
    assessment_id: str
    name: str
    value: Any


class Heard:
    """One stream as its client heard it. `trace_id` is None as long as nothing has said it."""

    def __init__(self, model: str, exchange: Exchange) -> None:
        self.model = model
        self.exchange = exchange

    @property
    def trace_id(self) -> str | None:
        return self.exchange.reply().headers.get("x-trace-id") if self.exchange.pieces else None

    def came_at(self) -> list[tuple[float, int]]:
        """When something came, and how many characters of the answer the client had from then on."""
        data, found = b"", []
        for came, piece in self.exchange.pieces:
            data += piece
            found.append((came, len(text_of(Reply(data).frames))))
        return found

    @property
    def text(self) -> str:
        return text_of(self.exchange.reply().frames)

    @property
    def done(self) -> bool:
        return any(event["type"] == "done" for _, event in self.exchange.reply().frames)


class Load:
    """A context: what it remembers is whole once the gateway is dead and the context has been left."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self.streams: list[Heard] = []
        self.rated: list[Rated] = []
        self.refused: list[str] = []  # replies that nobody should get from a healthy gateway
        self.asking = 0  # ratings sent that have no answer yet
        self._random = random.Random(seed)
        self._tasks: list[asyncio.Task[None]] = []
        self._over = False

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._stream()) for _ in range(CLIENTS)]
        self._tasks += [asyncio.create_task(self._rate()) for _ in range(RATERS)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._over = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for heard in self.streams:
            heard.exchange.transport.abort()

    @property
    def open(self) -> int:
        """Streams that are being read."""
        return sum(not heard.exchange.closed.done() for heard in self.streams)

    async def _stream(self) -> None:
        while not self._over:
            model = self._random.choice(MODELS)
            try:
                exchange = await send(self.port, "POST", "/chat/stream", {"message": "go on", "model": model})
            except OSError:
                return  # it is dead
            heard = Heard(model, exchange)
            self.streams.append(heard)
            reply = await exchange.end()
            if reply.status not in (0, 200):
                self.refused.append(f"{reply.status} {reply.body!r}")

    async def _rate(self) -> None:
        number = 0
        while not self._over:
            known = [heard.trace_id for heard in self.streams[-2 * CLIENTS :]]
            trace_id = self._random.choice(known) if known else None
            if trace_id is None:
                await asyncio.sleep(0.01)
                continue
            number += 1
            name, value = self._random.choice([("user_feedback", True), ("score", number), ("why", f"rating {number}")])
            body = {"is_correct": value} if name == "user_feedback" else {"name": name, "value": value}
            self.asking += 1
            try:
                reply = await fetch(self.port, "POST", f"/feedback?trace_id={trace_id}", body)
            except OSError:
                return
            self.asking -= 1
            if not reply.whole:
                return  # it died in the middle of its answer, or before
            if reply.status == 200:
                self.rated.append(Rated(trace_id, reply.json["assessment_id"], name, value))
            else:
                self.refused.append(f"{reply.status} {reply.body!r}")
