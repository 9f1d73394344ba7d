"""The cookie of a signed-in person, and this gateway's own address as a browser sees it.

Its value is made and known in access/sign_ins.py; here it is only written as HTTP has it.
"""

from __future__ import annotations

from urllib.parse import quote

from starlette.types import Scope

from gateway.access.address import parse_networks, sent_by
from gateway.access.people import COOKIE, cookie_of
from gateway.config.schema import Server
from gateway.domain.people import SESSION_MS

Header = tuple[bytes, bytes]


def new_cookie(scope: Scope, server: Server, secret: str) -> Header:
    """Return the header that gives a browser this cookie."""
    return _cookie(scope, server, secret, SESSION_MS // 1000)


def kept_cookie(scope: Scope, server: Server) -> Header:
    """Return the header that lets a browser keep the cookie that it sent for another while."""
    return new_cookie(scope, server, cookie_of(scope["headers"]) or "")


def no_cookie(scope: Scope, server: Server) -> Header:
    """Return the header that takes the cookie from a browser."""
    return _cookie(scope, server, "", 0)


def base_url(scope: Scope, server: Server) -> str:
    """Return the base of links, without a slash at its end: `public_url`, else the request's own address."""
    if server.public_url:
        return server.public_url.rstrip("/")
    host = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1")
    return f"{'https' if is_https(scope, server) else 'http'}://{quote(host, safe=':[]')}"


def is_https(scope: Scope, server: Server) -> bool:
    """Return whether the browser speaks TLS: with this server, or with a trusted proxy, or by `public_url`."""
    if server.public_url:
        return server.public_url.startswith("https://")
    if scope.get("scheme") in ("https", "wss"):
        return True
    client = scope.get("client")
    if not server.trusted_proxies or not sent_by(client[0] if client else None, parse_networks(server.trusted_proxies)):
        return False
    said = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
    return bool(said) and said[-1].strip().lower() == b"https"


def _cookie(scope: Scope, server: Server, value: str, seconds: int) -> Header:
    secure = "; Secure" if is_https(scope, server) else ""
    text = f"{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"
    return b"set-cookie", text.encode("latin-1")
