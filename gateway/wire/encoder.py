"""How a wire writes a stream: the one protocol that every streamed wire implements.

It does no I/O: web/pump.py reads the log, asks the encoder for bytes and sends them. To add a wire, write a decoder of
its body and a class like this one, and give both to `stream_route` in the table of routes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

Headers = Sequence[tuple[bytes, bytes]]


class Encoder(Protocol):
    """The state of one stream to one client. The defaults are those of server-sent events."""

    content_type: bytes = b"text/event-stream; charset=utf-8"
    # A compressing proxy would hold a stream back until it is whole, unless it may not transform it.
    headers: Headers = ((b"cache-control", b"no-cache, no-transform"), (b"x-accel-buffering", b"no"))
    # Comments end by one line end: several clients' readers take a blank line after one for a message without data.
    connected: bytes = b""  # goes out with the head, at once; if empty, the head waits for the first bytes of `encode`,
    # and an answer that fails before that is an HTTP error
    heartbeat: bytes = b""  # goes out when nothing came for `heartbeat_s`; if empty, nothing does

    def encode(self, events: Sequence[tuple[int, Any]]) -> list[bytes]:
        """Return events as pieces of the stream, each a frame of its own on a WebSocket.

        Each event comes with its position, and is one of domain.events.Event, or, where the request was `raw`, bytes:
        frames as the provider sent them. The last event of a stream is Done or Failed.
        """

    def text(self, text: bytes, position: int) -> bytes | None:
        """Return a TextDelta's text, or, where the request was `raw`, frames, as `encode` would alone.

        It is called for a client that has had everything before. Return None to have `encode` called instead.
        """
        return None
