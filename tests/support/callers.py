"""An authenticator without a server, for tests of who is let in."""

from __future__ import annotations

from gateway.access.authenticator import Authenticator
from gateway.access.keys import KeyRing
from gateway.access.people import People
from gateway.access.sign_ins import SignIns
from gateway.access.tokens import Tokens
from gateway.config.current import Current


def authenticator_of(ring: KeyRing, tokens: Tokens, current: Current, sign_ins: SignIns | None = None) -> Authenticator:
    return Authenticator(ring, People(ring, sign_ins or SignIns(), current), tokens, current)
