"""An HTTP/1.1 client for one address: POSTs over kept connections, whose replies come by plain calls.

It follows no redirects, knows no cookies and retries nothing, but for a request that met the end of a kept connection.
Every failure of its own is a ProviderError. Used by openai.py only.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping
from typing import cast
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from gateway import __version__
from gateway.errors import ProviderError, ProviderTimeout
from gateway.providers.http.connection import BROKE, Answered, Connection, Idle


class Client:
    """For one base URL, with the same headers on each request. There is no limit on the connections in use."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        address = urlsplit(url)
        self._host = address.hostname or ""
        self._tls = ssl.create_default_context() if address.scheme == "https" else None
        self._port = address.port or (443 if self._tls else 80)
        self._authority = _ascii(self._host) + ("" if address.port is None else f":{address.port}")
        self._proxy = _proxy(address.scheme, self._host)
        self._path = quote(address.path, safe="/%:@!$&'()*+,;=~")
        self._good = not any(end in value for value in headers.values() for end in "\r\n\0")
        lines = {"Host": self._authority, "User-Agent": f"feedback-gateway/{__version__}", **headers}
        self._sign_in = ""
        if self._proxy and self._proxy.username:
            pair = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}".encode()
            self._sign_in = f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}\r\n"
        if self._proxy and not self._tls:
            self._path = f"http://{self._authority}{self._path}"
        self._lines = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._lines += "" if self._tls else self._sign_in
        self._idle, self._every = Idle(), set[Connection]()

    async def post(self, path: str, accept: str, body: bytes, answered: Answered, connect_timeout_s: float) -> None:
        """Returns when the reply is whole, or its Body done.

        Raises ProviderError, and what `answered` and its Body raise. Cancelled: the connection is closed at once.
        """
        if not self._good:
            raise ProviderError("The provider's key can't be sent in a header.")
        head = f"{self._lines}Accept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
        request = [f"POST {self._path}{path} HTTP/1.1\r\n{head}".encode() + body]
        del head, body  # an answer may run long after it was asked for
        connection = self._idle.take()
        if connection is not None:
            try:
                return await connection.exchange(request, answered)
            except ProviderError:
                if connection.heard:
                    raise
        # None was kept, or the server closed it just now, before it had read the request.
        connection = await self._connect(connect_timeout_s)
        return await connection.exchange(request, answered)

    async def close(self) -> None:
        """Close every connection."""
        self._idle.closed = True
        for connection in tuple(self._every):
            connection.transport.abort()
        await asyncio.sleep(0)  # the transports let go of their sockets

    async def _connect(self, timeout_s: float) -> Connection:
        proxy = self._proxy
        if self._idle.closed:
            raise ProviderError(BROKE)
        if proxy and proxy.scheme != "http":
            raise ProviderError("Only proxies whose address begins with http:// are supported.")
        try:
            async with asyncio.timeout(timeout_s):
                if proxy and self._tls:
                    return await self._tunnel(proxy)
                host, port = (proxy.hostname or "", proxy.port or 80) if proxy else (self._host, self._port)
                loop = asyncio.get_running_loop()
                return (await loop.create_connection(self._connection, host, port, ssl=self._tls))[1]
        except TimeoutError as error:
            raise ProviderTimeout("The provider can't be reached in time.") from error
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            raise ProviderError("The provider can't be reached.") from error

    def _connection(self) -> Connection:
        return Connection(self._idle, self._every)

    async def _tunnel(self, proxy: SplitResult) -> Connection:
        """TLS through a proxy (RFC 9110, CONNECT)."""
        assert self._tls is not None  # noqa: S101 - for mypy
        reader, writer = await asyncio.open_connection(proxy.hostname, proxy.port or 80)
        try:
            target = f"{_ascii(self._host)}:{self._port}"
            writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{self._sign_in}\r\n".encode())
            reply = await reader.readuntil(b"\r\n\r\n")
            if not reply.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
                raise ConnectionError("the proxy refused to connect")
            connection = self._connection()
            connection.tunnel = writer  # some Pythons close what a forgotten writer wrote to
            loop = asyncio.get_running_loop()
            upgraded = await loop.start_tls(writer.transport, connection, self._tls, server_hostname=self._host)
            connection.connection_made(cast(asyncio.Transport, upgraded))
        except BaseException:
            writer.transport.abort()
            raise
        return connection


def _ascii(host: str) -> str:
    if ":" in host:
        return f"[{host}]"
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return quote(host)  # it will not be found


def _proxy(scheme: str, host: str) -> SplitResult | None:
    """The proxy that the environment names for this address."""
    url = None if not host or proxy_bypass(host) else getproxies().get(scheme)
    return urlsplit(url if "://" in url else f"http://{url}") if url else None
