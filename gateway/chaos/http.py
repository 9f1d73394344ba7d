"""Models whose HTTP is wrong or unusual: statuses, heads, lengths, encodings. Listed by cases.py."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator

import msgspec

from gateway.chaos.case import (
    EVERYTHING_DONE,
    GAP,
    LAST_CHUNK,
    SSE_HEAD,
    TEXT,
    Act,
    ChaosRequest,
    Expect,
    Mode,
    Step,
    body,
    chunked,
    documents,
    failed,
    family,
    head,
    plain,
    sse,
    whole,
    whole_json,
)  # fmt: skip
from gateway.providers.demo import frame

PASSED_ON = {400, 402, 404, 413, 422, 429}
BAD = failed()


def _both(script: Callable[[ChaosRequest], Iterable[Step]], expect: Expect) -> tuple[Mode, Mode]:
    return Mode(script, expect), Mode(script, expect)


def error(status: int, message: str, kind: str = "chaos_error", **headers: str) -> bytes:
    """Return a response with an error in OpenAI's form."""
    document = {"error": {"message": message, "type": kind, "param": None, "code": kind}}
    return whole_json(msgspec.json.encode(document), status, **headers)


@family("status-CODE", "that status, with an error in OpenAI's form that quotes a key", *(
    f"status-{code}" for code in (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504)
))  # fmt: skip
def status(code: int) -> tuple[Mode, Mode]:
    # A gateway must not show the key to its callers.
    reply = error(code, f"chaos says {code}; Incorrect API key provided: sk-chaos-0123456789abcdefSECRET")
    return _both(lambda request: [reply], failed(code if code in PASSED_ON else 502))


@family("status-html-CODE", "that status with a page of HTML", "status-html-503")
def status_html(code: int) -> tuple[Mode, Mode]:
    page = b"<html><body><h1>Chaos</h1></body></html>"
    reply = head(code, "text/html", length=len(page)) + page
    return _both(lambda request: [reply], failed(code if code in PASSED_ON else 502))


@family("retry-after-N", "429 with Retry-After: N", "retry-after-1", "retry-after-30")
def retry_after(n: int) -> tuple[Mode, Mode]:
    reply = error(429, "Rate limit reached", "rate_limit_exceeded", Retry_After=str(n))
    return _both(lambda request: [reply], failed(429, retry_after=n))


