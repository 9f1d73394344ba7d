"""The provider for any OpenAI-compatible base URL. It passes the reply's bytes to the sink and decodes nothing.

Retries, fallback and all timeouts but the connection's own belong to the router.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from gateway.config.schema import Provider as ProviderConfig
from gateway.config.schema import Secret
from gateway.domain.ids import now_ms
from gateway.errors import ProviderBusy, ProviderError, ProviderRefused
from gateway.providers.base import Call, ReplySink, Sink
from gateway.providers.http.client import Client
from gateway.wire.upstream import upstream_failure

_MAX_ERROR_BYTES = 65_536
_MAX_EMBEDDING_BYTES = 67_108_864
_MAX_LIST_BYTES = 16_777_216
_SHORTEST_SECRET = 8  # characters


class OpenAIProvider:
    """One base URL with its key, headers and query. All calls share the connections of `client`, without a limit."""

    def __init__(self, config: ProviderConfig) -> None:
        self.private = _private(config)
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key := config.api_key:
            headers |= {"api-key": key} if config.auth == "api-key" else {"Authorization": f"Bearer {key}"}
        self.client = Client(config.base_url.rstrip("/"), {**headers, **config.headers}, config.query, config.ca_file)

    async def chat(self, call: Call, sink: ReplySink) -> None:
        """See providers.base.Provider."""
        fields: dict[str, Any] = {"model": call.model, **call.fields}
        if call.stream:
            fields["stream"] = True
            asked = msgspec.json.decode(call.stream_options) if call.stream_options else None
            fields["stream_options"] = {**(asked if isinstance(asked, dict) else {}), "include_usage": True}

        def on_success(headers: Mapping[str, str]) -> Sink:
            sink.head(sse=_is_event_stream(headers, asked=call.stream))
            return sink

        accept = "text/event-stream" if call.stream else "application/json"
        await self._post("/chat/completions", fields, accept, on_success, call.connect_timeout_s)

    async def embed(self, model: str, fields: dict[str, msgspec.Raw]) -> bytes:
        """See providers.base.Provider."""
        body = _Text(_MAX_EMBEDDING_BYTES)
        await self._post("/embeddings", {"model": model, **fields}, "application/json", lambda _: body, 5)
        if body.done:
            raise ProviderError("The provider's reply is too long.")
        return bytes(body.data)

    async def models(self, connect_timeout_s: float) -> bytes:
        """Return OpenAI's list of models, as the provider sent it. Raises ProviderError."""
        body = _Text(_MAX_LIST_BYTES)
        heads: list[tuple[int, Mapping[str, str]]] = []

        def on_head(status: int, headers: Mapping[str, str]) -> Sink:
            heads.append((status, headers))
            return body

        await self.client.get("/models", "application/json", on_head, connect_timeout_s)
        ((status, headers),) = heads
        if status != 200:
            raise _refusal(status, headers, body.data[:_MAX_ERROR_BYTES].decode("utf-8", "replace"))
        return bytes(body.data)

    async def close(self) -> None:
        """Close every connection."""
        await self.client.close()

    async def _post(
        self,
        path: str,
        fields: dict[str, Any],
        accept: str,
        on_success: Callable[[Mapping[str, str]], Sink],
        connect_timeout_s: float,
    ) -> None:
        """Feed the body of a good reply to what `on_success` returns. Raise ProviderError for any status but 200."""
        refused: tuple[int, Mapping[str, str], _Text] | None = None

        def on_head(status: int, headers: Mapping[str, str]) -> Sink:
            nonlocal refused
            if status == 200:
                fields.clear()  # the answer may take long, and its question shouldn't stay in memory for it
                return on_success(headers)
            refused = status, headers, _Text(_MAX_ERROR_BYTES)
            return refused[2]

        await self.client.post(path, accept, msgspec.json.encode(fields), on_head, connect_timeout_s)
        if refused is not None:
            status, headers, body = refused
            raise _refusal(status, headers, body.data[:_MAX_ERROR_BYTES].decode("utf-8", "replace"))


class _Text:
    """A Sink that keeps a whole body, or a little more than `limit` bytes of it."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self._limit = limit

    @property
    def done(self) -> bool:
        return len(self.data) > self._limit

    def feed(self, data: bytes) -> bool:
        if not self.done:
            self.data += data
        return self.done

    async def drain(self) -> None:
        """Return at once: nobody reads it meanwhile."""


def _private(config: ProviderConfig) -> list[str]:
    """Return what no error text may show, the longest first: key, address, and values of headers and query that may be
    secrets, as they are and as they are sent. A short one that the file itself has is none: `true` and the like."""
    address = urlsplit(config.base_url)
    found = {text for text in (config.api_key, address.netloc, address.hostname or "") if len(text) > 2}
    for value in (*config.headers.values(), *config.query.values()):
        shown = {value, quote(value, safe=""), value.rpartition(" ")[2]}  # "Basic …": without its scheme, too
        found |= {text for text in shown if len(text) >= _SHORTEST_SECRET}
        if isinstance(value, Secret) and value.origin.startswith("env:") and len(value) > 2:
            found.add(value)
    return sorted(found, key=len, reverse=True)


def _refusal(status: int, headers: Mapping[str, str], text: str) -> ProviderError:
    """Return the error that a status other than 200 means to the caller."""
    try:
        body = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError):
        body = None
    said = body.get("error", body) if isinstance(body, dict) else None
    error: ProviderError
    if status in (400, 404, 422):
        message = upstream_failure(said).message if said else f"The provider answered {status}."
        error = ProviderRefused(message, status=status)
    elif status == 429:
        wait = _seconds(headers.get("retry-after"))
        error = ProviderBusy("The provider is limiting requests. Please try again later.", retry_after=wait)
    elif status in (401, 403):
        error = ProviderError("The provider refused this gateway's credentials.")
    else:
        error = ProviderError(f"The provider answered {status}.", retry_after=None)
    error.upstream_status = status
    return error


def _is_event_stream(headers: Mapping[str, str], *, asked: bool) -> bool:
    """Return True for an event stream, by the body's type, or by what was asked for where the type tells neither."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return True
    return asked and kind not in ("application/json", "text/html")


def _seconds(retry_after: str | None) -> float | None:
    """Return `Retry-After` in seconds. It is a number of them, or an HTTP date; None for anything else."""
    try:
        seconds = float(retry_after or "")
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after or "").timestamp() - now_ms() / 1000
        except (ValueError, OverflowError):
            return None
    return min(max(0.0, seconds), 604_800.0)  # in this order "nan" is 0
