"""The decoder of a provider's stream: the same text, events and raw frames however the bytes come."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.events import ChoiceDelta, Finished, UsageReported
from gateway.domain.messages import Usage
from gateway.errors import ProviderBusy, ProviderError
from tests.support.provider_streams import (
    PLACES,
    TRACE,
    chunks,
    cuts,
    decoder,
    delta,
    few,
    merged,
    read,
    text_of,
    units,
    written,
)


def sse(*payloads: Any) -> bytes:
    return b"".join(b"data: " + (p if isinstance(p, bytes) else json.dumps(p).encode()) + b"\n\n" for p in payloads)


def finish(reason: str = "stop", index: int = 0) -> dict[str, Any]:
    chunk = delta(index)
    chunk["choices"][0]["finish_reason"] = reason
    return chunk


@few
@given(st.data(), PLACES, st.booleans(), st.booleans())
def test_any_split_gives_the_same(data: st.DataObject, places: list[int], keep_raw: bool, keep_usage: bool) -> None:
    """Text, events and raw frames; and the text is what the provider meant, halves of characters joined."""
    answer = data.draw(chunks())
    stream = data.draw(written(answer))
    options = {"keep_raw": keep_raw, "keep_usage": keep_usage}
    whole = decoder(**options)
    events, raw = read(whole, [stream])
    others = any(choice["index"] and choice["delta"]["content"] for chunk in answer for choice in chunk["choices"])
    assert (whole.done, whole.finished, whole.failure, whole.model) == (True, not others, None, "m")
    said = "".join(c["delta"].get("content") or "" for chunk in answer for c in chunk["choices"] if not c["index"])
    assert text_of(events) == said.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    assert read(decoder(**options), cuts(stream, places)) == (events, raw)
    assert bool(raw) == keep_raw
    assert raw.count(f'"trace_id":"{TRACE}"'.encode()) == keep_raw


@few
@given(st.data(), PLACES)
def test_the_learned_template_gives_what_decoding_each_frame_gives(data: st.DataObject, places: list[int]) -> None:
    """Templates that change, escapes, keys given twice, logprobs and tool calls between: never a difference."""
    stream = data.draw(written(data.draw(chunks(halves=data.draw(st.booleans())))))
    slow = decoder(keep_raw=True)
    slow._misses = 1_000_000  # it seeks no template any more
    assert read(decoder(keep_raw=True), cuts(stream, places)) == read(slow, [stream])


def test_plain_text_frames_go_by_the_template() -> None:
    """After one decoded frame the next ones are not decoded, and adjacent ones are one event."""
    stream = decoder(keep_raw=True)
    stream.feed(sse(delta(content="a")))
    first = b'data: {"choices":'
    stream._prefix, stream._suffix = first, b"}"  # a template that no decoding would take for text
    [event] = stream.feed(first + b"b}\n\n" + first + b"c}\n\n")
    assert (event.text, event.chars, event.count) == (b"bc", 2, 2)  # type: ignore[union-attr]


def test_reads_of_whole_frames_that_fit_need_no_cutting() -> None:
    """One frame or several, beyond ASCII too; where one of them says something else, all are cut and looked at."""
    stream = decoder(keep_raw=True)
    stream.feed(sse(delta(content="a")))
    reads = [sse(delta(content=text)) for text in ("b",)] + [sse(*(delta(content=t) for t in both)) for both in ("cd",)]
    reads.append(sse(*(json.dumps(delta(content=text), ensure_ascii=False).encode() for text in "é€")))
    reads.append(sse(delta(content="e"), delta(content='"')))
    assert [text_of(merged(stream.feed(read))) for read in reads] == ["b", "cd", "é€", 'e"']
    assert b"".join(stream.raw) == sse(delta(content="a")) + b"".join(reads)


def test_a_template_with_bad_utf8_in_the_text_is_decoded_leniently() -> None:
    """Bytes that are no text become U+FFFD, and the rest is kept."""
    stream = decoder()
    frame = json.dumps(delta(content="TOKEN")).encode()
    bad = sse(frame.replace(b"TOKEN", b"a\xffb"))
    events, _ = read(stream, [sse(frame), bad, sse(b"[DONE]")])
    assert text_of(events) == "TOKENa\ufffdb"
    assert stream.failure is None


def test_a_template_is_given_up_after_eight_misses() -> None:
    """Frames that never fit cost no more search; text that fits again is decoded all the same."""
    stream = decoder()
    events, _ = read(stream, [sse(*({**delta(content="x"), "nonce": i} for i in range(20)))])
    assert text_of(events) == "x" * 20
    assert stream._misses == 8


@pytest.mark.parametrize(
    "odd",
    [
        b'{"choices":[{"delta":{"content":"a","\\u0063ontent":"b"}}]}',
        b'{"choices":[{"delta":{"content" : "b"}}],"x":{"content":"b"}}',
        b'{"choices":[{"index":1,"delta":{"content":"b"}}]}',
        b'{"choices":[{"delta":{"content":"b","refusal":"c"}}]}',
        b'{"choices":[{"delta":{"content":"b","never_heard_of":"c"}}]}',
        b'{"choices":[{"delta":{"content":["b"]}}]}',
        b'{"choices":[{"delta":{"content":[{"text":"b"},3]}}]}',
        b'{"choices":[{"delta":{"content":"b"}},{"index":1,"delta":{"content":"b"}}]}',
        b'{"choices":[{"message":{"content":"b"}}]}',
        b'{"choices":[{"delta":{"content":"b"}}],"usage":{"total_tokens":5}}',
        b'{"choices":[{"delta":null}]}',
        b'{"choices":[{"delta":{"content":"a\\nb"}}]}',
    ],
)
def test_frames_that_say_more_than_text_make_no_template(odd: bytes) -> None:
    """A template is learned only where the text is in one place and nothing else is said."""
    stream = decoder()
    stream.feed(sse(odd))
    assert stream._prefix == ()


def test_raw_frames_are_the_providers_with_the_trace_id_where_it_ends() -> None:
    """Comments, the usage nobody asked for and [DONE] are left out; a finish reason gets the trace ID."""
    stream = decoder(keep_raw=True, keep_usage=False)
    usage = {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}
    events = stream.feed(b": hello\n\n" + sse(delta(content="a"), finish(), usage, b"[DONE]", b"never read"))
    ended = json.dumps(finish())[:-1] + f',"trace_id":"{TRACE}"}}'
    assert b"".join(stream.raw) == sse(delta(content="a"), ended.encode())
    assert UsageReported(Usage(1, 2, 3)) in events
    assert stream.feed(sse(delta(content="b"))) == []


def test_a_usage_chunk_with_a_choice_that_says_nothing_is_left_out_too() -> None:
    """OpenRouter's form, after the end; one before it, or whose choice says something, stays."""
    stream = decoder(keep_raw=True, keep_usage=False)
    silent = {**delta(content=""), "usage": {"prompt_tokens": 1}}
    speaking = {**delta(content="x"), "usage": {"prompt_tokens": 1}}
    stream.feed(sse(silent, finish()))
    stream.raw.clear()
    stream.feed(sse(silent, {"choices": [{}], "usage": {}}, speaking))
    assert b"".join(stream.raw) == sse(speaking)


