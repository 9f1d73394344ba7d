"""Models about bytes and connections: how frames are cut, how lines end, how connections fail.

Their documents are good. Listed by cases.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gateway.chaos.case import (
    GAP,
    LAST_CHUNK,
    SSE_HEAD,
    TOKENS,
    Act,
    ChaosRequest,
    Expect,
    Mode,
    Step,
    begun,
    body,
    chunked,
    cut_body,
    documents,
    failed,
    family,
    head,
    plain,
    sse,
    streamed,
    whole,
    whole_json,
)  # fmt: skip
from gateway.providers.demo import frame, lorem

BEFORE = failed()
TIMEOUT = failed(504, outcome="timeout")


def _ends_with(*steps: Step) -> Mode:
    return Mode(lambda request: steps, TIMEOUT if Act.STALL in steps else BEFORE)


def _ends_after(count: int, act: Act) -> tuple[Mode, Mode]:
    """Return a stream that ends after `count` tokens (0: before the head), and a plain reply that ends half-way."""
    tokens = list(lorem(count))

    def script(request: ChaosRequest) -> Iterator[Step]:
        yield from sse(begun(request, tokens), last=False)
        yield act

    expect = failed(200, "".join(tokens), "timeout" if act is Act.STALL else "upstream_error")
    if not count:
        return _ends_with(act), _ends_with(act)
    return Mode(script, expect), cut_body(act, TIMEOUT if act is Act.STALL else BEFORE)


@family("refuse", "reads the request and closes without a word")
def refuse() -> tuple[Mode, Mode]:
    return _ends_with(Act.CLOSE), _ends_with(Act.CLOSE)


@family("reset-after-N", "RST after N tokens; 0: before the head", "reset-after-0", "reset-after-3")
def reset_after(n: int) -> tuple[Mode, Mode]:
    return _ends_after(n, Act.RESET)


@family("close-after-N", "FIN after N tokens, without the last chunk", "close-after-3")
def close_after(n: int) -> tuple[Mode, Mode]:
    return _ends_after(n, Act.CLOSE)


@family("half-close-after-N", "FIN after N tokens, but goes on reading until the client leaves", "half-close-after-3")
def half_close_after(n: int) -> tuple[Mode, Mode]:
    return _ends_after(n, Act.HALF_CLOSE)


@family("stall-head", "takes the request and never answers")
def stall_head() -> tuple[Mode, Mode]:
    return _ends_with(Act.STALL), _ends_with(Act.STALL)


@family("stall-before", "a 200, and nothing more")
def stall_before() -> tuple[Mode, Mode]:
    return _ends_with(SSE_HEAD, Act.STALL), _ends_with(head(200, "application/json", length=99), Act.STALL)


@family("stall-after-N", "nothing more after N tokens", "stall-after-3")
def stall_after(n: int) -> tuple[Mode, Mode]:
    return _ends_after(n, Act.STALL)


@family("slow-head-Dms", "the head a byte at a time, D milliseconds apart", "slow-head-1ms")
def slow_head(d: int) -> tuple[Mode, Mode]:
    def slowly(steps: Iterable[Step]) -> Iterator[Step]:
        first, *rest = steps
        assert isinstance(first, bytes)  # noqa: S101 - for the type checker
        top, _, bottom = first.partition(b"\r\n\r\n")
        for byte in top + b"\r\n\r\n":
            yield bytes([byte])
            yield d / 1000
        yield bottom
        yield from rest

    return (
        Mode(lambda request: slowly(sse(map(frame, documents(request)))), Expect()),
        Mode(lambda request: slowly([whole_json(body(request))]), Expect()),
    )


def _pieces(request: ChaosRequest, cut: Callable[[bytes], list[int]]) -> Iterator[Step]:
    """Yield the good stream. Each frame is cut at the places that `cut` returns, and each piece is a write."""
    yield SSE_HEAD
    for data in map(frame, documents(request)):
        start = 0
        for place in [*cut(data), len(data)]:
            yield chunked(data[start:place])
            yield GAP
            start = place
    yield LAST_CHUNK


def _characters(data: bytes) -> list[int]:
    return [i for i, byte in enumerate(data) if byte & 0xC0 == 0x80]


@family("split-utf8", "every character of several bytes is cut at each of its bytes, a write each")
def split_utf8() -> tuple[Mode, Mode]:
    def plain_script(request: ChaosRequest) -> Iterator[Step]:
        data, start = whole_json(body(request)), 0
        for place in [*_characters(data), len(data)]:
            yield data[start:place]
            yield GAP
            start = place

    return Mode(lambda request: _pieces(request, _characters), Expect()), Mode(plain_script, Expect())


@family("split-frame", "every frame comes in two writes, cut in its middle, and the blank line in two more")
def split_frame() -> tuple[Mode, Mode]:
    return Mode(lambda request: _pieces(request, lambda data: [len(data) // 2, len(data) - 1]), Expect()), plain()


def _dies_at(mark: bytes, text: str) -> tuple[Mode, Mode]:
    """Return modes that end with FIN right after the first `mark`."""

    def cut(data: bytes) -> bytes:
        return data[: data.index(mark) + len(mark)]

    return (
        Mode(lambda request: [SSE_HEAD + chunked(cut(whole(request))), Act.CLOSE], failed(200, text)),
        Mode(lambda request: [cut(whole_json(body(request))), Act.CLOSE], BEFORE),
    )


@family("die-in-utf8", "FIN inside an emoji")
def die_in_utf8() -> tuple[Mode, Mode]:
    return _dies_at("🌍".encode()[:2], "".join(TOKENS[:3]))


@family("die-in-frame", "FIN inside a frame")
def die_in_frame() -> tuple[Mode, Mode]:
    return _dies_at(b"Welt", "".join(TOKENS[:2]))


@family("byte-by-byte", "one byte a write, of the head as well")
def byte_by_byte() -> tuple[Mode, Mode]:
    def singly(steps: Iterable[Step]) -> Iterator[Step]:
        for step in steps:
            yield from (bytes([byte]) for byte in step) if isinstance(step, bytes) else [step]

    return (
        Mode(lambda request: singly(sse(map(frame, documents(request)))), Expect()),
        Mode(lambda request: singly([whole_json(body(request))]), Expect()),
    )


@family("chunk-by-byte", "one byte a chunk")
def chunk_by_byte() -> tuple[Mode, Mode]:
    def chunks(opening: bytes, data: bytes) -> list[Step]:
        return [opening + b"".join(chunked(bytes([byte])) for byte in data) + LAST_CHUNK]

    return (
        Mode(lambda request: chunks(SSE_HEAD, whole(request)), Expect()),
        Mode(lambda request: chunks(head(200, "application/json"), body(request)), Expect()),
    )


@family("one-write", "head and body in a single write and a single chunk")
def one_write() -> tuple[Mode, Mode]:
    return Mode(lambda request: [SSE_HEAD + chunked(whole(request)) + LAST_CHUNK], Expect()), plain()


def _rewritten(change: Callable[[bytes], bytes]) -> tuple[Mode, Mode]:
    return streamed(lambda request: map(change, map(frame, documents(request)))), plain()


@family("crlf", "lines end in CRLF")
def crlf() -> tuple[Mode, Mode]:
    return _rewritten(lambda data: data.replace(b"\n", b"\r\n"))


@family("cr", "lines end in CR")
def cr() -> tuple[Mode, Mode]:
    return _rewritten(lambda data: data.replace(b"\n", b"\r"))


@family("split-crlf", "lines end in CRLF, and every CR and LF come in two writes")
def split_crlf() -> tuple[Mode, Mode]:
    def script(request: ChaosRequest) -> Iterator[Step]:
        yield SSE_HEAD
        for line in whole(request).split(b"\n")[:-1]:
            yield chunked(line + b"\r")
            yield GAP
            yield chunked(b"\n")
        yield LAST_CHUNK

    return Mode(script, Expect()), plain()


@family("no-space", "`data:` without a blank after it")
def no_space() -> tuple[Mode, Mode]:
    return _rewritten(lambda data: data.replace(b"data: ", b"data:"))


@family("multi-line", "each document in several `data:` lines")
def multi_line() -> tuple[Mode, Mode]:
    return _rewritten(lambda data: data.replace(b',"', b'\ndata: ,\ndata: "'))


@family("comments", "comments, `id:`, `event:`, `retry:`, unknown fields and blank lines between the frames")
def comments() -> tuple[Mode, Mode]:
    return _rewritten(lambda data: b": hi\n\n:\nid: 7\nevent: message\nretry: 10\nfoo: bar\nbaz\n" + data + b"\n\n")


@family("bom", "a byte order mark before the first line")
def bom() -> tuple[Mode, Mode]:
    return streamed(lambda request: [b"\xef\xbb\xbf" + whole(request)]), plain()


@family("no-last-blank", "the blank line after the last frame is missing")
def no_last_blank() -> tuple[Mode, Mode]:
    return streamed(lambda request: [whole(request).removesuffix(b"\n\n")]), plain()


@family("stale", "a good answer; the connection is closed as soon as the next request arrives on it")
def stale() -> tuple[Mode, Mode]:
    return (
        Mode(lambda request: [*sse(map(frame, documents(request))), Act.CLOSE_NEXT], Expect()),
        Mode(lambda request: [whole_json(body(request)), Act.CLOSE_NEXT], Expect()),
    )


@family("close-idle", "a good answer that promises keep-alive; the connection is closed right after it")
def close_idle() -> tuple[Mode, Mode]:
    return (
        Mode(lambda request: [*sse(map(frame, documents(request))), Act.CLOSE], Expect()),
        Mode(lambda request: [whole_json(body(request)), Act.CLOSE], Expect()),
    )
