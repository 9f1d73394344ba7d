"""A small and patient reader of chaos replies, which the tests compare with the table. It is no gateway."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from typing import Any

import httptools
import msgspec

from gateway.chaos import ChaosServer

LIMIT = 1_500_000  # bytes of an answer
DRIPS = (b": still here\n\n\r\n", b"\r\n1\r\n \r\n")  # what comes for ever and says nothing


class Reading:
    """One reply, as far as it was read."""

    def __init__(self) -> None:
        self.raw = b""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.whole = False  # the body ended as HTTP says
        self.broken = False  # it is no HTTP
        self.end = ""  # eof, reset, quiet, limit
        self._parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self.status >= 200:
            self.whole = True
        else:
            self.headers.clear()

    def feed(self, data: bytes) -> None:
        self.raw += data
        if self.whole or self.broken:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.broken = not self.whole

    def documents(self) -> list[bytes]:
        """Return the `data:` of the events so far. A last line without its end counts if the body is complete."""
        data = self.body
        if self.headers.get("content-encoding") == "gzip":
            data = zlib.decompressobj(31).decompress(data)
        lines = re.split(rb"\r\n|\r|\n", data.removeprefix(b"\xef\xbb\xbf"))
        lines = [*lines, b""] if self.whole else lines[:-1]
        found: list[bytes] = []
        open_lines: list[bytes] = []
        for line in lines:
            name, _, value = line.partition(b":")
            if name == b"data":
                open_lines.append(value.removeprefix(b" "))
            elif not line and open_lines:
                found.append(b"\n".join(open_lines))
                open_lines.clear()
        return found


class Answer:
    """The answer that the events of a reply add up to."""

    def __init__(self, reading: Reading) -> None:
        self.texts: dict[int, str] = {}
        self.reasoning = ""
        self.calls: dict[int, dict[str, Any]] = {}
        self.finish: str | None = None
        self.usage: Any = None
        self.done = False
        self.failed = reading.status not in (200, 201)
        if not self.failed:
            self._fold(reading)
        self.failed = self.failed or reading.broken
        self.complete = not self.failed and (self.finish is not None or self.done)

    @property
    def text(self) -> str:
        return self._joined(0)

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(self._joined(i) for i in sorted(self.texts) if i)

    def _joined(self, index: int) -> str:
        units = self.texts.get(index, "").encode("utf-16-le", "surrogatepass")
        return units.decode("utf-16-le", "replace")

    def _fold(self, reading: Reading) -> None:
        nothing = reading.body[:1] in (b"", b" ", b"[", b'"', b"<", b"\x1f", b"\x00")
        if reading.body[:1] == b"{" or (nothing and "event" not in str(reading.headers)):
            self._plain(reading)
            return
        for document in reading.documents():
            if document == b"[DONE]":
                self.done = True
            elif not self.done and not self._take(document, "delta"):
                self.failed = True
                return

    def _plain(self, reading: Reading) -> None:
        data = reading.body
        if reading.headers.get("content-encoding") == "gzip":
            data = zlib.decompressobj(31).decompress(data)
        self.failed = not reading.whole and "connection" not in reading.headers
        self.failed = self.failed or not self._take(data, "message")
        self.done = not self.failed

    def _take(self, document: bytes, part: str) -> bool:
        try:
            fields = json.loads(document.decode())
        except ValueError:
            return False
        if not isinstance(fields, dict) or fields.get("error") or not isinstance(fields.get("choices", []), list):
            return False
        self.usage = fields.get("usage") or self.usage
        for choice in fields.get("choices", []):
            said = choice[part] or {}
            index = choice.get("index", 0)
            self.texts[index] = self.texts.get(index, "") + (said.get("content") or "")
            self.reasoning += said.get("reasoning_content") or ""
            for i, call in enumerate(said.get("tool_calls") or ()):
                self._call(call.get("index", i), call)
            if "error" in choice:
                return False
            self.finish = choice.get("finish_reason") or self.finish
        return True

    def _call(self, index: int, call: dict[str, Any]) -> None:
        if index not in self.calls:
            self.calls[index] = {k: v for k, v in call.items() if k != "index"}
        else:
            self.calls[index]["function"]["arguments"] += call["function"]["arguments"]


def request(model: str, *, stream: bool, path: str = "/v1/chat/completions", **fields: Any) -> bytes:
    """Return the bytes of a request that keeps its connection."""
    body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    data = msgspec.json.encode(body)
    return b"POST %b HTTP/1.1\r\nHost: chaos\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(data), data)


async def read(reader: asyncio.StreamReader, *, until: str | None = None) -> Reading:
    """Read a reply to its end. With `until`, read up to that text, and then only check that nothing ends it."""
    reading = Reading()
    while not reading.end:
        # What never comes can't be awaited, so after the text this looks for a moment only.
        wait = 0.04 if until is not None and Answer(reading).text == until else 20.0
        try:
            async with asyncio.timeout(wait):
                data = await reader.read(65_536)
        except TimeoutError:
            reading.end = "quiet"
        except ConnectionResetError:
            reading.end = "reset"
        else:
            reading.feed(data)
            if not data:
                reading.end = "eof"
            elif reading.whole:
                reading.end = "whole"
            elif len(reading.body) > LIMIT:
                reading.end = "limit"
            elif wait < 1 and reading.raw.endswith(DRIPS):
                reading.end = "quiet"
    return reading


async def ask(server: ChaosServer, data: bytes, *, until: str | None = None) -> Reading:
    """Send one request over a connection of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=2**22)
    try:
        writer.write(data)
        return await read(reader, until=until)
    finally:
        writer.close()