def test_a_usage_chunk_with_a_silent_choice_after_one_of_several_ended() -> None:
    """Some servers end only choice 0 of two: the usage nobody asked for stays back all the same."""
    stream = decoder(keep_raw=True, keep_usage=False)
    two = b'data: {"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}\n\n'
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    usage = b'data: {"choices":[{"index":0,"delta":{}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    stream.feed(two + end + usage)
    assert b"usage" not in b"".join(stream.raw)
    assert not stream.finished


def test_done_without_a_finish_reason_makes_a_last_chunk() -> None:
    """The trace ID rides on a finish chunk, so there has to be one."""
    stream = decoder(keep_raw=True)
    stream.feed(sse(delta(content="a"), b"[DONE]"))
    last = json.loads(b"".join(stream.raw).split(b"\n\n")[-2].removeprefix(b"data: "))
    assert (last["choices"][0]["finish_reason"], last["trace_id"]) == ("stop", TRACE)


def test_a_second_choice_and_a_refusal() -> None:
    """Other choices are events of their own; a refusal is known as one; reasoning has many names."""
    events, _ = read(
        decoder(),
        [sse(delta(1, content="two"), delta(refusal="No."), delta(reasoning="why"), delta(1), finish("stop", 1))],
    )
    assert events == [
        ChoiceDelta(1, "text", "two"), ("other", {"refusal": "No."}), ("ReasoningDelta", "why", 1),
        Finished(1, "stop"),
    ]  # fmt: skip


