"""One reply as it comes in: its timeouts, what is held back, and forms that were not asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.domain.events import Finished, UsageReported
from gateway.errors import AnswerTooLong, ProviderBusy, ProviderError, ProviderTimeout
from tests.support.clock import jumping, ticks
from tests.support.router import DONE, END, TRACE, USAGE, WHOLE, Json, RouterHarness, chunk, document, request


@pytest.fixture(autouse=True)
async def no_waiting() -> AsyncIterator[None]:
    """Timers run at once."""
    with jumping():
        yield


async def test_a_stream_is_passed_on_as_it_comes() -> None:
    """Token by token, with the attempt's times and the model that answered."""
    harness = RouterHarness([chunk("Hel"), 0.1, chunk("lo"), END, USAGE, DONE])
    await harness.answer()
    assert harness.output.text == "Hello"
    assert harness.output.raw == []
    assert any(isinstance(event, UsageReported) for event in harness.output.events)
    [attempt] = harness.attempts
    assert (attempt.status, attempt.error, attempt.model, attempt.provider) == (200, None, "answered", "a")
    assert attempt.first_ms is not None
    assert attempt.end_ms is not None


async def test_nothing_goes_out_before_the_first_token() -> None:
    """Frames without content and usage are held, and come with it."""
    harness = RouterHarness([chunk(""), USAGE, 1, chunk("a"), chunk(""), END, DONE])
    task = asyncio.ensure_future(harness.answer(request(raw=True)))
    await ticks(3)
    assert (harness.output.events, harness.output.raw) == ([], [])
    await task
    first = b"".join(harness.output.raw)
    assert first.startswith(chunk(""))
    assert first.count(chunk("")) == 2
    assert isinstance(harness.output.events[0], UsageReported)


async def test_what_comes_before_the_first_token_is_bounded() -> None:
    """An endless line of empty frames is no answer."""
    harness = RouterHarness([chunk("", pad="x" * 200_000)] * 10, max_answer_bytes=10_000_000)
    with pytest.raises(ProviderError, match="sent no answer"):
        await harness.answer(request(raw=True))
    assert harness.output.raw == []


@pytest.mark.parametrize(
    ("script", "asked", "waiting"),
    [
        ([40], {}, "first token"),
        ([chunk(""), 20, chunk(""), 20], {}, "first token"),
        ([chunk("a"), 70], {}, "next token"),
        ([chunk("a"), 50, chunk("b"), 50, chunk("c"), 70], {}, "next token"),
        ([Json, b'{"choices"', 70], {"stream": False}, "rest of the answer"),
    ],
)
async def test_timeouts(script: list[Any], asked: dict[str, Any], waiting: str) -> None:
    """Each says what did not come."""
    harness = RouterHarness(script)
    with pytest.raises(ProviderTimeout, match=waiting):
        await harness.answer(request(**asked))
    assert harness.a.ended == ["cancelled"]
    assert harness.attempts[0].error == "upstream_timeout"


async def test_comments_do_not_keep_a_stream_alive() -> None:
    """Only what the answer is made of counts."""
    harness = RouterHarness([chunk("a"), *[b": ping\n\n", 20] * 5])
    with pytest.raises(ProviderTimeout):
        await harness.answer()


async def test_a_plain_answer_may_take_long_and_then_come_slowly() -> None:
    """Nothing before its head counts but the total; after it each piece must come in time."""
    half = len(document()) // 2
    harness = RouterHarness([200, lambda sink: sink.head(sse=False), document()[:half], 50, document()[half:]])
    await harness.answer(request(stream=False))
    assert harness.output.text == "Hello"


async def test_time_spent_on_slow_readers_does_not_count() -> None:
    """The provider wasn't read meanwhile."""
    harness = RouterHarness([chunk("a"), 50, chunk("b"), 50, END, DONE])
    harness.output.full = asyncio.Event()
    task = asyncio.ensure_future(harness.answer())
    await asyncio.sleep(300)
    assert not task.done()
    harness.output.full.set()
    await task
    assert harness.output.text == "ab"


async def test_after_the_end_a_provider_that_lingers_is_left() -> None:
    """A finish reason ends the answer; the usage and [DONE] get a second."""
    harness = RouterHarness([chunk("a"), END, 0.5, USAGE, 1e6])
    await harness.answer()
    assert harness.a.ended == ["cancelled"]
    assert harness.attempts[0].error is None
    assert isinstance(harness.output.events[-1], UsageReported)


@pytest.mark.parametrize(
    "early", [[chunk("a", finish="stop")], [chunk("a"), END], [chunk("a"), END, 0.5, chunk("b", finish="stop")]]
)
async def test_an_early_finish_reason_ends_nothing(early: list[Any]) -> None:
    """One that comes with text, or that text follows, as of servers that say "stop" on each chunk."""
    pause = [0.5] if early[-1] == END else [30]
    harness = RouterHarness([*early, *pause, chunk("c"), 30, chunk("d"), END, DONE])
    await harness.answer()
    assert harness.output.text.endswith("cd")


async def test_an_answer_cut_after_an_early_finish_reason_is_not_whole() -> None:
    """Text came after it, so it was no end."""
    harness = RouterHarness([chunk("a"), END, chunk("b"), ProviderError("The connection broke.")])
    with pytest.raises(ProviderError, match="broke"):
        await harness.answer()
    assert harness.output.text == "ab"


