"""A client made by hand: `receive` and `send` of one HTTP exchange, under the test's control."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from gateway.access.limits import Limits
from gateway.access.principal import KEYLESS
from gateway.config.current import Current
from gateway.config.schema import Config, Server, Streaming
from gateway.observability.metrics import Metrics
from gateway.streaming.reader import Reader
from gateway.streaming.run import Run
from gateway.web.pump import stream
from gateway.web.request import Request
from gateway.web.types import Services
from gateway.wire.native import EventStream
from tests.support.runs import RunHarness


class Client:
    """`old`: like uvicorn's ASGI 2.3, where sends to a client that left do nothing; else they raise OSError (2.4).

    `stuck` makes sends wait, `stuck_at` those of this body; `step` lets one through for each release. `aborted` says
    that the connection was cut.
    """

    def __init__(self, services: Any, *, old: bool = True, body: Any = None, path: str = "/chat/stream") -> None:
        self.old = old
        self.sent: list[Any] = []
        self.came = asyncio.Event()
        self.stuck: asyncio.Event | None = None
        self.stuck_at: bytes | None = None
        self.step: asyncio.Semaphore | None = None
        self.gone = asyncio.Event()
        self.aborted = False
        self._body = None if body is None else json.dumps(body).encode()
        scope = {
            "type": "http", "method": "POST", "path": path, "query_string": b"",
            "headers": [(b"content-type", b"application/json")],
            "asgi": {"spec_version": "2.3" if old else "2.4"}, "extensions": {"gateway.abort": self.abort},
        }  # fmt: skip
        self.request = Request(scope, self.receive, self.send, services, "req-1")
        self.request.principal = KEYLESS

    async def receive(self) -> Any:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if self.stuck is not None:
            await self.stuck.wait()
        if self.step is not None:
            await self.step.acquire()
        if self.stuck_at is not None and message.get("body") == self.stuck_at:
            await asyncio.Event().wait()
        if self.gone.is_set():
            if not self.old:
                raise OSError("the client left")
            return
        self.sent.append(message)
        self.came.set()

    def abort(self) -> None:
        self.aborted = True
        self.gone.set()

    @property
    def head(self) -> Any:
        return self.sent[0]

    @property
    def data(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    async def until(self, come: Callable[[bytes], bool]) -> None:
        """Until what was sent is enough."""
        while not come(self.data):
            self.came.clear()
            await self.came.wait()


def services(chat: Any, *, send_timeout_s: float = 30) -> Services:
    """Return what the handlers of chats need. Whatever else they asked for would raise AttributeError."""
    config = Config(server=Server(max_body_bytes=100_000), streaming=Streaming(send_timeout_s=send_timeout_s))
    current = Current(config)
    absent: Any = object()
    return Services(
        current=current, limits=Limits(current), chat=chat, feedback=absent, store=absent, authenticator=absent,
        stored_keys=absent, openid=absent, metrics=Metrics(), feed=absent, openapi=b"", erasure=absent, pages=absent,
        docs=absent,
    )  # fmt: skip


def events(data: bytes) -> list[Any]:
    """The events of a native stream."""
    return [json.loads(line[6:]) for line in data.split(b"\n") if line.startswith(b"data: ")]


async def serve(client: Client, harness: RunHarness, run: Run, *, after: int = 0) -> None:
    """As the handlers do it: read, send, leave."""
    with harness.runs.reading(run.log, after=after) as reader:
        await send(client, reader)


async def send(client: Client, reader: Reader) -> None:
    """The native stream."""
    await stream(client.request, reader, EventStream())
