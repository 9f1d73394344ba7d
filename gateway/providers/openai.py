"""Any OpenAI-compatible base URL, over aiohttp. Bytes go to the sink as they come; nothing is decoded here.

Retries, fallback and all timeouts but the connection's own belong to the router.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec

from gateway.config import Provider as ProviderConfig
from gateway.domain.ids import now_ms
from gateway.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout
from gateway.providers.base import Call, Sink
from gateway.wire.upstream import upstream_failure

_LINGER_S = 0.05  # how long the end of a body may take after [DONE]
_MAX_ERROR_BYTES = 65_536
_MAX_EMBEDDING_BYTES = 67_108_864


class OpenAIProvider:
    """One base URL and its key. Connections are kept alive and shared by all calls; there is no limit on them."""

    def __init__(self, config: ProviderConfig) -> None:
        self._base = config.base_url.rstrip("/")
        self._key = config.api_key
        address = urlsplit(self._base)
        self.private = [text for text in (self._key, address.netloc, address.hostname) if text and len(text) > 2]
        self._session: aiohttp.ClientSession | None = None
        self._bodies: dict[asyncio.Future[None], aiohttp.StreamReader] = {}  # by the end of their connections

    async def chat(self, call: Call, sink: Sink) -> None:
        """See providers.base.Provider."""
        fields: dict[str, Any] = {"model": call.model, **call.fields}
        if call.stream:
            fields["stream"] = True
            asked = msgspec.json.decode(call.stream_options) if call.stream_options else None
            fields["stream_options"] = {**(asked if isinstance(asked, dict) else {}), "include_usage": True}
        accept = "text/event-stream" if call.stream else "application/json"
        async with self._post("/chat/completions", fields, accept, call.connect_timeout_s) as response:
            sink.head(sse=_is_event_stream(response, asked=call.stream))
            content = response.content
            self._watch(response)
            while not sink.done:
                try:
                    data = await content.readany()
                except aiohttp.ClientError:
                    # aiohttp raises this ahead of what came before it and is still unread.
                    sink.feed(content._read_nowait(-1))
                    raise
                if not data:
                    break
                sink.feed(data)
                await sink.room()
            if sink.done and not content.at_eof():
                # [DONE] came and the body's end has not: a moment more, and the connection can serve again.
                try:
                    async with asyncio.timeout(_LINGER_S):
                        await content.readany()
                except TimeoutError:
                    response.close()

    def _watch(self, response: aiohttp.ClientResponse) -> None:
        """After a bad chunk aiohttp closes the connection, and leaves whoever reads the body waiting for ever."""
        protocol = response.connection.protocol if response.connection else None
        closed = protocol.closed if protocol is not None else None  # an idle protocol is false
        if closed is not None:  # else the body is whole already
            if closed not in self._bodies:
                closed.add_done_callback(self._lost)
            self._bodies[closed] = response.content

    def _lost(self, closed: asyncio.Future[None]) -> None:
        """The end of a connection, also of an idle one."""
        _ = closed.cancelled() or closed.exception()  # looked at, or asyncio complains
        content = self._bodies.pop(closed)
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection was closed"))

    async def embed(self, model: str, fields: dict[str, msgspec.Raw]) -> bytes:
        """See providers.base.Provider."""
        async with self._post("/embeddings", {"model": model, **fields}, "application/json", 5) as response:
            body = await _read(response.content, _MAX_EMBEDDING_BYTES)
            if len(body) > _MAX_EMBEDDING_BYTES:
                raise ProviderError("The provider's reply is too long.")
            return body

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def _post(
        self, path: str, fields: dict[str, Any], accept: str, connect_timeout_s: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A response with a good status; anything else is a ProviderError. Leaving early closes the connection."""
        if self._session is None:  # made here, since it belongs to the running loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30), proxy=_proxy(self._base)
            )
        headers = {"Content-Type": "application/json", "Accept": accept, "Accept-Encoding": "identity"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s, connect=connect_timeout_s)
        try:
            async with self._session.post(
                self._base + path,
                data=msgspec.json.encode(fields),
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if response.status != 200:
                    raise await self._refusal(response)
                yield response
        except aiohttp.ServerTimeoutError as error:
            raise ProviderTimeout("The provider can't be reached in time.") from error
        except aiohttp.ClientConnectorError as error:
            raise ProviderError("The provider can't be reached.") from error
        except (aiohttp.ClientError, ConnectionError, asyncio.IncompleteReadError) as error:
            raise ProviderError("The connection to the provider broke.") from error

    async def _refusal(self, response: aiohttp.ClientResponse) -> ProviderError:
        """What a status other than 200 means to the caller. Its text is scrubbed."""
        text = (await _read(response.content, _MAX_ERROR_BYTES))[:_MAX_ERROR_BYTES].decode("utf-8", "replace")
        try:
            body = msgspec.json.decode(text.encode())
        except (msgspec.DecodeError, RecursionError):
            body = None
        said = body.get("error", body) if isinstance(body, dict) else None
        status = response.status
        error: ProviderError
        if status in (400, 404, 422):
            message = upstream_failure(said).message if said else f"The provider answered {status}."
            error = ProviderRefused(message, status=status)
        elif status == 429:
            wait = _seconds(response.headers.get("Retry-After"))
            error = ProviderBusy("The provider is limiting requests. Please try again later.", retry_after=wait)
        elif status in (401, 403):
            error = ProviderError("The provider refused this gateway's credentials.")
        else:
            error = ProviderError(f"The provider answered {status}.", retry_after=None)
        error.upstream_status = status
        return error


async def _read(content: aiohttp.StreamReader, limit: int) -> bytes:
    """The whole body, or a little more than `limit` bytes of it. (`content.read(n)` gives what has come so far.)"""
    data = bytearray()
    while len(data) <= limit and (block := await content.readany()):
        data += block
    return bytes(data)


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this address. aiohttp's own `trust_env` looks it up, and ~/.netrc, in
    a thread for every single request."""
    parts = urlsplit(url)
    if parts.hostname and proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def _is_event_stream(response: aiohttp.ClientResponse, *, asked: bool) -> bool:
    """What the body is, by its type; where the type says neither, what was asked for."""
    kind = response.content_type
    if kind == "text/event-stream":
        return True
    return asked and kind not in ("application/json", "text/html")


def _seconds(retry_after: str | None) -> float | None:
    """`Retry-After` in seconds: it is a number of them, or an HTTP date."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after or "").timestamp() - now_ms() / 1000
        except (ValueError, OverflowError):
            return None
    return min(max(0.0, seconds), 604_800.0)  # in this order "nan" is 0
