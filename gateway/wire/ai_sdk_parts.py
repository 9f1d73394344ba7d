"""The parts of the AI SDK's assistant messages that are more than text, both ways: tools, thoughts, files, sources.

What a provider wants back in the next turn, such as signatures and thinking blocks, rides in the parts' metadata, which
the SDK's clients keep and send along. It does no I/O; called by ai_sdk.py, which says where the format is from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from gateway.domain.answer import REASONING, THOUGHTS, Part, history_message, reasoning_kind
from gateway.domain.pieces import joined_base64

_encode = msgspec.json.encode
_METADATA = "gateway"  # ours among a part's `providerMetadata`
_AUDIO = (("UklGR", "wav"), ("SUQz", "mpeg"), ("//", "mpeg"), ("T2dn", "ogg"), ("ZkxhQ", "flac"))  # in base64
_IMAGE = "image/png"  # where the address doesn't say


def chunk(kind: str, **fields: Any) -> bytes:
    """Return one chunk of a stream."""
    return b"data: " + _encode({"type": kind, **fields}) + b"\n\n"


# ------------------------------------------------------------------ from a client


def step_messages(parts: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield what one call of the model said, and what its tools gave. A call without its result is left out."""
    said: list[Part] = []
    ended: list[tuple[dict[str, Any], dict[str, Any]]] = []
    for part in parts:
        kind = str(part.get("type"))
        tool = kind == "dynamic-tool" or kind.startswith("tool-")
        ours = _object(_object(part.get("callProviderMetadata" if tool else "providerMetadata")).get(_METADATA))
        if thoughts := _thoughts(_object(ours.get("message"))):
            said.append(("other", thoughts))
        if kind == "text":
            said.append((kind, str(part.get("text", ""))))
        elif kind == "reasoning":
            field = ours.get("field")
            known = isinstance(field, str) and (field in THOUGHTS or not field)
            said.append((reasoning_kind(str(field) if known else REASONING), str(part.get("text", ""))))
        elif tool and part.get("state") in ("output-available", "output-error"):
            ended.append((part, _object(ours.get("call"))))
    message = history_message(said)
    if ended:
        message["content"] = message["content"] or None
        message["tool_calls"] = [
            {
                **more,
                "id": part.get("toolCallId"),
                "type": "function",
                "function": {
                    "name": part.get("toolName") or str(part["type"]).removeprefix("tool-"),
                    "arguments": _encode(part.get("input")).decode(),
                },
            }
            for part, more in ended
        ]
    if message["content"] or ended:
        yield message
    for part, _ in ended:
        output = part.get("output") if part["state"] == "output-available" else part.get("errorText")
        content = output if isinstance(output, str) else _encode(output).decode()
        yield {"role": "tool", "tool_call_id": part.get("toolCallId"), "content": content}


def _thoughts(message: dict[str, Any]) -> dict[str, Any]:
    """Return those fields that a model goes on with: a client may have put anything there."""
    kept = {name: value for name, value in message.items() if name in THOUGHTS}
    if isinstance(content := message.get("content"), list):
        kept["content"] = [part for part in content if isinstance(part, dict)]
    return kept


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


# ------------------------------------------------------------------ to a client


