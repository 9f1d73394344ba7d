"""Models whose replies have an unusual format or size: tool calls, several choices, reasoning, huge, endless.

Their HTTP is correct. Listed by cases.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from gateway.chaos.case import (
    EVERYTHING_DONE,
    LAST_CHUNK,
    SSE_HEAD,
    TEXT,
    Act,
    ChaosRequest,
    Expect,
    Mode,
    Step,
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
from gateway.providers.demo import counted, frame

TOOL_CALLS: tuple[dict[str, Any], ...] = (
    {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Zürich"}'}},
    {"id": "call_2", "type": "function", "function": {"name": "get_time", "arguments": "{}"}},
)
THOUGHTS = ("Let me ", "think: ", "6 times 7.")
OTHERS = ("Second ", "choice.")
MEGABYTE = 1_000_000
GATEWAY_LIMIT = 16  # MB: the gateway's default max_answer_bytes
FAILED = failed()
BLOCK = "0123456789abcde " * 64  # a kilobyte of text


@family("reasoning", "reasoning_content before the content")
def reasoning() -> tuple[Mode, Mode]:
    expect = Expect(reasoning="".join(THOUGHTS))

    def script(request: ChaosRequest) -> Iterator[bytes]:
        yield from (frame(request.reply.chunk({"reasoning_content": thought})) for thought in THOUGHTS)
        yield from map(frame, documents(request))

    message = {"content": TEXT, "reasoning_content": expect.reasoning}
    return streamed(script, expect), Mode(
        lambda request: [whole_json(request.reply.completion(message, usage=counted((7, 8))))], expect
    )


@family("tools", "two tool calls, their arguments in pieces")
def tools() -> tuple[Mode, Mode]:
    expect = Expect(text="", finish="tool_calls", tool_calls=TOOL_CALLS)

    def script(request: ChaosRequest) -> Iterator[bytes]:
        yield frame(request.reply.chunk({"role": "assistant", "content": None}))
        for i, call in enumerate(TOOL_CALLS):
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            opening = {"index": i, "id": call["id"], "type": "function", "function": {"name": name, "arguments": ""}}
            yield frame(request.reply.chunk({"tool_calls": [opening]}))
            for piece in (arguments[j : j + 5] for j in range(0, len(arguments), 5)):
                yield frame(request.reply.chunk({"tool_calls": [{"index": i, "function": {"arguments": piece}}]}))
        yield from map(frame, list(documents(request, (), finish="tool_calls"))[1:])

    message = {"content": None, "tool_calls": list(TOOL_CALLS)}
    return streamed(script, expect), Mode(
        lambda request: [whole_json(request.reply.completion(message, finish="tool_calls", usage=counted((7, 8))))],
        expect,
    )


@family("two-choices", "two choices, interleaved, whatever `n` said")
def two_choices() -> tuple[Mode, Mode]:
    expect = Expect(text="First choice.", others=("Second choice.",))

    def script(request: ChaosRequest) -> Iterator[bytes]:
        yield from (frame(request.reply.role(index=i)) for i in (0, 1))
        for first, second in zip(("First ", "choice."), OTHERS, strict=True):
            yield frame(request.reply.chunk({"content": first}))
            yield frame(request.reply.chunk({"content": second}, index=1))
        yield frame(request.reply.chunk({}, index=1, finish="stop"))
        yield from map(frame, list(documents(request, ()))[1:])

    messages = [{"content": "First choice."}, {"content": "Second choice."}]
    return streamed(script, expect), Mode(
        lambda request: [whole_json(request.reply.completion(*messages, usage=counted((7, 4))))], expect
    )


@family("unknown-fields", "fields that nobody knows, in every object")
def unknown_fields() -> tuple[Mode, Mode]:
    extra: dict[str, Any] = {
        "system_fingerprint": "fp_chaos",
        "x_vendor": {"deep": [1, None, "ü"]},
        "service_tier": None,
    }

    def script(request: ChaosRequest) -> Iterator[bytes]:
        yield frame(b'{"object":"vendor.metadata","x":1}')
        for token in ("Known ", "text."):
            yield frame(request.reply.chunk({"content": token, "x_delta": 1}, **extra))
        yield from map(frame, list(documents(request, ()))[1:])

    expect = Expect(text="Known text.")
    message = {"content": "Known text.", "x_message": 1}
    return streamed(script, expect), Mode(
        lambda request: [whole_json(request.reply.completion(message, usage=counted((7, 2)), **extra))], expect
    )


@family("nulls", "null content, null delta, empty choices and empty deltas between the tokens")
def nulls() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[bytes]:
        odd = [request.reply.chunk({"content": None}), request.reply.chunk({}), b'{"choices":[]}']
        odd.append(b'{"choices":[{"index":0,"delta":null,"finish_reason":null}],"usage":null}')
        for document in documents(request):
            yield from map(frame, [] if document == EVERYTHING_DONE else odd)
            yield frame(document)

    message = {"content": None, "tool_calls": None}
    return streamed(script), Mode(
        lambda request: [whole_json(request.reply.completion(message, usage=counted((7, 0))))], Expect(text="")
    )


@family("role-pause-Dms", "the role chunk at once, the first token D milliseconds later", "role-pause-200ms")
def role_pause(d: int) -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[Step]:
        first, *rest = (chunked(frame(doc)) for doc in documents(request))
        yield SSE_HEAD + first
        yield d / 1000
        yield from rest
        yield LAST_CHUNK

    return Mode(script, Expect()), plain()


@family("stall-finish", "everything up to the finish_reason, then nothing, on an open connection")
def stall_finish() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[Step]:
        yield from sse(map(frame, documents(request, usage=False, done=False)), last=False)
        yield Act.STALL

    return Mode(script, Expect(usage=False)), plain()


@family("comments-forever", "a comment every 20 ms, and never a token; plain: a blank every 20 ms")
def comments_forever() -> tuple[Mode, Mode]:
    def drip(first: bytes, data: bytes) -> Iterator[Step]:
        yield first
        while True:
            yield 0.02
            yield chunked(data)

    expect = failed(504, outcome="timeout")
    return (
        Mode(lambda request: drip(SSE_HEAD, b": still here\n\n"), expect),
        Mode(lambda request: drip(head(200, "application/json"), b" "), expect),
    )


@family("endless-Dms", "a kilobyte of text every D milliseconds, for ever", "endless-0ms")
def endless(d: int) -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[Step]:
        data = chunked(frame(request.reply.chunk({"content": BLOCK})))
        yield SSE_HEAD
        while True:
            yield d / 1000
            yield data

    def plain_script(request: ChaosRequest) -> Iterator[Step]:
        opening, _, _ = request.reply.completion({"content": "@"}).partition(b"@")
        yield head(200, "application/json") + chunked(opening)
        while True:
            yield d / 1000
            yield chunked(BLOCK.encode())

    timeout = failed(200, None, outcome="timeout")
    return (
        Mode(script, failed(200, None, outcome="too_long", alt=timeout)),
        Mode(plain_script, failed(502, None, outcome="too_long", alt=failed(504, None, outcome="timeout"))),
    )


@family("endless-line", "one frame that never ends")
def endless_line() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[Step]:
        opening, _, _ = frame(request.reply.chunk({"content": "@"})).partition(b"@")
        yield from sse([opening], last=False)
        while True:
            yield 0.0
            yield chunked(BLOCK.encode() * 16)

    expect = failed(502, outcome="too_long", alt=FAILED)
    return Mode(script, expect), Mode(lambda request: chain([head(200, "application/json")], _zeros()), expect)


def _zeros() -> Iterator[Step]:
    while True:
        yield 0.0
        yield chunked(b"[" * 16_384)


@family("huge-line-N", "a token of N (at most 100) million characters in one frame", "huge-line-1", "huge-line-20")
def huge_line(n: int) -> tuple[Mode, Mode]:
    megabytes = min(n, 100)

    def text() -> str:
        return BLOCK[:1000] * 1000 * megabytes

    def plain_script(request: ChaosRequest) -> list[Step]:
        return [whole_json(request.reply.completion({"content": text()}, usage=counted((7, 1))))]

    expect = failed(502, None, outcome="too_long")
    if megabytes * MEGABYTE < GATEWAY_LIMIT * 2**20:
        stream = expect = Expect(text=text())
    else:  # the frame that passes the limit may count as before or after the first token
        stream = failed(502, None, outcome="too_long", alt=failed(200, None, outcome="too_long"))
    return streamed(lambda request: map(frame, documents(request, [text()])), stream), Mode(plain_script, expect)