@family("retry-after-date", "429 with a Retry-After that is a date in the past")
def retry_after_date() -> tuple[Mode, Mode]:
    reply = error(429, "Rate limit reached", "rate_limit_exceeded", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")
    return _both(lambda request: [reply], failed(429))


@family("flaky-N", "500 for N requests, a good answer to the next, and so on", "flaky-1")
def flaky(n: int) -> tuple[Mode, Mode]:
    def odd(request: ChaosRequest) -> bool:
        return request.attempt % (n + 1) != 0

    expect = Expect() if n == 1 else failed()  # one retry is the default
    down = error(500, "try again")
    return (
        Mode(lambda request: [down] if odd(request) else sse(map(frame, documents(request))), expect),
        Mode(lambda request: [down] if odd(request) else [whole_json(body(request))], expect),
    )


@family("redirect", "302 to another path")
def redirect() -> tuple[Mode, Mode]:
    reply = head(302, "text/plain", length=0, reason="Found", Location="/v1/elsewhere")
    return _both(lambda request: [reply], BAD)


@family("html", "200 and a page of HTML")
def html() -> tuple[Mode, Mode]:
    page = b"<!doctype html><title>Sign in</title>"
    return _both(lambda request: [head(200, "text/html", length=len(page)) + page], BAD)


@family("empty", "200 and an empty body")
def empty() -> tuple[Mode, Mode]:
    return (
        Mode(lambda request: [SSE_HEAD + LAST_CHUNK], BAD),
        Mode(lambda request: [whole_json(b"")], BAD),
    )


@family("no-content", "204")
def no_content() -> tuple[Mode, Mode]:
    return _both(lambda request: [b"HTTP/1.1 204 No Content\r\n\r\n"], BAD)


@family("bad-head", "bytes that are no HTTP")
def bad_head() -> tuple[Mode, Mode]:
    return _both(lambda request: [b"\x16\x03\x01 SSH-2.0-chaos\r\n\r\n", Act.CLOSE], BAD)


@family("plain-to-stream", "plain JSON where a stream was asked for")
def plain_to_stream() -> tuple[Mode, Mode]:
    return Mode(lambda request: [whole_json(body(request))], Expect()), plain()


@family("stream-to-plain", "a stream, whatever was asked for")
def stream_to_plain() -> tuple[Mode, Mode]:
    return (
        Mode(lambda request: sse(map(frame, documents(request))), Expect()),
        Mode(lambda request: sse(map(frame, documents(request))), Expect(usage=False)),
    )


def _typed(kind: str) -> tuple[Mode, Mode]:
    """Return a good reply with that Content-Type."""
    return (
        Mode(lambda request: [head(200, kind) + chunked(whole(request)) + LAST_CHUNK], Expect(alt=BAD)),
        Mode(lambda request: [head(200, kind, length=len(body(request))) + body(request)], Expect(alt=BAD)),
    )


@family("no-type", "a good reply without a Content-Type")
def no_type() -> tuple[Mode, Mode]:
    return _typed("")


@family("wrong-type", "a good reply as text/plain")
def wrong_type() -> tuple[Mode, Mode]:
    return _typed("text/plain")


@family("length-long", "Content-Length is 100 more than what comes before FIN")
def length_long() -> tuple[Mode, Mode]:
    def stream(request: ChaosRequest) -> Iterator[Step]:
        yield head(200, "text/event-stream", length=len(whole(request)) + 100) + whole(request)
        yield Act.CLOSE

    return (
        Mode(stream, Expect()),
        Mode(
            lambda request: [head(200, "application/json", length=len(body(request)) + 100) + body(request), Act.CLOSE],
            BAD,
        ),
    )


@family("length-short", "Content-Length ends in the middle of the body, the rest follows it all the same")
def length_short() -> tuple[Mode, Mode]:
    def stream(request: ChaosRequest) -> Iterator[Step]:
        data = whole(request)
        yield head(200, "text/event-stream", length=data.index(b"Welt")) + data
        yield Act.CLOSE

    return (
        Mode(stream, failed(200, TEXT[: TEXT.index("Welt")], alt=BAD)),
        Mode(
            lambda request: [head(200, "application/json", length=len(body(request)) - 20) + body(request), Act.CLOSE],
            BAD,
        ),
    )


@family("no-length", "neither a length nor chunks: FIN ends the body")
def no_length() -> tuple[Mode, Mode]:
    def opening(kind: str) -> bytes:
        return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n".encode()

    return (
        Mode(lambda request: [opening("text/event-stream"), *map(frame, documents(request)), Act.CLOSE], Expect()),
        Mode(lambda request: [opening("application/json") + body(request), Act.CLOSE], Expect()),
    )


@family("gzip", "Content-Encoding: gzip, asked for or not")
def gzipped() -> tuple[Mode, Mode]:
    def packed(kind: str, data: bytes) -> list[Step]:
        small = gzip.compress(data, mtime=0)
        return [head(200, kind, length=len(small), Content_Encoding="gzip") + small]

    return (
        Mode(lambda request: packed("text/event-stream", whole(request)), Expect(alt=BAD)),
        Mode(lambda request: packed("application/json", body(request)), Expect(alt=BAD)),
    )


@family("continue", "100 Continue and 103 Early Hints before the good reply")
def early() -> tuple[Mode, Mode]:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
    return (
        Mode(lambda request: [hints, *sse(map(frame, documents(request)))], Expect()),
        Mode(lambda request: [hints, whole_json(body(request))], Expect()),
    )


@family("chunk-extras", "chunk extensions and a trailer after the last chunk")
def chunk_extras() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[Step]:
        yield SSE_HEAD
        for data in map(frame, documents(request)):
            yield b"%x;chaos=1\r\n%b\r\n" % (len(data), data)
        yield b"0\r\nX-Chaos: trailer\r\n\r\n"

    return Mode(script, Expect()), plain()


@family("bad-chunk", "a chunk size that is no number, in the middle of the text")
def bad_chunk() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[Step]:
        frames = [chunked(frame(doc)) for doc in documents(request) if doc != EVERYTHING_DONE]
        yield SSE_HEAD + b"".join(frames[:3])
        yield GAP * 4
        yield b"zz\r\nchaos\r\n"
        yield Act.CLOSE

    return (
        Mode(script, failed(200, TEXT[: TEXT.index("Welt")])),
        Mode(lambda request: [head(200, "application/json") + b"zz\r\nchaos\r\n", Act.CLOSE], BAD),
    )
