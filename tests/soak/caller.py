"""What a row of the table in tests/soak/worst.py is made of: a caller who means harm, and what they do.

It runs in the attack's process; it measures nothing but what the caller is answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from tests.support.load_client import Reply

_PATIENCE_S = 120


class Caller:
    """One project's client. `review`, `chat`: its keys; `seen`: answers by status; `kept`: what `prepare` made."""

    def __init__(self, port: int, review: str, chat: str) -> None:
        self.port, self.review, self.chat = port, review, chat
        self.seen: Counter[str] = Counter()
        self.longest = 0.0
        self.kept: dict[str, Any] = {}
        self.numbers = itertools.count(1)  # for what must differ in each request

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        key: str | None = None,
        wait: bool = True,
    ) -> Reply:
        """Make one request and return its reply. `body` is bytes, or a value that becomes JSON.

        `wait=False` hangs up as soon as all is sent.
        """
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        fields = {"Host": "127.0.0.1", "Connection": "close", "Authorization": f"Bearer {key or self.review}"}
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return await self.raw(head.encode() + b"\r\n" + data, wait=wait)

    async def raw(self, data: bytes, *, wait: bool = True) -> Reply:
        """Send bytes as they are on a connection of their own, and return what comes back until it is closed."""
        began = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answer = b""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                writer.write(data)
                with contextlib.suppress(ConnectionError):  # a refusal may come, and the end, before all is sent
                    await writer.drain()
                if wait:
                    with contextlib.suppress(ConnectionError):
                        while piece := await reader.read(65_536):
                            answer += piece
        except TimeoutError:
            self.seen["no answer"] += 1
            return Reply(b"")
        finally:
            writer.transport.abort()
        self.longest = max(self.longest, time.monotonic() - began)
        reply = Reply(answer)
        self.seen[str(reply.status) if wait else "left"] += 1
        return reply


Work = Callable[[Caller], Awaitable[None]]


class Row(NamedTuple):
    """One row: its name, what is done in words, and the coroutine that does it once.

    `at_once` callers repeat it until the time is up. `prepare` runs once before. `config` is merged into the gateway's.
    """

    name: str
    what: str
    work: Work
    at_once: int = 4
    prepare: Work | None = None
    config: Mapping[str, Any] = {}


async def repeat(row: Row, caller: Caller, seconds: float) -> dict[str, float]:
    """Do what the row does until the time is up; return the answers by status, and the longest wait for one."""
    end = time.monotonic() + seconds

    async def one() -> None:
        while time.monotonic() < end:
            await row.work(caller)

    await asyncio.gather(*(one() for _ in range(row.at_once)))
    answers = {f"answers: {status}": count for status, count in sorted(caller.seen.items())}
    return {**answers, "longest answer, s": caller.longest}