@pytest.mark.parametrize("cut", [1, 3, 1000])
@pytest.mark.parametrize("stream", [True, False])
async def test_the_body_says_what_it_is(stream: bool, cut: int) -> None:
    """An event stream that is declared as JSON, and JSON declared as an event stream, however they are cut."""
    for body, declared in ((b"".join(WHOLE), False), (b"\n " + document(), True)):
        pieces = [body[at : at + cut] for at in range(0, len(body), cut)]
        harness = RouterHarness([lambda sink, declared=declared: sink.head(sse=declared), 0, *pieces])
        await harness.answer(request(stream=stream))
        assert harness.output.text == "Hello"


@pytest.mark.parametrize("body", [[], [b" "], [b"\n" * 3], [b"da"], [b"\n" * 5_000], [b"<html>Nothing here</html>"]])
async def test_a_body_that_is_neither_is_no_answer(body: list[bytes]) -> None:
    """Blanks, a beginning, a page."""
    for declared in (True, False):
        harness = RouterHarness([lambda sink, declared=declared: sink.head(sse=declared), *body])
        with pytest.raises(ProviderError):
            await harness.answer()


async def test_blanks_before_a_plain_answer_keep_it_alive() -> None:
    """Some servers send them while a model thinks."""
    harness = RouterHarness([lambda sink: sink.head(sse=False), *[b"\n", 50] * 5, document()])
    await harness.answer(request(stream=False))
    assert harness.output.text == "Hello"


async def test_with_several_choices_one_end_is_not_all() -> None:
    """No hurry then."""
    harness = RouterHarness([chunk("a"), END, 30, chunk("b"), DONE])
    await harness.answer(request(n=2))
    assert harness.output.text == "ab"


@pytest.mark.parametrize("error", [ProviderError("broke"), ProviderBusy("odd")])
async def test_what_goes_wrong_after_the_end_costs_nothing(error: Exception) -> None:
    """The answer is whole."""
    harness = RouterHarness([chunk("a"), END, error])
    await harness.answer()
    assert harness.output.text == "a"
    assert harness.told == [("a/one", None)]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ([b": nothing\n\n"], ""),
        ([chunk("a"), b'data: {"choices":[{"de'], "a"),
        ([chunk("\ud83d")], "\ufffd"),
        ([chunk("a"), chunk("\ud83d")], "a\ufffd"),
        ([chunk("a"), chunk("b").rstrip()], "ab"),
    ],
)
async def test_an_end_with_neither_finish_nor_done_is_an_error(script: list[bytes], said: str) -> None:
    """What came before it is kept."""
    harness = RouterHarness(script)
    with pytest.raises(ProviderError, match="before it was complete"):
        await harness.answer()
    assert harness.output.text == ("" if script == [chunk("\ud83d")] else said)


async def test_no_head_is_an_error() -> None:
    """Whether bytes come or not."""
    for script, said in ([], "sent nothing"), ([lambda sink: sink.feed(b"x")], "without a head"):
        with pytest.raises(ProviderError, match=said):
            await RouterHarness(script).answer()


async def test_an_error_frame_is_raised() -> None:
    """After the text that came with it."""
    harness = RouterHarness([chunk("a") + b'data: {"error":{"message":"overloaded"}}\n\n'])
    with pytest.raises(ProviderError, match="overloaded"):
        await harness.answer()
    assert harness.output.text == "a"


async def test_plain_json_for_a_caller_that_streams() -> None:
    """The same as chunks on /v1, as events elsewhere."""
    harness = RouterHarness([Json, document()])
    await harness.answer(request(raw=True))
    assert harness.output.text == "Hello"
    [first, last, empty] = b"".join(harness.output.raw).split(b"\n\n")
    assert json.loads(first.removeprefix(b"data: "))["choices"][0]["delta"]["content"] == "Hello"
    assert json.loads(last.removeprefix(b"data: "))["trace_id"] == TRACE
    assert empty == b""


async def test_a_stream_for_a_caller_that_wants_one_document() -> None:
    """Folded on /v1; elsewhere events are all that is wanted."""
    harness = RouterHarness(WHOLE)
    await harness.answer(request(raw=True, stream=False))
    [document] = harness.output.raw
    assert json.loads(document)["choices"][0]["message"]["content"] == "Hello"
    plain = RouterHarness(WHOLE)
    await plain.answer(request(stream=False))
    assert (plain.output.text, plain.output.raw) == ("Hello", [])


async def test_plain_json_that_cannot_be_read() -> None:
    """Nothing goes out."""
    harness = RouterHarness([Json, b"<html>"])
    with pytest.raises(ProviderError, match="can't be read"):
        await harness.answer()
    assert harness.output.events == []


async def test_plain_json_that_is_too_long() -> None:
    """It is not the target's fault, and no other target is tried."""
    harness = RouterHarness([Json, b"x" * 2_000], b=[WHOLE])
    with pytest.raises(AnswerTooLong):
        await harness.answer(targets=("a/one", "b/two"), retries=3)
    assert (len(harness.attempts), harness.cooled) == (1, [])


async def test_a_finish_alone_is_an_answer() -> None:
    """An empty one, after which there is no way back."""
    harness = RouterHarness([END, DONE])
    await harness.answer()
    assert harness.output.events == [Finished(0, "stop")]


async def test_done_alone_is_an_answer() -> None:
    """Some servers send nothing else for an empty one."""
    harness = RouterHarness([DONE])
    await harness.answer()
    assert harness.output.events == []
