"""One request to a gateway under test, and what came back, as any client of OpenAI's API would read it.

It judges nothing; judge.py does. Called by conformance.py.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import msgspec

from gateway.wire.sse import FrameSplitter, frame_data

MAX_READ = 64 * 1024 * 1024  # what comes after that doesn't end
KEPT = 1_000_000  # of the body, to search it for secrets
PATIENCE_S = 1.0  # a client that leaves does so at the first text, or after this long


class Seen(msgspec.Struct):
    """What the client got. `status` 0: no head came. Texts are by choice."""

    status: int = 0
    headers: dict[str, str] = {}
    body: bytes = b""  # its beginning
    texts: dict[int, list[str]] = {}
    calls: dict[int, dict[str, str]] = {}
    finish: str | None = None
    done: int = 0  # how often [DONE] came
    errors: int = 0  # error events
    after: int = 0  # events after a terminal one
    unreadable: str = ""  # the first event that was no JSON object
    cut: str = ""  # how the connection broke
    late: bool = False  # it took longer than allowed
    flood: bool = False
    left: bool = False  # the client left before the end
    seconds: float = 0.0

    def text(self, choice: int = 0) -> str:
        """A choice's text, the halves of characters joined as browsers do."""
        return "".join(self.texts.get(choice, ())).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    @property
    def trace_id(self) -> str | None:
        return self.headers.get("x-trace-id")


async def visit(
    session: aiohttp.ClientSession,
    url: str,
    model: str,
    *,
    stream: bool,
    timeout: float,  # noqa: ASYNC109 - it is reported, not raised
    leave: Callable[[], Awaitable[None]] | None = None,
) -> Seen:
    """Ask for the model, and read to the end. With `leave`: leave at the first text, and at the latest a little after
    it returns, which it does when the provider has been asked."""
    seen = Seen()
    began = time.monotonic()
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    if stream:
        body["stream_options"] = {"include_usage": True}
    reading = asyncio.create_task(_read(session, url, body, seen, leaves=leave is not None))
    try:
        async with asyncio.timeout(timeout):
            if leave is not None:
                await leave()
                await asyncio.wait({reading}, timeout=PATIENCE_S if stream else 0.05)
                seen.left = seen.left or not reading.done()
            else:
                await asyncio.wait({reading})
    except TimeoutError:
        seen.late = True
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    if not reading.cancelled() and (problem := reading.exception()):
        if not isinstance(problem, aiohttp.ClientError | OSError):
            raise problem
        seen.cut = f"{type(problem).__name__}"
    seen.seconds = time.monotonic() - began
    return seen


async def _read(session: aiohttp.ClientSession, url: str, body: dict[str, Any], seen: Seen, *, leaves: bool) -> None:
    async with session.post(f"{url}/chat/completions", json=body) as response:
        seen.status = response.status
        seen.headers = {name.lower(): value for name, value in response.headers.items()}
        frames = FrameSplitter(MAX_READ)
        streamed = body["stream"] and response.status == 200
        pieces: list[bytes] = []
        size = 0
        async for data in response.content.iter_any():
            size += len(data)
            seen.body += data[: KEPT - len(seen.body)]
            if size > MAX_READ:
                seen.flood = True
                return
            if not streamed:
                pieces.append(data)
                continue
            for frame in frames.feed(data):
                _event(frame, seen)
            if leaves and seen.texts:
                seen.left = True
                return
        if streamed:
            for frame in frames.close():
                _event(frame, seen)
        elif response.status == 200:
            _document(b"".join(pieces), seen)


def _event(frame: bytes, seen: Seen) -> None:
    data = frame_data(frame)
    if data is None or not data.strip():
        return
    seen.after += bool(seen.done or seen.errors)
    if data.strip() == b"[DONE]":
        seen.done += 1
        return
    _document(data, seen)


def _document(data: bytes, seen: Seen) -> None:
    """A chunk or a whole completion."""
    try:
        document = json.loads(data)
        if document.get("error") is not None:
            seen.errors += 1
            return
        for choice in document.get("choices") or ():
            _choice(choice, seen)
    except (ValueError, TypeError, AttributeError, RecursionError):
        seen.unreadable = seen.unreadable or repr(data[:60])


def _choice(choice: dict[str, Any], seen: Seen) -> None:
    index = choice.get("index") or 0
    said = choice.get("delta") or choice.get("message") or {}
    if text := said.get("content"):
        seen.texts.setdefault(index, []).append(text)
    if index:
        return
    for number, call in enumerate(said.get("tool_calls") or ()):
        function = call.get("function") or {}
        kept = seen.calls.setdefault(call.get("index", number), {"name": "", "arguments": ""})
        kept["name"] = function.get("name") or kept["name"]
        kept["arguments"] += function.get("arguments") or ""
    seen.finish = choice.get("finish_reason") or seen.finish
