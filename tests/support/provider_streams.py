"""What providers may send, for property tests: chunks with every liberty, written as bytes in every style."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from gateway.domain.events import Delta, OtherDelta, ReasoningDelta, TextDelta, ToolCallDelta
from gateway.wire.upstream import StreamDecoder

TRACE = "tr-" + "0" * 32

# The last 2,048 code points stand in for lone surrogates inside the decoder; real text never has them.
CHARACTERS = st.one_of(
    st.characters(codec="utf-8", max_codepoint=0x10F7FF),
    st.sampled_from('ab "\\\n\r\t/é€😀👩‍🚀\x00\x1f\u2028:{}[],'),
)
TEXT = st.text(CHARACTERS, max_size=12)


def decoder(**options: Any) -> StreamDecoder:
    return StreamDecoder(TRACE, **options)


def cuts(data: bytes, places: Iterable[int]) -> list[bytes]:
    """`data` in pieces, cut at these places."""
    at = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(at)]


few = settings(max_examples=60, deadline=None)
PLACES = st.lists(st.integers(0, 100_000), max_size=12)


def units(text: str) -> list[str]:
    """UTF-16 code units as characters: astral ones come in two halves."""
    raw = text.encode("utf-16-le")
    return [chr(int.from_bytes(raw[i : i + 2], "little")) for i in range(0, len(raw), 2)]


def delta(index: int = 0, **said: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": said, "logprobs": None, "finish_reason": None}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


@st.composite
def chunks(draw: st.DrawFn, *, halves: bool = True) -> list[dict[str, Any]]:
    """An answer's chunks: text in tokens, some cut inside a character, other things between them."""
    pieces = units(draw(st.text(CHARACTERS, max_size=30)))
    if not halves:
        pieces = list("".join(pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le"))
    answer = [delta(role="assistant", content="")]
    while pieces:
        size = draw(st.integers(1, 6))
        answer.append(delta(content="".join(pieces[:size])))
        pieces = pieces[size:]
        match draw(st.integers(0, 12)):
            case 0:
                call = {"index": draw(st.integers(0, 1)), "function": {"name": "f", "arguments": draw(TEXT)}}
                answer.append(delta(tool_calls=[call]))
            case 1:
                answer.append(delta(reasoning_content=draw(TEXT)))
            case 2:
                answer.append(delta(1, content=draw(TEXT)))
            case 3:
                with_logprobs = delta(content="")
                with_logprobs["choices"][0]["logprobs"] = {"content": [{"token": draw(TEXT), "logprob": -0.1}]}
                answer.append(with_logprobs)
            case 4:
                answer.append({**delta(content=""), "system_fingerprint": draw(TEXT)})
            case 5:
                answer.append({"id": "c1", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
            case _:
                pass
    end = delta()
    end["choices"][0]["finish_reason"] = "stop"
    answer.append(end)
    return answer


@st.composite
def written(draw: st.DrawFn, answer: Sequence[dict[str, Any]]) -> bytes:
    """Chunks as an event stream, each frame in a style of its own; now and then one with its key twice."""
    end = draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    out = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    style = st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6])
    for chunk in answer:
        halved = any(0xD800 <= ord(c) <= 0xDFFF for c in json.dumps(chunk, ensure_ascii=False))
        escaped = halved or draw(st.booleans())
        tight = json.dumps(chunk, ensure_ascii=escaped, separators=(",", ":")).encode()
        loose = json.dumps(chunk, ensure_ascii=escaped).encode()
        match draw(style):
            case 0:
                frame = b"data: " + tight
            case 1:
                frame = b"data:" + loose
            case 2:
                lines = json.dumps(chunk, indent=1, ensure_ascii=escaped).encode().split(b"\n")
                frame = b"\n".join(b"data: " + line for line in lines)
            case 3:
                frame = b": a comment\n\nid: 7\nevent: message\ndata: " + loose
            case 4:
                frame = b"data: " + tight.replace(b'"content":', b'"content":"twice","content":', 1)
            case 5:
                frame = b"data: " + tight.replace(b'"content":', b'"content" : ', 1)
            case _:
                frame = b"retry: 1\n\ndata: " + tight + b"\n: after"
        out += frame.replace(b"\n", end) + end + end
    return out + b"data: [DONE]" + end + end


def merged(events: Iterable[Delta]) -> list[Any]:
    """Events with adjacent text joined: what must not hang on how the bytes were cut."""
    out: list[Any] = []
    for event in events:
        match event:
            case TextDelta(text=text, chars=chars, count=count) | ReasoningDelta(text=text, chars=chars, count=count):
                said = json.loads(b'"' + text + b'"')
                assert len(said) == chars
                kind = type(event).__name__
                if out and isinstance(out[-1], tuple) and out[-1][0] == kind:
                    said, count = out[-1][1] + said, out[-1][2] + count
                    out.pop()
                out.append((kind, said, count))
            case ToolCallDelta(call=call):
                out.append(("call", json.loads(bytes(call))))
            case OtherDelta(fields=fields):
                out.append(("other", json.loads(bytes(fields))))
            case _:
                out.append(event)
    return out


def read(stream: StreamDecoder, pieces: Iterable[bytes]) -> tuple[list[Any], bytes]:
    """All events, merged, and all raw frames."""
    events: list[Delta] = []
    for piece in pieces:
        events += stream.feed(piece)
    events += stream.close()
    return merged(events), b"".join(stream.raw)


def text_of(events: Iterable[Any]) -> str:
    """What people read of merged events: text, and the words of a refusal."""
    return "".join(
        event[1] if event[0] == "TextDelta" else event[1].get("refusal", "")
        for event in events
        if isinstance(event, tuple) and event[0] in ("TextDelta", "other")
    )
