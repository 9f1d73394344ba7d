"""Models whose HTTP is correct, and whose documents have good, unusual or wrong content. Listed by cases.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import msgspec

from gateway.chaos.case import (
    EVERYTHING_DONE,
    LAST_CHUNK,
    PROMPT_TOKENS,
    SSE_HEAD,
    TEXT,
    TOKENS,
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
    plain,
    sse,
    streamed,
    whole_json,
)  # fmt: skip
from gateway.providers.demo import counted, frame, lorem, multibyte

FAILED_BEFORE = failed()
BATCH = 64  # tokens in one write where there is no delay
ERROR = b'{"error":{"message":"The model is overloaded.","type":"server_error","param":null,"code":"overloaded"}}'


def _paced(tokens: Callable[[], Iterable[str]], delay: float) -> Mode:
    def script(request: ChaosRequest) -> Iterator[Step]:
        frames = map(frame, documents(request, tokens()))
        if delay:
            for step in sse(frames):
                yield delay
                yield step
            return
        yield SSE_HEAD
        while batch := b"".join(islice(frames, BATCH)):
            yield chunked(batch)
        yield LAST_CHUNK

    return Mode(script, Expect(text="".join(tokens())))


def _late(text: str, delay: float) -> Mode:
    return Mode(lambda request: [delay, whole_json(body(request, text))], Expect(text=text))


@family("ok", "a good answer with umlauts and an emoji, a chunk a token")
def ok() -> tuple[Mode, Mode]:
    return streamed(lambda request: map(frame, documents(request))), plain()


@family("lorem-N-Dms", "N tokens, D milliseconds apart", "lorem-50-20ms", "lorem-200-0ms")
def paced(n: int, d: int) -> tuple[Mode, Mode]:
    return _paced(lambda: lorem(n), d / 1000), _late("".join(lorem(n)), n * d / 1000)


@family("unicode-N-Dms", "the same with emoji, right-to-left text, quotes and newlines", "unicode-50-0ms")
def paced_unicode(n: int, d: int) -> tuple[Mode, Mode]:
    return _paced(lambda: multibyte(n), d / 1000), _late("".join(multibyte(n)), n * d / 1000)


@family("finish-WORD", "ends with that finish_reason", "finish-length", "finish-content_filter")
def finish(word: str) -> tuple[Mode, Mode]:
    return (
        streamed(lambda request: map(frame, documents(request, finish=word)), Expect(finish=word)),
        Mode(
            lambda request: [
                whole_json(request.reply.completion({"content": TEXT}, finish=word, usage=counted((7, 4))))
            ],
            Expect(finish=word),
        ),
    )


@family("missing-usage", "no usage, even where it was asked for")
def missing_usage() -> tuple[Mode, Mode]:
    return (
        streamed(lambda request: map(frame, documents(request, usage=False)), Expect(usage=False)),
        Mode(lambda request: [whole_json(request.reply.completion({"content": TEXT}))], Expect(usage=False)),
    )


@family("missing-done", "finish_reason and usage, but no [DONE]")
def missing_done() -> tuple[Mode, Mode]:
    return streamed(lambda request: map(frame, documents(request, done=False))), plain()


@family("missing-finish", "[DONE], but no finish_reason")
def missing_finish() -> tuple[Mode, Mode]:
    message = {"index": 0, "message": {"role": "assistant", "content": TEXT}}
    return (
        streamed(lambda request: map(frame, documents(request, finish="")), Expect(finish=None)),
        Mode(
            lambda request: [whole_json(msgspec.json.encode({"choices": [message]}))], Expect(finish=None, usage=False)
        ),
    )


@family("missing-end", "a clean end of the body with neither finish_reason nor [DONE]")
def missing_end() -> tuple[Mode, Mode]:
    return streamed(begun, failed(200, TEXT)), Mode(lambda request: [whole_json(b"")], FAILED_BEFORE)


@family("done-only", "nothing but [DONE]; plain: no choices")
def done_only() -> tuple[Mode, Mode]:
    empty = Expect(text="", finish=None, usage=False, alt=FAILED_BEFORE)
    return (
        streamed(lambda request: [frame(EVERYTHING_DONE)], empty),
        Mode(lambda request: [whole_json(b'{"object":"chat.completion","choices":[]}')], empty),
    )


@family("usage-in-finish", "usage rides on the chunk with the finish_reason; there is no usage chunk")
def usage_in_finish() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[bytes]:
        yield from begun(request)
        yield frame(request.reply.chunk({}, finish="stop", usage=counted((PROMPT_TOKENS, len(TOKENS)))))
        yield frame(EVERYTHING_DONE)

    return streamed(script), plain()


@family("usage-running", "every chunk bears the usage so far")
def usage_running() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[bytes]:
        for i, token in enumerate(TOKENS):
            yield frame(request.reply.chunk({"content": token}, usage=counted((PROMPT_TOKENS, i + 1))))
        yield frame(request.reply.chunk({}, finish="stop", usage=counted((PROMPT_TOKENS, len(TOKENS)))))
        yield frame(EVERYTHING_DONE)

    return streamed(script), plain()


@family("usage-late-Dms", "D milliseconds between the finish_reason and the usage chunk", "usage-late-200ms")
def usage_late(d: int) -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[Step]:
        yield from sse(map(frame, documents(request, usage=False, done=False)), last=False)
        yield d / 1000
        yield chunked(frame(request.reply.usage((PROMPT_TOKENS, len(TOKENS))))) + chunked(frame(EVERYTHING_DONE))
        yield LAST_CHUNK

    return Mode(script, Expect()), plain()


@family("error-after-N", "an error in the stream after N tokens; 0: at once", "error-after-0", "error-after-3")
def error_after(n: int) -> tuple[Mode, Mode]:
    tokens = list(lorem(n))

    def script(request: ChaosRequest) -> Iterator[bytes]:
        yield from begun(request, tokens) if tokens else ()
        yield frame(ERROR)

    expect = failed(200, "".join(tokens)) if n else FAILED_BEFORE
    return streamed(script, expect), Mode(lambda request: [whole_json(ERROR)], FAILED_BEFORE)


@family("error-event", "the error comes as `event: error`, and [DONE] follows it")
def error_event() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> list[bytes]:
        return [*begun(request), b"event: error\n" + frame(ERROR), frame(EVERYTHING_DONE)]

    return streamed(script, failed(200, TEXT)), Mode(lambda request: [whole_json(ERROR)], FAILED_BEFORE)


def _spoiled(data: bytes, bad_body: bytes, repaired: str | None = None) -> tuple[Mode, Mode]:
    """Return a stream with a bad frame after its text, and a bad plain body.

    `repaired` is the text that a lenient reader gets from the bad part.
    """

    def script(request: ChaosRequest) -> Iterator[bytes]:
        yield from begun(request)
        yield data
        yield frame(request.reply.chunk({}, finish="stop"))
        yield frame(EVERYTHING_DONE)

    streamed_alt = plain_alt = None
    if repaired is not None:
        streamed_alt, plain_alt = (
            Expect(text=TEXT + repaired, usage=False),
            Expect(text=repaired, finish=None, usage=False),
        )
    return (
        streamed(script, failed(200, TEXT, alt=streamed_alt)),
        Mode(lambda request: [whole_json(bad_body)], failed(alt=plain_alt)),
    )


@family("garbage-json", "after the text, a frame that isn't JSON; then finish_reason and [DONE]")
def garbage_json() -> tuple[Mode, Mode]:
    return _spoiled(frame(b'{"choices":[{"delta":{"conte'), b"{not json")


@family("garbage-first", "the first frame isn't JSON")
def garbage_first() -> tuple[Mode, Mode]:
    return (
        streamed(lambda request: [frame(b"{not json"), frame(EVERYTHING_DONE)], FAILED_BEFORE),
        Mode(lambda request: [whole_json(b"\x00\x01\x02")], FAILED_BEFORE),
    )


@family("wrong-shape", "JSON of another shape: `choices` is a number")
def wrong_shape() -> tuple[Mode, Mode]:
    return _spoiled(frame(b'{"choices":42}'), b'{"choices":42}')


@family("invalid-utf8", "a frame whose text holds bytes that are no UTF-8")
def invalid_utf8() -> tuple[Mode, Mode]:
    bad = b'{"choices":[{"index":0,"delta":{"content":"\xff\xfe\xc3("},"finish_reason":null}]}'
    return _spoiled(frame(bad), bad.replace(b"delta", b"message"), "\ufffd\ufffd\ufffd(")


def _raw_tokens(*tokens: bytes, text: str) -> tuple[Mode, Mode]:
    """Return modes whose tokens are given as JSON strings without quotes, in forms that no encoder would write."""

    def script(request: ChaosRequest) -> Iterator[bytes]:
        yield frame(request.reply.role())
        for token in tokens:
            yield frame(request.reply.chunk({"content": msgspec.Raw(b'"' + token + b'"')}))
        yield from map(frame, list(documents(request, ()))[1:])

    def plain_script(request: ChaosRequest) -> list[Step]:
        content = msgspec.Raw(b'"' + b"".join(tokens) + b'"')
        return [whole_json(request.reply.completion({"content": content}, usage=counted((7, 3))))]

    return streamed(script, Expect(text=text)), Mode(plain_script, Expect(text=text))


@family("escapes", "quotes, backslashes, slashes, control characters and \\u escapes in the text")
def escapes() -> tuple[Mode, Mode]:
    return _raw_tokens(
        rb"say \"hi\"",
        rb" C:\\dir\/x",
        rb"\n\t\u0001",
        rb"\u00fc\u4e2d",
        rb"\\",
        rb"\"",
        text='say "hi" C:\\dir/x\n\t\x01ü中\\"',
    )


@family("surrogates", "an emoji as an escaped surrogate pair within a token")
def surrogates() -> tuple[Mode, Mode]:
    return _raw_tokens(b"smile ", rb"\ud83d\ude00", b" end", text="smile 😀 end")


@family("split-surrogates", "the two halves of an escaped surrogate pair in two tokens")
def split_surrogates() -> tuple[Mode, Mode]:
    return _raw_tokens(b"smile ", rb"\ud83d", rb"\ude00", b" end", text="smile 😀 end")


@family("lone-surrogate", "an escaped half of a surrogate pair without the other; one U+FFFD takes its place")
def lone_surrogate() -> tuple[Mode, Mode]:
    return _raw_tokens(b"smile ", rb"\ud83d", b" end", text="smile � end")
