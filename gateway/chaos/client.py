"""An HTTP client for `gateway conformance`: each POST has a connection of its own, as a client that leaves needs it.

It follows no redirects, uses no proxy, and retries nothing. What it sends and reads on a connection is the work of
providers/http/connection.py. Called by probe.py and conformance.py.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gateway import __version__
from gateway.providers.http.connection import Connection, OnHead
from gateway.providers.http.pool import Pool

_CONNECT_TIMEOUT_S = 10


class Client:
    """Posts JSON to one gateway. `root` is its address without /v1, `key` what it takes as a bearer token."""

    def __init__(self, root: str, key: str | None) -> None:
        address = urlsplit(root)
        self._host = address.hostname or ""
        self._tls = ssl.create_default_context() if address.scheme == "https" else None
        self._port = address.port or (443 if self._tls else 80)
        self._path = address.path
        self._head = (
            f"Host: {address.netloc.rpartition('@')[2]}\r\nUser-Agent: feedback-gateway/{__version__}\r\n"
            "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nContent-Type: application/json\r\nConnection: close\r\n"
        )
        self._head += f"Authorization: Bearer {key}\r\n" if key else ""

    async def post(self, path: str, document: Any, on_head: OnHead) -> None:
        """Send the document, and pass the response on as it comes. Return at its end.

        `on_head` gets the status and the headers, and returns what takes the body. Raises OSError where the gateway
        can't be reached, ProviderError where the response breaks off, and whatever `on_head` and the body raise.
        The connection is closed in any case.
        """
        body = msgspec.json.encode(document)
        head = f"POST {self._path}{path} HTTP/1.1\r\n{self._head}Content-Length: {len(body)}\r\n\r\n"
        pool = Pool(max_idle=0)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                _, connection = await loop.create_connection(
                    lambda: Connection(pool), self._host, self._port, ssl=self._tls
                )
            await connection.request([head.encode() + body], on_head)
        finally:
            pool.close()