@few
@given(st.text(st.sampled_from("a😀é👍"), min_size=1, max_size=6), st.integers(0, 1))
def test_halves_of_characters_in_a_tool_call_and_in_other_choices(text: str, index: int) -> None:
    """Every text is joined by itself, whatever comes between its halves."""
    stream, said = decoder(), {"args": "", "one": "", "reasoning": ""}
    pieces = units(text)
    answer: list[Any] = []
    for piece in pieces:
        answer.append(delta(tool_calls=[{"index": index, "function": {"arguments": piece}}]))
        answer += [delta(1, content=piece), delta(reasoning=piece)]
    for event in read(stream, [sse(*answer)])[0]:
        match event:
            case ("call", call):
                said["args"] += call["function"]["arguments"]
            case ("ReasoningDelta", piece, _):
                said["reasoning"] += piece
            case ChoiceDelta(value=piece):
                said["one"] += piece
    assert set(said.values()) == {text}


def test_a_half_without_its_other_is_one_replacement_character() -> None:
    """Amid the text and at its very end; a tool call in an odd form is left alone."""
    half = "\ud83d"
    events, _ = read(
        decoder(), [sse(delta(content=half), delta(content="a" + half, tool_calls=["x", {"id": "c", "function": 1}]))]
    )
    assert text_of(events) == "\ufffda\ufffd"
    events, _ = read(decoder(), [sse(delta(content=half + "\ude00" + half)), sse(delta(content="\ude00!"))])
    assert text_of(events) == "😀😀!"


def test_a_tool_call_with_bad_utf8_passes() -> None:
    """It is repaired, so that what is sent on is text."""
    call = b'{"index":0,"function":{"arguments":"a\xff"}}'
    [event] = decoder().feed(sse(b'{"choices":[{"delta":{"tool_calls":[%b]}}]}' % call))
    assert "a\ufffd" in bytes(event.call).decode()  # type: ignore[union-attr]


def test_control_characters_left_bare_are_mended() -> None:
    """Some servers write them as they are."""
    events, _ = read(decoder(), [sse(json.dumps(delta(content="aTABb")).encode().replace(b"TAB", b"\x01\x0b"))])
    assert text_of(events) == "a\x01\x0bb"


DEEP = b'{"choices":[{"delta":{"tool_calls":[%b]}}]}' % (b"[" * 900 + b"]" * 900)


@pytest.mark.parametrize("junk", [b"{nonsense", b"[1]", b'{"choices":7}', b"[" * 100_000, b"\xff\xfe", DEEP])
def test_what_cannot_be_read_is_a_failure(junk: bytes) -> None:
    """What came before it stays; what follows is not read."""
    stream = decoder(keep_raw=True)
    events = stream.feed(sse(delta(content="a"), junk, delta(content="b")))
    assert len(events) == 1
    assert isinstance(stream.failure, ProviderError)
    assert stream.feed(b"data: x\n\n") == []
    assert stream.close() == []


def test_an_error_in_the_stream_is_the_providers() -> None:
    """Its text is redacted, and a rate limit is told from the rest."""
    stream = decoder()
    stream.feed(sse({"error": {"message": "busy, key sk-abcdefgh12", "type": "rate_limit_error"}}))
    assert isinstance(stream.failure, ProviderBusy)
    assert stream.failure.message == "busy, key …"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b'event: error\ndata: {"message": "Out of memory."}', "Out of memory."),
        (b"data: Out of memory.\nevent:error", "Out of memory."),
        (b"event: error", "The provider reported an error."),
        (b'error: {"code": 500, "message": "Slot is gone."}', "Slot is gone."),
        (b'{"error": {"message": "Bare."}}', "Bare."),
        (b'data: {"object": "error", "message": "Vicuna."}', "Vicuna."),
        (b'data: {"type": "error", "message": "Typed."}', "Typed."),
        (b'data: {"text": "FastChat.", "error_code": 50001}', "FastChat."),
        (b'data: {"error": true, "message": "Beside it."}', "Beside it."),
        (b'data: {"error": "In words."}', "In words."),
        (b'data: {"error": [{"message": "In a list."}]}', "In a list."),
    ],
)
def test_an_error_is_one_in_whatever_frame_it_comes(frame: bytes, message: str) -> None:
    """By its event's name, by its field, or by what its JSON says; what came before it stays."""
    stream = decoder(keep_raw=True)
    events = stream.feed(sse(delta(content="a")) + frame + b"\n\n" + sse(delta(content="b")))
    assert text_of(merged(events)) == "a"
    assert stream.failure is not None
    assert stream.failure.message == message


