"""The seam between the router and whoever answers. A provider does I/O and knows nothing of traces or readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt's request: OpenAI's chat body, its top-level values still raw JSON."""

    model: str  # as the provider knows it
    fields: dict[str, msgspec.Raw]  # without model, stream, stream_options
    stream: bool
    stream_options: msgspec.Raw | None = None  # the caller's own
    connect_timeout_s: float = 5
    thoughts: bool = False  # the gateway put what a model thought into the messages


class Sink(Protocol):
    """The consumer of a response's body. What `feed` raises reaches whoever asked for the reply."""

    @property
    def done(self) -> bool:
        """Return True when the rest of the body isn't needed: the provider need not read on."""

    def feed(self, data: bytes) -> bool:
        """Take the next bytes of the body, cut anywhere. Return True to have `done` looked at, or else `drain` awaited
        before the next bytes; False costs no further look.

        Raises ProviderError for what can't be an answer.
        """

    async def drain(self) -> None:
        """Wait until more can be taken."""


class ReplySink(Sink, Protocol):
    """The consumer of one reply to a chat."""

    def head(self, *, sse: bool, request_id: str | None = None) -> None:
        """Take a good status. By its head an event stream follows, or else one JSON document; the body has the last
        word. `request_id` is the provider's own."""


class Provider(Protocol):
    @property
    def private(self) -> Sequence[str]:
        """Return what no error text may show: its key and address."""

    async def chat(self, call: Call, sink: ReplySink) -> None:
        """Feed one whole reply to the sink, and return at its end or once the sink is done.

        Raises ProviderError before the reply or during it. When cancelled, it closes the
        connection to the provider at once.
        """

    async def embed(self, model: str, fields: dict[str, msgspec.Raw], connect_timeout_s: float = 5) -> bytes:
        """Return OpenAI's embeddings reply, as the provider sent it. Raises ProviderError."""

    async def close(self) -> None: ...
