"""The built-in provider, which answers without a network in OpenAI's bytes. It is not a model: the text is fixed.

Called by the router like any provider. The chaos upstream borrows the texts and the frame builders.

Models: `echo` (says what the gateway can do), `lorem-N-Dms` (N tokens, D milliseconds apart) and `unicode-N-Dms`
(the same with emoji, combining marks and text that must be escaped).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import re
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gateway.domain.ids import now_ms
from gateway.errors import ProviderRefused
from gateway.providers.base import Call, ReplySink

LOREM = [
    "lorem", "ipsum", "dolor", "sit", "amet", "consectetur", "adipiscing", "elit", "sed", "do",
    "eiusmod", "tempor", "incididunt", "ut", "labore", "et", "dolore", "magna", "aliqua",
]  # fmt: skip
UNICODE = [
    "Grüße",
    "🌍",
    "日本語",
    "👩‍👩‍👧",
    "naïve",
    "שלום",
    "e\u0301t\u0301",
    "𝄞",
    '"quoted"',
    "back\\slash",
    "two\nlines",
]

ECHO_PACE = 0.04  # seconds between words: 25 a second reads well
MAX_TOKENS = 100_000
MAX_DELAY_MS = 60_000
BURST = 200  # tokens in one feed where there is no delay
QUOTE = 160  # characters of the question that are repeated

_PACED = re.compile(r"(lorem|unicode)-(\d{1,6})-(\d{1,5})ms")
_ECHO = """{asked}

This is the gateway's built-in demo model: there is no AI behind it, but everything around it is real. The answer \
streams word by word, and it has a **trace**, whose ID is in the `X-Trace-Id` header and in the `start` and `done` \
events. With that ID anybody who read the answer can rate it:

```sh
curl 'http://127.0.0.1:8000/feedback?trace_id=TRACE_ID' \\
  -H 'Content-Type: application/json' \\
  -d '{{"is_correct": true, "comment": "just right"}}'
```

To watch chats and ratings as they come in, run `gateway tail --follow`. For real answers, set `OPENAI_API_KEY` or \
name a provider in `config.toml`."""


def lorem(count: int) -> Iterator[str]:
    """Yield `count` tokens of the old text; joined, they are words with single spaces."""
    return _cycle(LOREM, count)


def multibyte(count: int) -> Iterator[str]:
    """Yield `count` tokens that are hard on whoever cuts bytes."""
    return _cycle(UNICODE, count)


def _cycle(words: list[str], count: int) -> Iterator[str]:
    for i in range(count):
        yield (" " if i else "") + words[i % len(words)]


def frame(document: bytes) -> bytes:
    """Return a document as one server-sent event."""
    return b"data: " + document + b"\n\n"


class Reply:
    """Writes one answer's documents in OpenAI's form. `usage` is (prompt tokens, completion tokens)."""

    def __init__(self, model: str, *, reply_id: str, created: int) -> None:
        self._base = {"id": reply_id, "object": "", "created": created, "model": model}

    def chunk(self, delta: dict[str, Any], *, index: int = 0, finish: str | None = None, **extra: Any) -> bytes:
        """Return one `chat.completion.chunk`."""
        choices = [{"index": index, "delta": delta, "finish_reason": finish}]
        return self._encode("chat.completion.chunk", choices, extra)

    def role(self, *, index: int = 0) -> bytes:
        """Return the first chunk of a choice."""
        return self.chunk({"role": "assistant", "content": ""}, index=index)

    def usage(self, usage: tuple[int, int]) -> bytes:
        """Return the extra chunk before [DONE]."""
        return self._encode("chat.completion.chunk", [], {"usage": counted(usage)})

    def completion(self, *messages: dict[str, Any], finish: str = "stop", **extra: Any) -> bytes:
        """Return a whole `chat.completion`, with a choice for each message."""
        choices = [
            {"index": i, "message": {"role": "assistant", **message}, "finish_reason": finish}
            for i, message in enumerate(messages)
        ]
        return self._encode("chat.completion", choices, extra)

    def _encode(self, kind: str, choices: list[dict[str, Any]], extra: dict[str, Any]) -> bytes:
        return msgspec.json.encode(self._base | {"object": kind, "choices": choices} | extra)


def counted(usage: tuple[int, int]) -> dict[str, int]:
    """Return OpenAI's usage object."""
    prompt, completion = usage
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