@pytest.mark.parametrize("frame", [b"event: message\ndata: \n", b"id: 1", b'{"error": ""}', b"{cut", b": error: x"])
def test_other_frames_without_data_are_no_errors(frame: bytes) -> None:
    """Comments, positions, and what a healthy server may write."""
    stream = decoder()
    stream.feed(frame + b"\n\n")
    assert stream.failure is None


@pytest.mark.parametrize("empty", [None, "", " ", {}, False, [], 0, {"code": 0, "message": ""}, [None]])
def test_an_empty_error_on_a_healthy_chunk_is_none(empty: Any) -> None:
    """Servers with a fixed schema send the field with each chunk, and with each choice."""
    chunk = delta(content="a") | {"error": empty}
    chunk["choices"][0]["error"] = empty
    stream = decoder()
    assert text_of(merged(stream.feed(sse(chunk)))) == "a"
    assert stream.failure is None


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        ({"code": 502, "message": "Overloaded: sk-secret-key-1."}, "error", "Overloaded: …"),
        ({"message": "Filtered."}, None, "Filtered."),
        (None, "error", "The provider reported an error."),
    ],
)
def test_an_error_within_a_choice_is_an_error(error: Any, reason: str | None, message: str) -> None:
    """Such as OpenRouter's, which has sent its 200 by then. What the chunk still says goes before it."""
    chunk = delta(content="last words")
    chunk["choices"][0] |= {"error": error, "finish_reason": reason}
    stream = decoder(keep_raw=True)
    assert text_of(merged(stream.feed(sse(chunk, delta(content="never"))))) == "last words"
    assert stream.failure is not None
    assert (stream.failure.message, stream.finished) == (message, False)
    [raw] = stream.raw
    [choice] = json.loads(raw.removeprefix(b"data: "))["choices"]
    assert (choice["delta"]["content"], choice["finish_reason"], "error" in choice) == ("last words", None, False)
    silent = decoder(keep_raw=True)
    chunk["choices"][0]["delta"] = {}
    silent.feed(sse(chunk))
    assert (silent.raw, silent.failure is None) == ([], False)


def test_what_python_writes_for_no_number_becomes_null() -> None:
    """NaN and Infinity are no JSON: the text arrives, and frames that go on can be read by all; strings stay."""
    frame = b'{"choices":[{"delta":{"content":"NaN \\" Infinity"},"logprobs":[NaN,-Infinity,Infinity]}]}'
    stream = decoder(keep_raw=True)
    assert text_of(merged(stream.feed(b"data: " + frame + b"\n\n"))) == 'NaN " Infinity'
    [raw] = stream.raw
    assert json.loads(raw.removeprefix(b"data: "))["choices"][0]["logprobs"] == [None, None, None]


@pytest.mark.parametrize(
    "odd",
    [
        {"usage": ""}, {"usage": []}, {"usage": 0}, {"model": 5}, {"model": {}}, {"usage": "none", "model": ["m"]},
    ],
)  # fmt: skip
def test_a_field_of_another_type_costs_no_answer(odd: dict[str, Any]) -> None:
    """Where it isn't the answer itself. PHP writes `[]` for an empty object."""
    stream = decoder()
    assert text_of(merged(stream.feed(sse(delta(content="a") | odd, delta(content="b"))))) == "ab"
    assert stream.failure is None


