"""An HTTP/1.1 client for one base URL: it sends requests over pooled connections, also through a proxy.

It follows no redirects, keeps no cookies, and retries only a request whose pooled connection turned out to be closed.
All of its failures are ProviderErrors. The response goes to a Sink by plain calls (connection.py). Used by
providers/openai.py only.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Coroutine, Mapping
from typing import Any, cast
from urllib.parse import SplitResult, quote, unquote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from gateway import __version__
from gateway.errors import ProviderError, ProviderTimeout
from gateway.providers.http.causes import ProxyRefused, cause_of
from gateway.providers.http.connection import CONNECTION_BROKE, Connection, OnHead
from gateway.providers.http.dial import dial
from gateway.providers.http.pool import Pool


class Client:
    """Sends requests to one base URL, with the same headers and query on each. `pool` counts its connections.

    `ca_file`: whose certificates are believed, in place of the system's.
    """

    def __init__(
        self, url: str, headers: Mapping[str, str], query: Mapping[str, str] | None = None, ca_file: str = ""
    ) -> None:
        address = urlsplit(url)
        self._host = address.hostname or ""
        self._tls = ssl.create_default_context(cafile=ca_file or None) if address.scheme == "https" else None
        self._port = address.port or (443 if self._tls else 80)
        self._host_and_port = _host_header(self._host) + ("" if address.port is None else f":{address.port}")
        self._proxy = _proxy(address.scheme, self._host)
        self._path = quote(address.path, safe="/%:@!$&'()*+,;=~")
        self._query = f"?{urlencode(query, quote_via=quote, safe='')}" if query else ""
        self._headers_are_valid = not any(char in value for value in headers.values() for char in "\r\n\0")
        lines = {"Host": self._host_and_port, "User-Agent": f"feedback-gateway/{__version__}"}
        own = {name.lower() for name in headers}
        lines = {name: value for name, value in lines.items() if name.lower() not in own} | dict(headers)
        self._proxy_authorization = ""
        if self._proxy and self._proxy.username:
            pair = f"{unquote(self._proxy.username)}:{unquote(self._proxy.password or '')}".encode()
            self._proxy_authorization = f"Proxy-Authorization: Basic {base64.b64encode(pair).decode()}\r\n"
        if self._proxy and not self._tls:
            self._path = f"http://{self._host_and_port}{self._path}"
        self._header_lines = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._header_lines += "" if self._tls else self._proxy_authorization
        self.pool = Pool()

    def post(
        self, path: str, accept: str, body: bytes, on_head: OnHead, connect_timeout_s: float
    ) -> Coroutine[Any, Any, None]:
        """Return a coroutine that sends one request, and returns when the response is complete or its Sink is done.

        `accept` is the Accept header. `on_head` gets the status and the headers, and returns the Sink.
        Raises ProviderError, and whatever `on_head` and the Sink raise. When cancelled, it closes the connection.
        """
        # It is none itself: the response may take long, and `body` shouldn't stay in memory for it.
        head = f"{self._header_lines}Accept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
        message = f"POST {self._path}{path}{self._query} HTTP/1.1\r\n{head}".encode() + body
        return self._exchange([message], on_head, connect_timeout_s)

    def get(self, path: str, accept: str, on_head: OnHead, connect_timeout_s: float) -> Coroutine[Any, Any, None]:
        """Do as `post` does, without a body."""
        head = f"{self._header_lines}Accept: {accept}\r\n\r\n"
        message = f"GET {self._path}{path}{self._query} HTTP/1.1\r\n{head}".encode()
        return self._exchange([message], on_head, connect_timeout_s)

    async def _exchange(self, message: list[bytes], on_head: OnHead, connect_timeout_s: float) -> None:
        """Send a request, which `message` alone holds, and gives up once it is sent."""
        if not self._headers_are_valid:
            raise ProviderError("The provider's key can't be sent in a header.")
        connection = self.pool.take()
        if connection is not None:
            try:
                return await connection.request(message, on_head)
            except ProviderError:
                if connection.response_began:
                    raise
        # No connection was idle, or the server closed it at this moment, before it had read the request.
        connection = await self._connect(connect_timeout_s)
        return await connection.request(message, on_head)

    async def close(self) -> None:
        """Close every connection."""
        self.pool.close()
        await asyncio.sleep(0)  # lets the transports close their sockets

    async def _connect(self, timeout_s: float) -> Connection:
        proxy = self._proxy
        if self.pool.closed:
            raise ProviderError(CONNECTION_BROKE)
        if proxy and proxy.scheme != "http":
            raise ProviderError("Only proxies whose address begins with http:// are supported.")
        try:
            async with asyncio.timeout(timeout_s):
                if proxy and self._tls:
                    return await self._tunnel(proxy, timeout_s)
                host, port = (proxy.hostname or "", proxy.port or 80) if proxy else (self._host, self._port)
                opened = await dial(host, port, timeout_s)
                name = self._host if self._tls else None
                loop = asyncio.get_running_loop()
                made = await loop.create_connection(
                    self._new_connection, sock=opened, ssl=self._tls, server_hostname=name
                )
                return made[1]
        except TimeoutError as error:
            failure: ProviderError = ProviderTimeout("The provider can't be reached in time.")
            failure.cause = cause_of(error)
            raise failure from error
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            failure = ProviderError("The provider can't be reached.")
            failure.cause = cause_of(error) + (", by way of a proxy" if proxy else "")
            raise failure from error

    def _new_connection(self) -> Connection:
        return Connection(self.pool)

    async def _tunnel(self, proxy: SplitResult, timeout_s: float) -> Connection:
        """Open a TLS connection through a proxy, by CONNECT (RFC 9110, section 9.3.6)."""
        assert self._tls is not None  # noqa: S101 - for mypy
        opened = await dial(proxy.hostname or "", proxy.port or 80, timeout_s)
        reader, writer = await asyncio.open_connection(sock=opened)
        try:
            target = f"{_host_header(self._host)}:{self._port}"
            writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{self._proxy_authorization}\r\n".encode())
            reply = await reader.readuntil(b"\r\n\r\n")
            if not reply.startswith((b"HTTP/1.1 2", b"HTTP/1.0 2")):
                status = reply.partition(b" ")[2][:3]
                raise ProxyRefused(status.decode() if status.isdigit() else "it speaks no HTTP")
            connection = self._new_connection()
            connection.tunnel = writer  # some Python versions close the socket when its writer is garbage-collected
            loop = asyncio.get_running_loop()
            upgraded = await loop.start_tls(writer.transport, connection, self._tls, server_hostname=self._host)
            connection.connection_made(cast(asyncio.Transport, upgraded))
        except BaseException:
            writer.transport.abort()
            raise
        return connection


def _host_header(host: str) -> str:
    """Return the host as the Host header has it: an IPv6 address in brackets, a name in IDNA."""
    if ":" in host:
        return f"[{host}]"
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return quote(host)  # no such name exists, so connecting will fail


def _proxy(scheme: str, host: str) -> SplitResult | None:
    """Return the proxy that the environment variables name for this host, or None."""
    url = None if not host or proxy_bypass(host) else getproxies().get(scheme)
    return urlsplit(url if "://" in url else f"http://{url}") if url else None
