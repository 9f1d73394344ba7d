"""What must hold for any bytes at all, from a provider or on a WebSocket. Each check raises AssertionError, or nothing.

The fuzzer calls them with what it makes up, the tests with what it once found. The expected text comes from a second
reader that shares no code with the first: the event stream's rules line by line, and the standard JSON decoder.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Sequence
from typing import Any

from gateway.domain.events import Delta, Finished
from gateway.errors import GatewayError, ProviderError
from gateway.web.chat import trace_id_of
from gateway.wire import native
from gateway.wire.chat_body import Id, convert, decode_fields
from gateway.wire.completion import CompletionDecoder, FoldingDecoder
from gateway.wire.feedback import decode_frame
from gateway.wire.upstream import StreamDecoder
from tests.support.provider_streams import TRACE, merged, text_of

SMALL = 256  # a bound on frames that fuzzed input can pass
STANDS_IN = re.compile("[\U0010f800-\U0010ffff]")  # the decoder's own use of these is documented in wire/repair.py
Decoder = StreamDecoder | CompletionDecoder


def upstream(data: bytes) -> None:
    """The first byte chooses the reader and the cuts, the rest is what a provider sends."""
    seed, body = (data[0], data[1:]) if data else (0, b"")
    match seed % 8:
        case 0 | 1 | 2 | 3:
            _stream(body, seed >> 3)
        case 4:
            _folded(body, seed)
        case 5 | 6:
            _completion(body, seed, as_stream=seed % 8 == 5)
        case _:
            _bounded(body, seed)


def _cuts(body: bytes, seed: int) -> list[bytes]:
    chosen, out, at = random.Random(seed), [], 0
    while at < len(body):
        size = chosen.choice((1, 2, 3, 7, 40, 300))
        out.append(body[at : at + size])
        at += size
    return out


def _read(decoder: Decoder, pieces: Iterable[bytes]) -> tuple[list[Delta], dict[str, Any]]:
    events: list[Delta] = []
    for piece in pieces:
        events += decoder.feed(piece)
    events += decoder.close()
    state = {"done": decoder.done, "finished": decoder.finished, "failure": str(decoder.failure)}
    assert decoder.failure is None or isinstance(decoder.failure, ProviderError)
    return events, state | {"model": decoder.model, "raw": b"".join(decoder.raw)}


def _same(make: Any, body: bytes, seed: int) -> tuple[list[Any], dict[str, Any]]:
    """However the bytes are cut, and with the template or without it, the same comes out."""
    events, state = _read(make(), [body])
    whole = merged(events)
    if isinstance(untaught := make(), StreamDecoder):
        untaught._misses = 1_000_000  # it seeks no template any more
        slow, slow_state = _read(untaught, [body])
        assert merged(slow) == whole
        assert slow_state == state
    for pieces in ([bytes([byte]) for byte in body], _cuts(body, seed)):
        cut, cut_state = _read(make(), pieces)
        assert merged(cut) == whole
        assert cut_state == state
    return whole, state


def _stream(body: bytes, seed: int) -> None:
    keep_usage = bool(seed & 1)
    events, state = _same(lambda: StreamDecoder(TRACE, keep_raw=True, keep_usage=keep_usage), body, seed)
    said = text_of(events)
    _said_is_meant(said, documents(body), whole=state["failure"] == "None")
    said_raw = _text_of_chunks(documents(state["raw"]))
    if said_raw is not None and state["failure"] == "None" and not STANDS_IN.search(said + said_raw):
        assert said_raw == said, f"passed on {said_raw!r}, read {said!r}"
    state["raw"].decode()  # what goes on to clients is text


def _folded(body: bytes, seed: int) -> None:
    events, state = _same(lambda: FoldingDecoder(TRACE, max_frame_bytes=1 << 24), body, seed)
    if state["raw"] and state["failure"] == "None":
        document = json.loads(state["raw"])
        assert document["trace_id"] == TRACE
        message = document["choices"][0]["message"]
        if not isinstance(message["content"], list):
            texts = ((message.get(name) or "") for name in ("content", "refusal"))
            assert sorted("".join(texts)) == sorted(text_of(events))


def _completion(body: bytes, seed: int, *, as_stream: bool) -> None:
    events, state = _same(
        lambda: CompletionDecoder(TRACE, as_stream=as_stream, keep_usage=True, max_bytes=1 << 24), body, seed
    )
    if state["failure"] != "None":
        return
    state["raw"].decode()
    said = text_of(events)
    if not as_stream:
        try:
            parsed = json.loads(state["raw"])
        except (ValueError, RecursionError):
            return  # a bare line end within a string counts as a blank
        assert parsed["trace_id"] == TRACE
        meant = _text_of_chunks([parsed])
        assert meant is None or STANDS_IN.search(meant + said) or meant == said, f"{said!r}, not {meant!r}"
    elif (meant := _text_of_chunks(documents(state["raw"]))) is not None and not STANDS_IN.search(meant + said):
        assert meant == said, f"as a stream {meant!r}, read {said!r}"
        assert any(isinstance(event, Finished) for event in events) or not state["finished"]


def _bounded(body: bytes, seed: int) -> None:
    """What is held of a frame that doesn't end is within the bound, and a failure ends the reading."""
    decoder = StreamDecoder(TRACE, max_frame_bytes=SMALL)
    for piece in _cuts(body, seed):
        decoder.feed(piece)
        splitter: Any = decoder._splitter
        assert sum(map(len, splitter.tail)) <= SMALL
        assert not decoder.raw
        assert not (decoder.failure and decoder.feed(b"data: {}\n\n"))
    decoder.close()


