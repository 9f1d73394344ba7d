"""Models that say the same as others in a way of their own, as servers do that call themselves compatible with OpenAI.

Listed by cases.py. Content that is odd or wrong in OpenAI's own way is content.py's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.chaos.case import (
    EVERYTHING_DONE,
    LAST_CHUNK,
    ChaosRequest,
    Expect,
    Mode,
    Step,
    begun,
    body,
    chunked,
    documents,
    failed,
    family,
    head,
    plain,
    sse,
    streamed,
    whole_json,
)  # fmt: skip
from gateway.chaos.http import error
from gateway.providers.demo import frame, lorem

_ERROR = {"code": 502, "message": "Provider returned error"}
_NOT_A_NUMBER = b'"logprobs":{"content":[{"token":"a","logprob":NaN,"top_logprobs":[{"logprob":-Infinity}]}]},'


def _with(document: bytes, **choice: Any) -> bytes:
    """Return a chunk or a completion with these fields in its first choice."""
    whole = msgspec.json.decode(document)
    whole["choices"][0] |= choice
    return msgspec.json.encode(whole)


@family("error-choice-N", "an error inside the choice of a chunk, after N tokens", "error-choice-0", "error-choice-3")
def error_choice(n: int) -> tuple[Mode, Mode]:
    tokens = list(lorem(n))

    def script(request: ChaosRequest) -> Iterator[bytes]:
        yield from begun(request, tokens)
        yield frame(_with(request.reply.chunk({}, finish="error"), error=_ERROR))
        yield frame(EVERYTHING_DONE)

    def whole(request: ChaosRequest) -> list[Step]:
        return [whole_json(_with(request.reply.completion({"content": ""}), error=_ERROR, finish_reason="error"))]

    return streamed(script, failed(200 if n else 502, "".join(tokens))), Mode(whole, failed())


@family("error-words", "the error comes as `event: error`, in words that are no JSON")
def error_words() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> list[bytes]:
        return [*begun(request), b"event: error\ndata: Out of memory.\n\n"]

    return streamed(script, failed(200, None)), Mode(lambda request: [whole_json(b'"Out of memory."')], failed())


@family("empty-errors", "a good answer, with an empty error on each chunk")
def empty_errors() -> tuple[Mode, Mode]:
    def marked(document: bytes) -> bytes:
        return document if document == EVERYTHING_DONE else document[:-1] + b',"error":{}}'

    return (
        streamed(lambda request: map(frame, map(marked, documents(request)))),
        Mode(lambda request: [whole_json(marked(body(request)))], Expect()),
    )


@family("not-a-number", "a good answer, with NaN and -Infinity in its logprobs")
def not_a_number() -> tuple[Mode, Mode]:
    def spoiled(document: bytes) -> bytes:
        return document.replace(b'"index":0,', b'"index":0,' + _NOT_A_NUMBER, 1)

    return (
        streamed(lambda request: map(frame, map(spoiled, documents(request)))),
        Mode(lambda request: [whole_json(spoiled(body(request)))], Expect()),
    )


@family("stop-always", "a good answer, with a finish_reason on each chunk")
def stop_always() -> tuple[Mode, Mode]:
    def finished(document: bytes) -> bytes:
        chunk = document != EVERYTHING_DONE and b'"choices":[{' in document
        return _with(document, finish_reason="stop") if chunk else document

    return streamed(lambda request: map(frame, map(finished, documents(request)))), plain()


@family("wrong-json", "a stream as application/json; plain: JSON as text/event-stream")
def wrong_json() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[Step]:
        yield head(200, "application/json")
        yield from map(chunked, map(frame, documents(request)))
        yield LAST_CHUNK

    def whole(request: ChaosRequest) -> list[Step]:
        data = body(request)
        return [head(200, "text/event-stream", length=len(data)) + data]

    return Mode(script, Expect()), Mode(whole, Expect())


@family("created", "a good answer with the status 201")
def created() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[Step]:
        yield head(201, "text/event-stream")
        yield from list(sse(map(frame, documents(request))))[1:]

    return Mode(script, Expect()), Mode(lambda request: [whole_json(body(request), 201)], Expect())


@family("quota", "429, since the quota is used up")
def quota() -> tuple[Mode, Mode]:
    mode = Mode(lambda request: [error(429, "You exceeded your current quota.", "insufficient_quota")], failed(429))
    return mode, mode
