"""Decodes what a provider sends: OpenAI's chat completion chunks, or a whole completion, cut anywhere.

Format: OpenAI API reference, "Chat completion chunk object" and "Chat completion object", with the liberties that
other servers take. Called by providers/router.py, once a read. Most frames of an answer differ from the one before in
nothing but their text, so the bytes around the text are learned and compared; every other frame is decoded whole.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.domain.events import Delta, Finished, TextDelta, UsageReported
from gateway.errors import AnswerTooLong, ProviderError
from gateway.wire.chunk import SOURCES, Choice, Chunk, decode_chunk, decode_leniently, has_content, said_by, usage_of
from gateway.wire.deltas import event_of, parts_of
from gateway.wire.json_safety import json_problem
from gateway.wire.provider_error import error_in_stream, error_of_chunk, error_of_frame, says_something, without_errors
from gateway.wire.repair import finite, is_first_surrogate, join_surrogates, repair
from gateway.wire.sse import FrameSplitter, FrameTooLong, frame_data
from gateway.wire.tool_calls import ToolCalls

_encode = msgspec.json.encode
_NOT_PLAIN = bytes(range(32)) + b'"\\'  # what can't stand unescaped in a JSON string
_CONTENT = re.compile(rb'"content"\s*:\s*"')
_MAX_LEARN = 8  # frames in a row that fit no template, after which none is sought any more


class StreamDecoder:
    """Decodes one event stream, without I/O.

    `raw` holds the frames to pass on as they came: with the trace ID on each that carries a finish reason, without
    the usage chunk nobody asked for, without `[DONE]` and comments. It is kept only where `keep_raw` says so.
    """

    def __init__(
        self, trace_id: str, *, keep_raw: bool = False, keep_usage: bool = True, max_frame_bytes: int = 16_777_216
    ) -> None:
        self.done = False  # [DONE] came
        self.finished = False  # a finish reason came for every choice that was seen, and no content after it
        self.lingers = False  # the last of them came alone, so that the end is near: early ones come with content
        self.failure: ProviderError | None = None  # what came can't be read on, or is the provider's own error
        self.model: str | None = None
        self.raw: list[bytes] = []
        self.first: bytes = b""  # the first chunk, for its id and created
        self._stamp = b',"trace_id":"' + trace_id.encode() + b'"}'
        self._keep_raw, self._keep_usage = keep_raw, keep_usage
        self._splitter = FrameSplitter(max_frame_bytes)
        self._prefix: bytes | tuple[()] = ()  # nothing begins so
        self._suffix = b""
        self._end = b""  # the suffix with the blank line after it
        self._seam = b""  # between the texts of two frames
        self._misses = 0
        self._open: dict[int, bool] = {}  # whether each choice that was seen still lacks its finish reason
        self._held: dict[str, str] = {}  # first halves of surrogate pairs, by where their text goes
        self._seed = trace_id[-16:]  # of the IDs of tool calls that have none
        self._calls: dict[int, ToolCalls] = {}  # by choice
        self._sources: dict[str, Any] = {}  # what the fields SOURCES held last

    def feed(self, data: bytes) -> list[Delta]:
        """Return the events in these bytes, adjacent text merged. After `done` or `failure` nothing more is read."""
        splitter = self._splitter
        # Most reads are whole frames that fit the template, and need not be cut. (Once nothing is read, none fits.)
        if not splitter.tail and (text := self._match(data)) is not None:
            if self._keep_raw:
                self.raw.append(data)
            return [text]
        if self.done or self.failure:
            return []
        try:
            frames = splitter.feed(data)
        except FrameTooLong:
            self._fail(AnswerTooLong("The answer is longer than this server allows."))
            return []
        return self._frames(frames) if frames else []

    def document(self, body: bytes) -> list[Delta]:
        """Return the events of a whole completion, which reads like one chunk whose `message` is its delta."""
        events: list[Delta] = []
        self._whole(b"data: " + body.replace(b"\r", b" ").replace(b"\n", b" "), events, [], last=False)
        return events + self.close()

    def close(self) -> list[Delta]:
        """Return what an unfinished last frame and a held half of a character still give, since the stream ended."""
        events = [] if self.done or self.failure else self._frames(self._splitter.close(), last=True)
        if self._held.pop("text", None):
            events.append(TextDelta("\ufffd".encode(), 1))
        return events

    def _match(self, data: bytes) -> TextDelta | None:
        """Return the text of whole frames that fit the template but for their text; None where one of them does not."""
        if not (data.startswith(self._prefix) and data.endswith(self._end)):
            return None
        text = data[len(self._prefix) : len(data) - len(self._end)]
        if len(text) < len(self._seam):  # then it is one frame's, and needs no search
            chars = _plain_chars(text)
            return TextDelta(text, chars) if chars else None
        texts = text.split(self._seam)
        text = b"".join(texts)
        if text.isascii():
            return TextDelta(text, len(text), len(texts)) if _plain_chars(text) else None
        counts = list(map(_plain_chars, texts))  # a character may not go on in the next frame
        return TextDelta(text, sum(counts), len(texts)) if all(counts) else None

    def _frames(self, frames: list[bytes], *, last: bool = False) -> list[Delta]:
        events: list[Delta] = []
        kept: list[bytes] = []
        texts: list[bytes] = []
        chars = 0
        start, end = self._prefix, self._suffix
        for frame in frames:
            if frame.startswith(start) and frame.endswith(end):
                text = frame[len(start) : len(frame) - len(end)]
                if count := _plain_chars(text):
                    chars += count
                    texts.append(text)
                    kept.append(frame)
                    continue
            if texts:
                events.append(TextDelta(b"".join(texts), chars, len(texts)))
                texts, chars = [], 0
            self._whole(frame, events, kept, last=last)
            if self.done or self.failure:
                break
            start, end = self._prefix, self._suffix
        if texts:
            self._misses = 0
            events.append(TextDelta(b"".join(texts), chars, len(texts)))
        if self._keep_raw and kept:
            kept.append(b"")
            self.raw.append(b"\n\n".join(kept))
        return events

    def _fail(self, failure: ProviderError) -> None:
        self.failure = failure
        self._prefix = ()  # no more frames fit

    def _whole(self, frame: bytes, events: list[Delta], kept: list[bytes], *, last: bool) -> None:
        """Decode one frame whole."""
        payload = frame_data(frame)
        if (payload is None or b"\n" in frame) and (failure := error_of_frame(frame, payload)):
            self._fail(failure)
            return
        if payload is None or not payload.strip():
            return
        if payload.strip() == b"[DONE]":
            self.done = True
            self._prefix = ()  # no more frames fit
            if all(self._open.values()):  # the trace ID rides on a finish chunk, so there has to be one
                kept.append(
                    b'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]'
                    + self._stamp
                )
            return
        repaired = False
        try:
            try:
                frame.decode()  # msgspec doesn't look into what stays raw, nor anybody into the other lines
                chunk, readable = decode_chunk(payload), payload
            except (UnicodeDecodeError, msgspec.DecodeError):
                repaired = True
                # What goes on as it came must at least be text to those who read it.
                payload, frame = (part.decode("utf-8", "replace").encode() for part in (payload, frame))
                if (numbers := finite(payload)) != payload:
                    payload, frame = numbers, b"data: " + numbers.replace(b"\n", b" ")
                readable = repair(payload)
                chunk = decode_leniently(readable)
        except (msgspec.DecodeError, RecursionError):
            if not last:  # a last frame that was cut off says nothing
                self._fail(ProviderError("The provider sent something that can't be read."))
            return
        if json_problem(readable):  # tool calls are stored, and the first chunk's fields passed on
            self._fail(ProviderError("The provider sent something that can't be read."))
            return
        odd = chunk.error is not None or chunk.choices is None
        if odd and (failure := error_of_chunk(chunk.error, readable)):
            self._fail(failure)
            return
        self.first = self.first or payload
        self.model = self.model or chunk.model  # the first: frames that fit the template are not asked
        before = len(events)
        finishes = self._events(chunk, events, repaired=repaired)
        if self.failure:
            if len(events) > before:  # what it said before it failed
                kept.append(without_errors(readable))
            return
        if chunk.usage is not None:
            events.append(UsageReported(usage_of(chunk.usage)))
            ended = False in self._open.values()  # some servers end only the first of several choices
            extra = not chunk.choices or (ended and not any(map(has_content, chunk.choices)))
            if extra and not self._keep_usage:
                return
        if finishes:
            frame = b"data: " + payload.replace(b"\n", b" ").rstrip()[:-1] + self._stamp
        kept.append(frame)
        if not finishes and not repaired and not self._held and self._misses < _MAX_LEARN:
            self._learn(frame, chunk)

    def _events(self, chunk: Chunk, events: list[Delta], *, repaired: bool) -> bool:
        """Append a chunk's events. Return True when it ends a choice."""
        finishes = speaks = False
        repaired = repaired or bool(self._held)
        if chunk.citations or chunk.search_results or chunk.related_questions:
            self._note_sources(chunk, events, repaired=repaired)
        for choice in chunk.choices or ():
            index, before = choice.index or 0, len(events)
            for kind, value in parts_of(said_by(choice)):
                for part in self._calls_of(choice, index, value) if kind == "tool_call" else (value,):
                    if repaired and not (part := self._mended(index, kind, part)):
                        continue
                    events.append(event_of(index, kind, part, repaired=repaired))
            content = len(events) > before
            speaks = speaks or content
            if choice.finish_reason == "error" or (choice.error is not None and says_something(choice.error)):
                self._fail(error_in_stream(choice.error))
                return False
            if choice.finish_reason:
                finishes = True
                self._open[index] = False
                self._prefix = ()  # text after it must come here: then it was no end
                events.append(Finished(index, choice.finish_reason))
            elif content:
                self._open[index] = True
            self.finished = bool(self._open) and not any(self._open.values())
        if speaks or finishes:
            self.lingers = self.finished and not speaks
        return finishes

    def _note_sources(self, chunk: Chunk, events: list[Delta], *, repaired: bool) -> None:
        """Append what a chunk names as sources, where it isn't what the one before named."""
        for name in SOURCES:
            if (value := getattr(chunk, name)) and value != self._sources.get(name):
                self._sources[name] = value
                events.append(event_of(0, "other", {name: value}, repaired=repaired))

    def _calls_of(self, choice: Choice, index: int, pieces: Any) -> list[dict[str, Any]]:
        """Return the tool calls' pieces that a choice has, made right."""
        if index not in self._calls:
            self._calls[index] = ToolCalls(self._seed)
        return self._calls[index].pieces(pieces, whole=choice.delta is None)

    def _mended(self, index: int, kind: str, value: Any) -> Any:
        """Return a part with its surrogates joined, also with those of the frames before."""
        where = f"{kind} {index}" if index else kind
        if isinstance(value, str):
            return self._joined(where, value)
        if kind == "tool_call":
            body = value.get("custom") or value["function"]
            for name in ("arguments", "input"):
                if isinstance(body.get(name), str):
                    body[name] = self._joined(f"{where} {value['index']}", body[name])
        elif isinstance(refusal := value.get("refusal"), str):
            return {"refusal": text} if (text := self._joined(f"{where} refusal", refusal)) else None
        return value

    def _joined(self, where: str, text: str) -> str:
        """Return the text with its surrogates joined; a first half at its end waits for the next piece."""
        if not text:
            return text
        text = self._held.pop(where, "") + text
        if is_first_surrogate(text[-1]):
            self._held[where] = text[-1]
            text = text[:-1]
            self._prefix = ()  # the next frame must come here, whatever it looks like
        return join_surrogates(text)

    def _learn(self, frame: bytes, chunk: Chunk) -> None:
        """Keep the bytes around the text, if this frame is nothing but text and the text is found in one place."""
        self._misses += 1
        choice = chunk.choices[0] if chunk.choices and len(chunk.choices) == 1 else None
        if choice is None or choice.delta is None or choice.index or chunk.usage or b"\n" in frame or b"\\u" in frame:
            return
        said = parts_of(said_by(choice))
        if len(said) != 1 or said[0][0] != "text" or said[0][1] != choice.delta.get("content"):
            return
        found = list(_CONTENT.finditer(frame))
        if len(found) != 1:
            return
        start = found[0].end()
        text = said[0][1].encode()
        if frame.startswith(text, start) and frame[start + len(text) : start + len(text) + 1] == b'"':
            self._prefix, self._suffix = frame[:start], frame[start + len(text) :]
            self._end = self._suffix + b"\n\n"
            self._seam = self._end + self._prefix


def _plain_chars(text: bytes) -> int:
    """Return the number of characters of a text that needs no decoding: no escapes, no quote, valid UTF-8; else 0."""
    if len(text.translate(None, _NOT_PLAIN)) != len(text):
        return 0
    if text.isascii():
        return len(text)
    try:
        return len(text.decode())
    except UnicodeDecodeError:
        return 0
