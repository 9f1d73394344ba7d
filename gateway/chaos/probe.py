"""Sends one request to the gateway under test, and records what a client of OpenAI's API would see.

It doesn't judge: verdict.py does. Called by conformance.py.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from gateway.chaos.client import Client
from gateway.errors import ProviderError
from gateway.wire.sse import FrameSplitter, frame_data

MAX_READ = 64 * 1024 * 1024  # bytes: a longer body counts as endless
KEPT = 1_000_000  # bytes of the body that are kept and searched for secrets
PATIENCE_S = 1.0  # a client that is to leave does so at the first text, and after this long at the latest


class Observed(msgspec.Struct):
    """What the client got. `status` is 0 if no response began. Texts are by choice."""

    status: int = 0
    headers: dict[str, str] = {}  # names in lower case
    body: bytes = b""  # its first KEPT bytes
    texts: dict[int, list[str]] = {}
    calls: dict[int, dict[str, str]] = {}
    finish: str | None = None
    done: int = 0  # the number of [DONE]
    errors: int = 0  # the number of error events
    after: int = 0  # the number of events after a terminal one
    unreadable: str = ""  # the first event that was no JSON object
    cut: str = ""  # how the connection failed
    late: bool = False  # the response took longer than allowed
    flood: bool = False  # the body was longer than MAX_READ
    left: bool = False  # the client left before the end
    seconds: float = 0.0

    def text(self, choice: int = 0) -> str:
        """Return a choice's text, with surrogate pairs joined as browsers join them."""
        return "".join(self.texts.get(choice, ())).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    @property
    def trace_id(self) -> str | None:
        """Return the trace's ID, which answers of this gateway bear."""
        return self.headers.get("x-trace-id")


class _Enough(Exception):
    """Ends the reading before the response's end."""


class _Reader:
    """Takes one response: the Sink that the HTTP client feeds."""

    done = False

    def __init__(self, observed: Observed, *, stream: bool, leave_at_text: bool) -> None:
        self._observed, self._stream, self._leave_at_text = observed, stream, leave_at_text
        self._frames = FrameSplitter(MAX_READ)
        self._whole = bytearray()
        self._size = 0

    def on_head(self, status: int, headers: Mapping[str, str]) -> _Reader:
        self._observed.status, self._observed.headers = status, dict(headers)
        self._stream = self._stream and status == 200
        return self

    def feed(self, data: bytes) -> bool:
        observed = self._observed
        self._size += len(data)
        observed.body += data[: KEPT - len(observed.body)]
        if self._size > MAX_READ:
            observed.flood = True
            raise _Enough
        if not self._stream:
            self._whole += data
            return False
        for frame in self._frames.feed(data):
            _event(frame, observed)
        if self._leave_at_text and observed.texts:
            observed.left = True
            raise _Enough
        return False

    async def drain(self) -> None:
        """Return at once: the reader is never behind."""

    def close(self) -> None:
        """Decode what only the response's end makes complete."""
        if self._stream:
            for frame in self._frames.close():
                _event(frame, self._observed)
        elif self._observed.status == 200:
            _document(bytes(self._whole), self._observed)


async def probe(
    client: Client,
    model: str,
    *,
    stream: bool,
    timeout: float,  # noqa: ASYNC109 - it is recorded, not raised
    until_asked: Callable[[], Awaitable[None]] | None = None,
) -> Observed:
    """Ask for the model, and read the response to its end.

    With `until_asked`, which returns when the gateway has asked the provider, the client leaves: at the first text, or
    PATIENCE_S after that.
    """
    observed = Observed()
    began = time.monotonic()
    reading = asyncio.create_task(_read(client, model, observed, stream=stream, leaves=until_asked is not None))
    try:
        async with asyncio.timeout(timeout):
            if until_asked is not None:
                await until_asked()
                await asyncio.wait({reading}, timeout=PATIENCE_S if stream else 0.05)
                observed.left = observed.left or not reading.done()
            else:
                await asyncio.wait({reading})
    except TimeoutError:
        observed.late = True
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    if not reading.cancelled() and (problem := reading.exception()):
        if not isinstance(problem, ProviderError | OSError):
            raise problem
        observed.cut = "connection lost" if isinstance(problem, ProviderError) else type(problem).__name__
    observed.seconds = time.monotonic() - began
    return observed


async def _read(client: Client, model: str, observed: Observed, *, stream: bool, leaves: bool) -> None:
    request: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    if stream:
        request["stream_options"] = {"include_usage": True}
    reader = _Reader(observed, stream=stream, leave_at_text=leaves)
    try:
        await client.post("/v1/chat/completions", request, reader.on_head)
    except _Enough:
        return
    reader.close()


def _event(frame: bytes, observed: Observed) -> None:
    data = frame_data(frame)
    if data is None or not data.strip():
        return
    observed.after += bool(observed.done or observed.errors)
    if data.strip() == b"[DONE]":
        observed.done += 1
        return
    _document(data, observed)


def _document(data: bytes, observed: Observed) -> None:
    """Record a chunk or a whole completion."""
    try:
        document = json.loads(data)
        if document.get("error"):  # an empty one is none
            observed.errors += 1
            return
        for choice in document.get("choices") or ():
            _choice(choice, observed)
    except (ValueError, TypeError, AttributeError, RecursionError):
        observed.unreadable = observed.unreadable or repr(data[:60])


def _choice(choice: dict[str, Any], observed: Observed) -> None:
    index = choice.get("index") or 0
    said = choice.get("delta") or choice.get("message") or {}
    if text := said.get("content"):
        observed.texts.setdefault(index, []).append(text)
    if index:
        return
    for number, call in enumerate(said.get("tool_calls") or ()):
        function = call.get("function") or {}
        kept = observed.calls.setdefault(call.get("index", number), {"name": "", "arguments": ""})
        kept["name"] = function.get("name") or kept["name"]
        kept["arguments"] += function.get("arguments") or ""
    observed.finish = choice.get("finish_reason") or observed.finish