class DemoProvider:
    """A `Provider` that makes its answers up."""

    private: Sequence[str] = ()

    async def chat(self, call: Call, sink: ReplySink) -> None:
        """See `Provider.chat`. Parameters other than the messages are ignored, `n` as well."""
        said = _said(call.fields.get("messages"))
        tokens, count, delay = _answer(call.model, said[-1] if said else "")
        usage = (sum(len(text.split()) for text in said), count)
        del said  # it may be long
        reply = Reply(call.model, reply_id=f"chatcmpl-{os.urandom(12).hex()}", created=now_ms() // 1000)
        if call.stream:
            await _stream(reply, tokens, usage, delay, sink)
            return
        await asyncio.sleep(delay * count)
        document = reply.completion({"content": "".join(tokens)}, usage=counted(usage))
        await sink.drain()
        sink.head(sse=False)
        sink.feed(document)

    async def embed(self, model: str, fields: dict[str, msgspec.Raw], connect_timeout_s: float = 5) -> bytes:
        """Return eight numbers an input, the same for the same input. Any model name will do."""
        try:
            value = msgspec.json.decode(fields.get("input", b"null"), type=str | list[str | int | list[int]])
        except msgspec.MsgspecError:
            raise ProviderRefused("input must be text, tokens, or a list of them", status=400) from None
        single = isinstance(value, str) or not value or isinstance(value[0], int)
        inputs: list[Any] = [value] if single else list(value)
        packed = fields.get("encoding_format") == msgspec.Raw(b'"base64"')
        return embeddings(model, inputs, packed=packed)

    async def close(self) -> None:
        """Do nothing: there are no connections."""


def embeddings(model: str, inputs: list[Any], *, packed: bool) -> bytes:
    """Return OpenAI's embeddings reply; `packed` is its base64 form."""
    data = [
        {"object": "embedding", "index": i, "embedding": _vector(item, packed=packed)} for i, item in enumerate(inputs)
    ]
    words = sum(len(item.split()) if isinstance(item, str) else 1 for item in inputs)
    usage = {"prompt_tokens": words, "total_tokens": words}
    return msgspec.json.encode({"object": "list", "data": data, "model": model, "usage": usage})


def _vector(item: Any, *, packed: bool) -> list[float] | str:
    # Eighths of a byte's range are exact in a float32, so both forms say the same.
    numbers = [byte / 128 - 1 for byte in hashlib.sha256(msgspec.json.encode(item)).digest()[:8]]
    return base64.b64encode(struct.pack("<8f", *numbers)).decode() if packed else numbers


def _answer(model: str, asked: str) -> tuple[Iterator[str], int, float]:
    """Return the tokens, how many they are, and the seconds before each."""
    if model == "echo":
        words = re.findall(r"\s*\S+", _ECHO.format(asked=_quote(asked)))
        return iter(words), len(words), ECHO_PACE
    match = _PACED.fullmatch(model)
    if match is None or int(match[2]) > MAX_TOKENS or int(match[3]) > MAX_DELAY_MS:
        raise ProviderRefused("unknown demo model", status=404)
    count = int(match[2])
    return (lorem if match[1] == "lorem" else multibyte)(count), count, int(match[3]) / 1000


def _quote(asked: str) -> str:
    words = " ".join(asked.split())
    if not words:
        return "You asked nothing, so here is what this is."
    return f"You said: “{words[:QUOTE]}{'…' if len(words) > QUOTE else ''}”"


def _said(messages: msgspec.Raw | None) -> list[str]:
    """Return the texts of the user's messages. What isn't in OpenAI's form is passed over: no real model sits here."""
    try:
        items = msgspec.json.decode(messages or b"[]")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    users = [m for m in items if isinstance(m, dict) and m.get("role") == "user"] if isinstance(items, list) else []
    return [_text(m.get("content")) for m in users]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


async def _stream(reply: Reply, tokens: Iterator[str], usage: tuple[int, int], delay: float, sink: ReplySink) -> None:
    async def feed(*documents: bytes) -> None:
        if not sink.done:
            await sink.drain()
            sink.feed(b"".join(map(frame, documents)))

    sink.head(sse=True)
    await feed(reply.role())
    batch: list[bytes] = []
    for token in tokens:
        if sink.done:
            return
        batch.append(reply.chunk({"content": token}))
        if delay or len(batch) == BURST:
            await asyncio.sleep(delay)  # without a delay: the loop's turn
            await feed(*batch)
            batch.clear()
    await feed(*batch, reply.chunk({}, finish="stop"))
    await feed(reply.usage(usage))
    await feed(b"[DONE]")
