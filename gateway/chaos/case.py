"""The values that describe a chaos model, and the building blocks of its scripts.

A model has two modes, stream and plain; each has a script, and the result that a good gateway gives. A script is a list
of steps. Bytes are one TCP write, a float is a pause in seconds, and an `Act` ends the reply. After the last step the
connection stays open for the next request. It does no I/O: server.py plays the steps. Used by all modules of chaos.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, Literal

import msgspec

from gateway.providers.demo import Reply, counted, frame

TOKENS = ("Grüße", ", ", "Welt", " 🌍", "! ", "It ", "still ", "works.")
TEXT = "".join(TOKENS)  # the text of every model that isn't about another text
PROMPT_TOKENS = 7
GAP = 0.005  # seconds between two writes that must not arrive as one


class Act(Enum):
    """The ways in which a reply can end badly."""

    STALL = "send nothing more; keep the connection until the client leaves"
    RESET = "RST"
    CLOSE = "FIN"
    HALF_CLOSE = "FIN, and keep reading until the client leaves"
    CLOSE_NEXT = "stay open, and close as soon as the next request arrives"


Step = bytes | float | Act


class ChaosRequest(msgspec.Struct, frozen=True):
    """The part of a request that scripts depend on. `attempt` counts this model's requests, from 1."""

    model: str
    attempt: int
    include_usage: bool
    reply: Reply
    embeddings: bytes | None = None  # the good reply to a request for embeddings


Script = Callable[[ChaosRequest], Iterable[Step]]


class Expect(msgspec.Struct, frozen=True, kw_only=True):
    """The result that a good gateway gives its client, with default limits and one target.

    `status` is the HTTP status of an OpenAI-compatible route that sends its head only with the first token. `text` is
    the text of choice 0, or None if it isn't known beforehand; `others` are the texts of the other choices. A `finish`
    of None allows any finish reason.
    """

    outcome: Literal["complete", "upstream_error", "timeout", "too_long"] = "complete"
    status: int = 200
    text: str | None = TEXT
    finish: str | None = "stop"
    usage: bool = True  # the provider reports it
    retry_after: int | None = None  # seconds
    reasoning: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    others: tuple[str, ...] = ()
    alt: Expect | None = None  # another result that is as good

    def __str__(self) -> str:
        short = self.outcome if self.status == 200 else f"{self.outcome}, {self.status}"
        return f"{short} or {self.alt}" if self.alt else short


class Mode(msgspec.Struct, frozen=True):
    """A model's reply to one kind of request: streamed or plain."""

    script: Script
    expect: Expect


class Case(msgspec.Struct, frozen=True):
    """One model. `family` is the pattern of its name."""

    name: str
    family: str
    description: str
    stream: Mode
    plain: Mode


class Family(msgspec.Struct, frozen=True):
    """Models whose names differ only in parameters, which `make` gets.

    In `pattern`, N is a number, Dms milliseconds, CODE an HTTP status from 400 to 599, WORD a word.
    """

    pattern: str
    description: str
    examples: tuple[str, ...]
    make: Callable[..., tuple[Mode, Mode]]

    def case(self, name: str) -> Case | None:
        """Return the case of that name, or None if it is of another family."""
        parts = {"N": r"(\d{1,6})", "Dms": r"(\d{1,6})ms", "CODE": r"([45]\d\d)", "WORD": r"([a-z_]{1,40})"}
        match = re.fullmatch("-".join(parts.get(part, part) for part in self.pattern.split("-")), name)
        if match is None:
            return None
        stream, plain = self.make(*(int(v) if v.isdigit() else v for v in match.groups()))
        return Case(name, self.pattern, self.description, stream, plain)


def family(pattern: str, description: str, *examples: str) -> Callable[[Callable[..., tuple[Mode, Mode]]], Family]:
    """Turn a function of the pattern's parameters, which returns the stream and the plain mode, into a family."""
    return lambda make: Family(pattern, description, examples or (pattern,), make)


def failed(status: int = 502, text: str | None = "", outcome: Any = "upstream_error", **more: Any) -> Expect:
    """Return the result of a failure. A `status` of 200 means that text came before it."""
    return Expect(outcome=outcome, status=status, text=text, finish=None, usage=False, **more)


def head(status: int, kind: str, *, length: int | None = None, reason: str = "Chaos", **headers: str) -> bytes:
    """Return a response's head. Without a length it announces a chunked body."""
    fields = {"Content-Type": kind, "x-request-id": "req-chaos"} | {k.replace("_", "-"): v for k, v in headers.items()}
    fields |= {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status} {'OK' if status == 200 else reason}\r\n{lines}\r\n".encode()


SSE_HEAD = head(200, "text/event-stream; charset=utf-8", Cache_Control="no-cache")
LAST_CHUNK = b"0\r\n\r\n"
EVERYTHING_DONE = b"[DONE]"


def chunked(data: bytes) -> bytes:
    """Return the data as one chunk of a chunked body (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def documents(
    request: ChaosRequest,
    tokens: Iterable[str] = TOKENS,
    *,
    finish: str = "stop",
    usage: bool = True,
    done: bool = True,
) -> Iterator[bytes]:
    """Yield the documents of a good stream, without their `data:`."""
    yield request.reply.role()
    count = 0
    for token in tokens:
        count += 1
        yield request.reply.chunk({"content": token})
    if finish:
        yield request.reply.chunk({}, finish=finish)
    if usage and request.include_usage:
        yield request.reply.usage((PROMPT_TOKENS, count))
    if done:
        yield EVERYTHING_DONE


def begun(request: ChaosRequest, tokens: Iterable[str] = TOKENS) -> Iterator[bytes]:
    """Return the frames of a stream up to its last token."""
    return map(frame, documents(request, tokens, finish="", usage=False, done=False))


def whole(request: ChaosRequest, tokens: Iterable[str] = TOKENS) -> bytes:
    """Return the frames of a good stream as one piece."""
    return b"".join(map(frame, documents(request, tokens)))


def sse(frames: Iterable[bytes], *, last: bool = True) -> Iterator[Step]:
    """Yield an event stream with status 200. Each frame is a chunk and a write of its own."""
    yield SSE_HEAD
    for data in frames:
        yield chunked(data)
    if last:
        yield LAST_CHUNK


def body(request: ChaosRequest, text: str = TEXT, **extra: Any) -> bytes:
    """Return the JSON of a good plain reply, or that of embeddings if those were requested."""
    if request.embeddings is not None:
        return request.embeddings
    usage = counted((PROMPT_TOKENS, len(text.split())))
    return request.reply.completion({"content": text}, **{"usage": usage, **extra})


def whole_json(data: bytes, status: int = 200, **headers: str) -> bytes:
    """Return a JSON response as one write."""
    return head(status, "application/json", length=len(data), **headers) + data


def plain(text: str = TEXT) -> Mode:
    """Return the mode of a good plain reply."""
    return Mode(lambda request: [whole_json(body(request, text))], Expect(text=text))


def streamed(script: Callable[[ChaosRequest], Iterable[bytes]], expect: Expect | None = None) -> Mode:
    """Return the mode that streams the script's frames."""
    return Mode(lambda request: sse(script(request)), expect or Expect())


def cut_body(end: Act, expect: Expect) -> Mode:
    """Return the mode of a plain reply that ends in its middle in that way."""

    def script(request: ChaosRequest) -> Iterator[Step]:
        data = whole_json(body(request))
        yield data[:-20]
        yield end

    return Mode(script, expect)
