"""What the composition root hands to the handlers, and the shape of raw headers."""

from __future__ import annotations

import msgspec

from gateway.access.authenticator import Authenticator
from gateway.access.limits import Limits
from gateway.access.oidc import OpenID
from gateway.access.stored_keys import StoredKeys
from gateway.chat import Chat
from gateway.config.current import Current
from gateway.config.schema import Config
from gateway.erasure import Erasure
from gateway.feedback.service import Feedback
from gateway.observability.feed import Feed
from gateway.observability.metrics import Metrics
from gateway.storage.engine import Store
from gateway.web.files import Pages

RawHeaders = list[tuple[bytes, bytes]]


class Services(msgspec.Struct, frozen=True):
    """What the composition root made; a handler gets it with each request."""

    current: Current
    limits: Limits
    chat: Chat
    feedback: Feedback
    store: Store
    authenticator: Authenticator
    stored_keys: StoredKeys
    openid: OpenID
    metrics: Metrics
    feed: Feed
    openapi: bytes
    erasure: Erasure
    pages: Pages
    docs: Pages

    @property
    def config(self) -> Config:
        """Return the configuration in force, as last reloaded."""
        return self.current.value
