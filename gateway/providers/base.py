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


class Sink(Protocol):
    """Where the bytes of a reply go."""

    @property
    def done(self) -> bool:
        """The answer is whole: the provider need not read on."""

    def head(self, *, sse: bool) -> None:
        """A good status arrived; an event stream follows, or else one JSON document."""

    def feed(self, data: bytes) -> bool:
        """The next bytes of the body, cut anywhere. True: look at `done`, or else await `room` before feeding on.

        Raises ProviderError for what can't be an answer.
        """

    async def room(self) -> None:
        """Wait while the readers are too far behind."""


class Provider(Protocol):
    @property
    def private(self) -> Sequence[str]:
        """What no error text may show: its key and address."""

    async def chat(self, call: Call, sink: Sink) -> None:
        """Feed one whole reply to the sink, and return at its end or once the sink is done.

        Raises ProviderError before or amid the reply. Cancelled: the connection to the provider is closed at once.
        """

    async def embed(self, model: str, fields: dict[str, msgspec.Raw]) -> bytes:
        """OpenAI's embeddings reply, as the provider sent it. Raises ProviderError."""

    async def close(self) -> None: ...
