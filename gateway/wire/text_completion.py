"""OpenAI's legacy wire, `POST /v1/completions`, over chats: a prompt becomes a question, an answer a completion.

Format: OpenAI API reference, "Completions (legacy)". What a chat has no counterpart for is refused by name. Sans-I/O;
called by web/completions.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import msgspec

from gateway.domain.events import Terminal
from gateway.domain.messages import ChatRequest
from gateway.errors import InvalidValue, ProviderError
from gateway.wire.chat_body import content_text, convert, decode_fields
from gateway.wire.encoder import Headers
from gateway.wire.openai import ChunkStream, decode_chat

_encode = msgspec.json.encode
_decoder = json.JSONDecoder(strict=False, parse_constant=lambda _: None)
_CHAT = "is a chat's: use POST /v1/chat/completions"
_REFUSED = {
    "echo": (False, "isn't served here: a chat doesn't say its question again"),
    "suffix": ("", "isn't served here: a chat completes no text from both sides"),
    "best_of": (1, "isn't served here: use n"),
    "logprobs": (None, f"{_CHAT} with logprobs and top_logprobs"),
    "messages": (None, _CHAT),
    "tools": (None, _CHAT),
    "functions": (None, _CHAT),
}


def decode_completion(body: bytes, route: str, headers: Headers = ()) -> ChatRequest:
    """Return the chat request that a completion's body makes. Raises BadRequest or InvalidValue."""
    fields = decode_fields(body)
    for name, (harmless, problem) in _REFUSED.items():
        if name in fields:
            value = convert(bytes(fields.pop(name)), Any, name)
            if value is not None and (value != harmless or type(value) is not type(harmless)):
                _refuse(name, problem)
    prompt = _prompt(fields.pop("prompt", None))
    fields["messages"] = msgspec.Raw(_encode([{"role": "user", "content": prompt}]))
    return decode_chat(_encode(fields), route, headers)


def _prompt(raw: msgspec.Raw | None) -> str:
    given = convert(bytes(raw), Any, "prompt") if raw is not None else None
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if given is None:
        _refuse("prompt", "is required")
    if isinstance(given, list) and all(isinstance(one, str) for one in given):
        _refuse("prompt", "one text is taken here: ask once for each")
    if not isinstance(given, str):
        _refuse("prompt", "is text here: a chat takes no token IDs")
    return given


def _refuse(name: str, problem: str) -> NoReturn:
    raise InvalidValue(f"{name}: {problem}", details=[(name, problem)])


def completion(body: bytes) -> bytes:
    """Return a whole chat completion as a text completion. Fields that this doesn't know stay as they are.

    Raises ProviderError for what can't be read.
    """
    whole = _decode(body)
    if not isinstance(whole, dict):
        raise ProviderError("The provider sent something that can't be read.")
    choices = [_choice(one, one.get("message")) for one in whole["choices"]]
    return _dumps({**whole, "object": "text_completion", "choices": choices})


class TextStream(ChunkStream):
    """A chat's frames as those of a text completion. What has no text, such as reasoning, isn't sent."""

    def encode(self, events: Iterable[tuple[int, bytes | Terminal]]) -> list[bytes]:
        """See Encoder."""
        pieces = [
            _frames(event) if isinstance(event, bytes) else _frames(self._end(event), ours=True) for _, event in events
        ]
        return [piece for piece in pieces if piece]

    def text(self, text: bytes, position: int) -> bytes | None:  # type: ignore[override]
        """See Encoder."""
        return _frames(text) or None


def _frames(data: bytes, *, ours: bool = False) -> bytes:
    """Return whole frames as this wire has them. `ours`: those that end a stream, of which none is left out."""
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return b"".join(_frame(frame, ours=ours) for frame in lines.split(b"\n\n") if frame)


def _frame(frame: bytes, *, ours: bool) -> bytes:
    """Return one frame; nothing where it has neither text, nor an end, nor usage."""
    payload = b"\n".join(line[5:].strip() for line in frame.split(b"\n") if line.startswith(b"data:"))
    chunk = _decode(payload)
    if not isinstance(chunk, dict) or "choices" not in chunk:
        return frame + b"\n\n" if ours else b""  # an error, `[DONE]`, the trace's ID; or what only its provider knows
    choices = [_choice(one, one.get("delta")) for one in chunk["choices"] or ()]
    said = [one for one in choices if one["text"] or one["finish_reason"]]
    if not said and not chunk.get("usage"):
        return b""
    return b"data: " + _dumps({**chunk, "object": "text_completion", "choices": said}) + b"\n\n"


def _choice(choice: Mapping[str, Any], said: Any) -> dict[str, Any]:
    text = ""
    if isinstance(said, dict):
        text = content_text(said.get("content")) or content_text(said.get("refusal"))
    return {
        "text": text,
        "index": choice.get("index") or 0,
        "logprobs": None,
        "finish_reason": choice.get("finish_reason"),
    }


def _decode(payload: bytes) -> Any:
    """Return a provider's JSON; None for what isn't, as `[DONE]`. Half of a character may be in another frame."""
    try:
        return _decoder.decode(payload.decode())
    except (ValueError, RecursionError):
        return None


def _dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