def test_a_choice_of_other_types_is_read_as_far_as_it_says_something() -> None:
    """An index as text, an empty delta as a list, no finish reason as false."""
    odd = {"index": "1", "delta": {"content": "b"}, "finish_reason": False, "message": ""}
    stream = decoder()
    events = stream.feed(sse({"choices": [{"index": 0.0, "delta": [], "message": None}, odd]}, {"choices": {}}))
    assert (events, stream.failure) == ([ChoiceDelta(1, "text", "b")], None)
    stream.feed(sse({"choices": [{"delta": "text?"}]}))
    assert isinstance(stream.failure, ProviderError)


def test_a_finish_reason_with_content_or_before_it_ends_nothing() -> None:
    """Some servers say "stop" on each chunk. One that comes alone lets the stream linger, until text follows."""
    said = delta(content="a")
    said["choices"][0]["finish_reason"] = "stop"
    stream = decoder()
    found = []
    given: list[dict[str, Any]] = [
        said,
        finish(),
        delta(content="b"),
        delta(content="c"),
        {"choices": [], "usage": {}},
        finish(),
    ]
    for chunk in given:
        stream.feed(sse(chunk))
        found.append((stream.finished, stream.lingers))
    assert found == [(True, False), (True, True), (False, False), (False, False), (False, False), (True, True)]


def test_an_answer_is_finished_once_every_choice_is() -> None:
    """One choice that is over says nothing of the others; [DONE] adds no finish chunk to those that came."""
    stream = decoder(keep_raw=True)
    stream.feed(sse(delta(content="a"), delta(1, content="b")))
    assert not stream.finished
    stream.feed(sse(finish()))
    assert not stream.finished
    stream.feed(sse(finish("length", 1)))
    assert stream.finished
    stream.feed(sse(delta(2, content="c"), b"[DONE]"))
    assert (stream.done, stream.finished) == (True, False)
    assert b"".join(stream.raw).count(b'"trace_id"') == 2


def test_an_index_of_null_is_the_first_choice() -> None:
    """As some servers write it."""
    events, _ = read(
        decoder(), [sse({"choices": [{"index": None, "delta": {"content": "a"}, "finish_reason": "stop"}]})]
    )
    assert events == [("TextDelta", "a", 1), Finished(0, "stop")]


@pytest.mark.parametrize("odd", [10**20, 2**53, -1, 0.5, "7", None, True, [1], {}, 1e300])
def test_a_count_of_tokens_that_cannot_be_one_is_none(odd: Any) -> None:
    """The others still count, and the answer goes on."""
    stream = decoder()
    usage = {"prompt_tokens": odd, "completion_tokens": 2, "total_tokens": odd}
    events = stream.feed(sse(delta(content="a"), {"choices": [], "usage": usage}, finish()))
    assert UsageReported(Usage(0, 2, 2)) in events
    assert UsageReported(Usage(7, 0, 7)) in decoder().feed(sse({"usage": {"prompt_tokens": 7.0}}))
    assert (stream.failure, stream.finished) == (None, True)


def test_a_frame_without_end_is_a_failure() -> None:
    """The bound is the answer's."""
    stream = decoder(max_frame_bytes=20)
    assert stream.feed(b"data: " + b"x" * 50) == []
    assert stream.failure is not None


def test_a_last_frame_counts_when_whole_and_says_nothing_when_cut() -> None:
    """An end without the blank line."""
    events, _ = read(decoder(), [sse(delta(content="a")) + b"data: " + json.dumps(delta(content="b")).encode()])
    assert text_of(events) == "ab"
    stream = decoder()
    events, _ = read(stream, [sse(delta(content="a")) + b'data: {"choices":[{"del'])
    assert (text_of(events), stream.failure) == ("a", None)


def test_empty_data_says_nothing() -> None:
    """Some servers send it as a heartbeat."""
    assert decoder(keep_raw=True).feed(b"data:\n\ndata:  \n\n") == []


@pytest.mark.parametrize("more", [b"", b',"x":"\xff"'])
def test_a_tool_call_with_a_number_that_no_float_holds_is_a_failure(more: bytes) -> None:
    """It is stored, and whoever read it again would fail."""
    stream = decoder()
    assert stream.feed(sse(b'{"choices":[{"delta":{"tool_calls":[{"index":0,"x":1e999%b}]}}]}' % more)) == []
    assert stream.failure is not None
