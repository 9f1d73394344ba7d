"""ASGI's shapes, and what handlers share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from gateway.chat import Chat
from gateway.config import Config
from gateway.door import Door
from gateway.erasure import Erasure
from gateway.feedback.capture import Feedback
from gateway.limits import Limits
from gateway.observability.feed import Feed
from gateway.observability.metrics import Metrics
from gateway.storage.base import Store

Scope = MutableMapping[str, Any]
ASGIMessage = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[ASGIMessage]]
Send = Callable[[ASGIMessage], Awaitable[None]]
RawHeaders = list[tuple[bytes, bytes]]


class Services(msgspec.Struct, frozen=True):
    """What the composition root made; a handler gets it with each exchange."""

    chat: Chat
    feedback: Feedback
    store: Store
    door: Door
    metrics: Metrics
    feed: Feed
    openapi: bytes
    erasure: Erasure

    @property
    def config(self) -> Config:
        """The configuration in force, as last reloaded."""
        return self.chat.settings.config

    @property
    def limits(self) -> Limits:
        """What callers may ask for."""
        return self.chat.limits
