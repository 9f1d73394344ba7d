"""What one chaos model is: two scripts (stream and plain), and what a good gateway makes of each.

A script is a list of steps, and a step is what can be done to a socket: bytes are one TCP write, a float is a pause in
seconds, an `Act` ends the reply. A script that runs out leaves the connection open for the next request. Nothing here
does I/O; the server plays the steps.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any, Literal

import msgspec

from gateway.providers.demo import Reply, counted, frame

TOKENS = ("Grüße", ", ", "Welt", " 🌍", "! ", "It ", "still ", "works.")
TEXT = "".join(TOKENS)  # what every model says that has nothing else to say
PROMPT_TOKENS = 7
GAP = 0.005  # between two writes that must not arrive as one


class Act(Enum):
    """How a reply can end, other than well."""

    STALL = "send nothing more; keep the connection until the client leaves"
    RESET = "RST"
    CLOSE = "FIN"
    HALF_CLOSE = "FIN, and keep reading until the client leaves"
    CLOSE_NEXT = "stay open, and close as soon as the next request arrives"


Step = bytes | float | Act


class ChaosRequest(msgspec.Struct, frozen=True):
    """The request, as far as a script cares. `attempt` counts this model's requests, from 1."""

    model: str
    attempt: int
    include_usage: bool
    reply: Reply
    embeddings: bytes | None = None  # the good reply, where embeddings were asked for


Script = Callable[[ChaosRequest], Iterable[Step]]


class Expect(msgspec.Struct, frozen=True, kw_only=True):
    """What a good gateway makes of it, with its default limits and one target.

    `status` is that of an OpenAI-compatible route which holds its head until the first token. `text` is what was
    received of choice 0 (None: can't be told beforehand), `others` that of the other choices. `finish` None: any.
    """

    outcome: Literal["complete", "upstream_error", "timeout", "too_long"] = "complete"
    status: int = 200
    text: str | None = TEXT
    finish: str | None = "stop"
    usage: bool = True  # the provider reports it
    retry_after: int | None = None
    reasoning: str = ""
    tool_calls: tuple[dict[str, Any], ...] = ()
    others: tuple[str, ...] = ()
    alt: Expect | None = None  # just as good

    def __str__(self) -> str:
        short = self.outcome if self.status == 200 else f"{self.outcome}, {self.status}"
        return f"{short} or {self.alt}" if self.alt else short


class Mode(msgspec.Struct, frozen=True):
    """One of a model's two forms."""

    script: Script
    expect: Expect


class Case(msgspec.Struct, frozen=True):
    """One model."""

    name: str
    family: str
    what: str
    stream: Mode
    plain: Mode


class Family(msgspec.Struct, frozen=True):
    """Models that differ in numbers only. In `pattern`, N is a number, Dms milliseconds, CODE a status, WORD a word."""

    pattern: str
    what: str
    examples: tuple[str, ...]
    make: Callable[..., tuple[Mode, Mode]]

    def case(self, name: str) -> Case | None:
        """The case of that name, if it is of this family."""
        parts = {"N": r"(\d{1,6})", "Dms": r"(\d{1,6})ms", "CODE": r"([45]\d\d)", "WORD": r"([a-z_]{1,40})"}
        match = re.fullmatch("-".join(parts.get(part, part) for part in self.pattern.split("-")), name)
        if match is None:
            return None
        stream, plain = self.make(*(int(v) if v.isdigit() else v for v in match.groups()))
        return Case(name, self.pattern, self.what, stream, plain)


def family(pattern: str, what: str, *examples: str) -> Callable[[Callable[..., tuple[Mode, Mode]]], Family]:
    """Makes a function of the pattern's parameters into a family."""
    return lambda make: Family(pattern, what, examples or (pattern,), make)


def failed(status: int = 502, text: str | None = "", outcome: Any = "upstream_error", **more: Any) -> Expect:
    """A failure; `status` 200 where it comes after text."""
    return Expect(outcome=outcome, status=status, text=text, finish=None, usage=False, **more)


def head(status: int, kind: str, *, length: int | None = None, reason: str = "Chaos", **headers: str) -> bytes:
    """A response's head; without a length, the body is chunked."""
    fields = {"Content-Type": kind, "x-request-id": "req-chaos"} | {k.replace("_", "-"): v for k, v in headers.items()}
    fields |= {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return f"HTTP/1.1 {status} {'OK' if status == 200 else reason}\r\n{lines}\r\n".encode()


SSE_HEAD = head(200, "text/event-stream; charset=utf-8", Cache_Control="no-cache")
LAST_CHUNK = b"0\r\n\r\n"
EVERYTHING_DONE = b"[DONE]"


def chunked(data: bytes) -> bytes:
    """One chunk of HTTP's chunked encoding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def documents(
    request: ChaosRequest,
    tokens: Iterable[str] = TOKENS,
    *,
    finish: str = "stop",
    usage: bool = True,
    done: bool = True,
) -> Iterator[bytes]:
    """The `data:` of a good stream."""
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
    """The frames of a stream that isn't finished."""
    return map(frame, documents(request, tokens, finish="", usage=False, done=False))


def whole(request: ChaosRequest, tokens: Iterable[str] = TOKENS) -> bytes:
    """The frames of a good stream, as one piece."""
    return b"".join(map(frame, documents(request, tokens)))


def sse(frames: Iterable[bytes], *, last: bool = True) -> Iterator[Step]:
    """A 200 and an event stream, a chunk and a write for each frame."""
    yield SSE_HEAD
    for data in frames:
        yield chunked(data)
    if last:
        yield LAST_CHUNK


def body(request: ChaosRequest, text: str = TEXT, **extra: Any) -> bytes:
    """The JSON of a good plain reply, of embeddings where those were asked for."""
    if request.embeddings is not None:
        return request.embeddings
    usage = counted((PROMPT_TOKENS, len(text.split())))
    return request.reply.completion({"content": text}, **{"usage": usage, **extra})


def whole_json(data: bytes, status: int = 200, **headers: str) -> bytes:
    """A JSON response in one write."""
    return head(status, "application/json", length=len(data), **headers) + data


def plain(text: str = TEXT) -> Mode:
    """A good plain reply."""
    return Mode(lambda request: [whole_json(body(request, text))], Expect(text=text))


def streamed(script: Callable[[ChaosRequest], Iterable[bytes]], expect: Expect | None = None) -> Mode:
    """A stream of these frames."""
    return Mode(lambda request: sse(script(request)), expect or Expect())


def cut_body(end: Act, expect: Expect) -> Mode:
    """A plain reply that ends that way in its middle."""

    def script(request: ChaosRequest) -> Iterator[Step]:
        data = whole_json(body(request))
        yield data[:-20]
        yield end

    return Mode(script, expect)