# --- the second reader -----------------------------------------------------------------------------------------------


def documents(body: bytes) -> list[Any]:
    """The JSON of every event up to [DONE], an exception in place of what is none."""
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    found: list[Any] = []
    data: list[str] = []
    for line in [*re.split("\r\n|\n|\r", text), ""]:
        name, _, value = line.partition(":")
        if name == "data" and line:
            data.append(value.removeprefix(" "))
        if line or not data:
            continue
        payload, data = "\n".join(data), []
        said = payload.strip(" \t\n\r\x0b\x0c")
        if said == "[DONE]":
            break
        if said:
            try:
                found.append(json.loads(payload, strict=False))
            except (ValueError, RecursionError) as error:
                found.append(error)
    return found


def _text_of_chunks(chunks: Sequence[Any]) -> str | None:
    """What choice 0 says in documents of the common form; None where one is of another form."""
    said = []
    for chunk in chunks:
        if not isinstance(chunk, dict) or chunk.get("error") is not None:
            return None
        choices = chunk.get("choices") or []
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            return None
        for choice in choices:
            message = choice.get("delta")
            message = choice.get("message") if message is None else message
            if message is None or choice.get("index"):
                continue
            if not isinstance(message, dict):
                return None
            if message.get("extra_content"):
                return None  # it may say that the content is a thought
            texts = [value for name, value in message.items() if name in ("content", "refusal") and value]
            if not all(isinstance(text, str) for text in texts):
                return None
            said += texts
    return "".join(said).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _said_is_meant(said: str, chunks: Sequence[Any], *, whole: bool) -> None:
    # None, and no comparison, where a frame is no JSON: the decoder takes some of those leniently.
    meant = _text_of_chunks(chunks)
    if whole and meant is not None and not STANDS_IN.search(meant + said):
        assert said == meant, f"read {said!r}, meant {meant!r}"


# --- WebSocket frames ------------------------------------------------------------------------------------------------


def socket_frame(data: bytes) -> None:
    """What web/socket.py does with a frame before a service is called: it is taken, or refused by an error of ours."""
    answers: dict[str, Any] = {}
    refused: GatewayError | None = None
    try:
        _frame(data, answers)
    except GatewayError as error:
        refused = error
    if refused is not None:
        text = native.error_frame(refused, answers)
        frame = json.loads(text)
        assert (frame["type"], frame.get("id")) == ("error", answers.get("id"))
        assert 400 <= refused.status < 500
        assert "\n" not in text


def _frame(raw: bytes, answers: dict[str, Any]) -> None:
    fields = decode_fields(raw)
    meant = json.loads(raw)
    assert set(fields) == set(meant)
    if "id" in fields:
        answers["id"] = convert(bytes(fields["id"]), Id, "id")
        assert answers["id"] == meant["id"]
    kind = convert(bytes(fields.pop("type", b"null")), str | None, "type")
    if kind == "feedback":
        subject, ratings = decode_frame(raw)
        assert (subject.trace_id is None) != (subject.client_request_id is None)
        assert ratings.given[0].value == (meant["is_correct"] if "is_correct" in meant else meant["value"])
    elif kind == "chat":
        fields.pop("id", None)
        request = native.chat_request(fields, "/chat/ws")
        for name in ("session_id", "user_id", "client_request_id", "model"):
            assert getattr(request, name) == meant.get(name)
            assert 1 <= len(meant.get(name) or "-") <= 250
        assert all(json.loads(bytes(value)) == meant[name] for name, value in request.fields.items() if name in meant)
    else:
        trace_id_of(convert(bytes(fields.get("trace_id", b'""')), str, "trace_id"))
        assert convert(bytes(fields.get("after", b"0")), int, "after") == meant.get("after", 0)
