"""The provider for any OpenAI-compatible base URL. It passes the reply's bytes to the sink and decodes nothing.

Retries, fallback and all timeouts but the connection's own belong to the router.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from gateway.config.schema import Provider as ProviderConfig
from gateway.config.schema import Secret
from gateway.domain.answer import without_thoughts
from gateway.domain.ids import now_ms
from gateway.errors import ProviderError, ProviderRefused
from gateway.providers.base import Call, ReplySink, Sink
from gateway.providers.http.client import Client
from gateway.wire.provider_error import error_in_stream, error_of_status, says_something

_MAX_ERROR_BYTES = 65_536
MAX_EMBEDDING_BYTES = 67_108_864
_MAX_EMBEDDING_ERROR_BYTES = 65_536  # a longer reply is none
_MAX_LIST_BYTES = 16_777_216
_SHORTEST_SECRET = 8  # characters
_MOST_MODELS = 1_000  # that are remembered: where models are a family, callers choose their names
_REQUEST_IDS = (
    "request-id", "x-amzn-requestid", "apim-request-id", "mistral-correlation-id", "nvcf-reqid", "cf-ray",
)  # fmt: skip
_ID = re.compile(r"[!-~]{1,200}")
_THOUGHTS = re.compile(r"reasoning|thinking|thought|extra_content|provider_specific", re.IGNORECASE)
_OPTIONS = re.compile(r"stream[ _.-]?options|include[ _]?usage", re.IGNORECASE)


class OpenAIProvider:
    """One base URL with its key, headers and query. All calls share the connections of `client`, without a limit."""

    def __init__(self, config: ProviderConfig) -> None:
        self.private = _private(config)
        self._without_usage: set[str] = set()  # models that refuse to be asked for it, until the configuration changes
        self._without_thoughts: set[str] = set()  # models that refuse them in the messages
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if key := config.api_key:
            headers |= {"api-key": key} if config.auth == "api-key" else {"Authorization": f"Bearer {key}"}
        self.client = Client(config.base_url.rstrip("/"), {**headers, **config.headers}, config.query, config.ca_file)

    async def chat(self, call: Call, sink: ReplySink) -> None:
        """See providers.base.Provider."""
        usage = call.stream and call.model not in self._without_usage
        thoughts = call.thoughts and call.model not in self._without_thoughts
        fields: dict[str, Any] = {}

        def on_success(headers: Mapping[str, str]) -> Sink:
            fields.clear()  # the answer may take long, and its question shouldn't stay in memory for it
            sink.head(sse=_is_event_stream(headers, asked=call.stream), request_id=_request_id(headers))
            return sink

        accept = "text/event-stream" if call.stream else "application/json"
        while True:  # once more without what the caller didn't ask for, where the provider refuses that
            fields = _fields(call, usage=usage, thoughts=thoughts)
            try:
                await self._post("/chat/completions", fields, accept, on_success, call.connect_timeout_s)
                break
            except ProviderRefused as error:
                said = f"{error.message} {error.said}"
                if usage and _OPTIONS.search(said):
                    usage = False
                    _remember(self._without_usage, call.model)
                elif thoughts and _THOUGHTS.search(said):  # some want an answer's thoughts back, some refuse them
                    thoughts = False
                else:
                    raise
        if call.thoughts and not thoughts:
            _remember(self._without_thoughts, call.model)  # since it helped

    async def embed(self, model: str, fields: dict[str, msgspec.Raw], connect_timeout_s: float = 5) -> bytes:
        """See providers.base.Provider."""
        body = _Text(MAX_EMBEDDING_BYTES)
        sent = {"model": model, **fields}
        await self._post("/embeddings", sent, "application/json", lambda _: body, connect_timeout_s)
        if body.done:
            raise ProviderError("The provider's reply is too long.")
        reply = bytes(body.data)
        if failure := _embedding_failure(reply):
            raise failure
        return reply

    async def models(self, connect_timeout_s: float) -> list[str]:
        """Return the names that the provider's list of models has. Raises ProviderError."""
        body = _Text(_MAX_LIST_BYTES)
        heads: list[tuple[int, Mapping[str, str]]] = []

        def on_head(status: int, headers: Mapping[str, str]) -> Sink:
            heads.append((status, headers))
            return body

        await self.client.get("/models", "application/json", on_head, connect_timeout_s)
        ((status, headers),) = heads
        if status != 200:
            raise _refusal(status, headers, body)
        try:
            return [one.id for one in msgspec.json.decode(body.data, type=_ModelList).data]
        except (msgspec.DecodeError, RecursionError):
            raise ProviderError("What came is no list of models: most addresses end in /v1.") from None

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
        """Feed the body of a good reply to what `on_success` returns. Raise ProviderError for any other status."""
        refused: tuple[int, Mapping[str, str], _Text] | None = None

        def on_head(status: int, headers: Mapping[str, str]) -> Sink:
            nonlocal refused
            if 200 <= status < 300 and status not in (204, 205):  # some frameworks answer each POST with 201
                fields.clear()  # as above, where these are others
                return on_success(headers)
            refused = status, headers, _Text(_MAX_ERROR_BYTES)
            return refused[2]

        await self.client.post(path, accept, msgspec.json.encode(fields), on_head, connect_timeout_s)
        if refused is not None:
            raise _refusal(*refused)


class _Named(msgspec.Struct):
    id: str


class _ModelList(msgspec.Struct):
    data: list[_Named]


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


def _refusal(status: int, headers: Mapping[str, str], body: _Text) -> ProviderError:
    """Return the error that a reply with another status than a good one means."""
    error = error_of_status(status, bytes(body.data[:_MAX_ERROR_BYTES]), _retry_after(headers))
    error.request_id = _request_id(headers)
    return error


def _fields(call: Call, *, usage: bool, thoughts: bool) -> dict[str, Any]:
    """Return a request's body: with the wish for usage, and with thoughts where the gateway put some into it."""
    fields: dict[str, Any] = {"model": call.model, **call.fields}
    if call.thoughts and not thoughts:
        fields["messages"] = list(map(without_thoughts, msgspec.json.decode(call.fields["messages"])))
    if call.stream:
        fields["stream"] = True
        options = msgspec.json.decode(call.stream_options) if call.stream_options else None
        if usage:
            options = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        if options is not None:
            fields["stream_options"] = options
    return fields


def _remember(models: set[str], model: str) -> None:
    if len(models) < _MOST_MODELS:
        models.add(model)


def _embedding_failure(reply: bytes) -> ProviderError | None:
    """Return the error that a reply with a good status is; None for embeddings."""
    if len(reply) > _MAX_EMBEDDING_ERROR_BYTES or b'"error"' not in reply:
        return None
    try:
        found = msgspec.json.decode(reply)
    except msgspec.DecodeError:
        return None
    error = found.get("error") if isinstance(found, dict) else None
    return error_in_stream(found) if says_something(error) else None


def _request_id(headers: Mapping[str, str]) -> str | None:
    """Return the provider's own ID of the request, which its support asks for."""
    found = headers.get("x-request-id") or next((headers[name] for name in _REQUEST_IDS if name in headers), "")
    return found if _ID.fullmatch(found) else None


def _is_event_stream(headers: Mapping[str, str], *, asked: bool) -> bool:
    """Return True for an event stream, by the body's type, or by what was asked for where the type tells neither."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/event-stream":
        return True
    return asked and kind not in ("application/json", "text/html")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that the provider asks to wait, by Azure's header in milliseconds where there is one."""
    if (milliseconds := _seconds(headers.get("retry-after-ms"))) is not None:
        return milliseconds / 1000
    return _seconds(headers.get("retry-after"))


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