class Others:
    """What an answer says beside text, reasoning and tool calls."""

    def __init__(self) -> None:
        self._thoughts: list[Part] = []  # not yet in any part's metadata
        self._shown: set[str] = set()  # addresses of sources
        self._audio: list[str] = []

    def chunks(self, fields: dict[str, Any]) -> Iterator[bytes]:
        """Yield the chunks of an OtherDelta's fields; keep what comes with a later one."""
        if thoughts := _thoughts(fields):
            self._thoughts.append(("other", thoughts))
        if isinstance(data := _object(fields.get("audio")).get("data"), str):
            self._audio.append(data)
        for name in ("images", "content"):
            for part in _objects(fields.get(name)):
                image = part.get("image_url")
                url = image.get("url") if isinstance(image, dict) else image
                if isinstance(url, str) and url.startswith(("data:image/", "http://", "https://")):
                    kind = url[5:].partition(";")[0] if url.startswith("data:") else _IMAGE
                    yield chunk("file", url=url, mediaType=kind)
        for url, title in _sources(fields):
            if url not in self._shown:
                self._shown.add(url)
                named = {"title": title} if title else {}
                yield chunk("source-url", sourceId=str(len(self._shown)), url=url, **named)

    def metadata(self, **ours: Any) -> dict[str, Any]:
        """Return the metadata of a part that ends, with the thoughts up to here, as fields of its chunk."""
        if self._thoughts:
            message = _thoughts(history_message(self._thoughts))
            self._thoughts = []
            ours["message"] = message
        return {"providerMetadata": {_METADATA: ours}} if ours else {}

    def end(self) -> Iterator[bytes]:
        """Yield what is only whole at the end: speech."""
        if self._audio:
            data = joined_base64(self._audio)
            kind = next((kind for begin, kind in _AUDIO if data.startswith(begin)), "pcm")
            yield chunk("file", url=f"data:audio/{kind};base64,{data}", mediaType=f"audio/{kind}")


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _sources(fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the address and the title of each source, which servers name in three ways."""
    found: list[Any] = [_object(each.get("url_citation")) or each for each in _objects(fields.get("annotations"))]
    found += _objects(fields.get("search_results"))
    if isinstance(citations := fields.get("citations"), list):
        found += [{"url": each} if isinstance(each, str) else each for each in citations]
    for each in map(_object, found):
        url, title = each.get("url"), each.get("title")
        if isinstance(url, str) and url.startswith(("http://", "https://")):
            yield url, title if isinstance(title, str) else ""


class _Body(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None
    input: str | None = None  # of a custom tool, whose input is any text


class _Piece(msgspec.Struct):
    index: int = 0
    id: str | None = None
    type: str | None = None
    function: _Body = msgspec.field(default_factory=_Body)
    custom: _Body | None = None


_PIECE = frozenset(_Piece.__struct_fields__)


class Calls:
    """The tool calls of one answer, as they grow."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}

    def piece(self, raw: bytes) -> Iterator[bytes]:
        """Yield a piece of a tool call. Pieces of one call share an index; the first has the ID and the name."""
        try:
            piece = msgspec.json.decode(raw, type=_Piece)
        except msgspec.MsgspecError:
            return  # stored by an earlier version, in a form of the provider's own that this wire can't say
        call = self._calls.setdefault(piece.index, _Call(piece.id or f"call_{piece.index}", piece.custom is not None))
        body = piece.custom or piece.function
        call.name += body.name or ""
        call.more |= {name: value for name, value in msgspec.json.decode(raw).items() if name not in _PIECE}
        if text := body.arguments or body.input:
            if call.name:
                yield from call.start()
                yield chunk("tool-input-delta", toolCallId=call.id, inputTextDelta=text)
            call.arguments += text

    def end(self, others: Others) -> Iterator[bytes]:
        """Yield the end of each call; the first bears the thoughts that came after all text."""
        for call in self._calls.values():
            if call.name:
                yield from call.start()
                yield call.end(others)


class _Call:
    def __init__(self, call_id: str, custom: bool) -> None:
        self.id, self.name, self.arguments = call_id, "", ""
        self.more: dict[str, Any] = {}  # what the provider wants back with the result, such as a signature
        self._custom, self._started = custom, False

    def start(self) -> Iterator[bytes]:
        """Yield the first chunk, unless it is out. It bears the whole name, so it waits for what follows that."""
        if not self._started:
            self._started = True
            yield chunk("tool-input-start", toolCallId=self.id, toolName=self.name)

    def end(self, others: Others) -> bytes:
        """Return the whole call's chunk."""
        named = {"toolCallId": self.id, "toolName": self.name}
        try:
            value = self.arguments if self._custom else msgspec.json.decode(self.arguments or "{}")
        except msgspec.DecodeError:
            problem = "The model's input for this tool is not JSON."
            return chunk("tool-input-error", **named, input=self.arguments, errorText=problem)
        kept = others.metadata(**({"call": self.more} if self.more else {}))
        return chunk("tool-input-available", **named, input=value, **kept)
