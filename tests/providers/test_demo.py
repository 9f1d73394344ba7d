"""The demo provider: OpenAI's bytes, its pace, and its bounds."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from typing import Any

import msgspec
import pytest

from gateway.errors import ProviderRefused
from gateway.providers import demo
from gateway.providers.base import Call, Provider
from gateway.providers.demo import DemoProvider


class Recorder:
    """A sink that keeps what it is fed, and is done after so many feeds."""

    def __init__(self, enough: int | None = None) -> None:
        self.sse: bool | None = None
        self.fed: list[bytes] = []
        self.drains = 0
        self._enough = enough

    @property
    def done(self) -> bool:
        return self._enough is not None and len(self.fed) >= self._enough

    def head(self, *, sse: bool, request_id: str | None = None) -> None:
        assert self.sse is None
        self.sse = sse

    def feed(self, data: bytes) -> bool:
        assert not self.done
        assert self.drains == len(self.fed) + 1  # asked for before each feed
        self.fed.append(data)
        return False

    async def drain(self) -> None:
        self.drains += 1

    @property
    def documents(self) -> list[Any]:
        frames = b"".join(self.fed).split(b"\n\n")
        assert frames.pop() == b""
        assert frames.pop() == b"data: [DONE]"
        return [json.loads(frame.removeprefix(b"data: ")) for frame in frames]

    @property
    def text(self) -> str:
        return "".join(c["delta"].get("content", "") for d in self.documents for c in d["choices"])


def call(model: str, messages: Any = None, *, stream: bool = True, **more: Any) -> Call:
    fields = {"messages": messages if messages is not None else [{"role": "user", "content": "Hello  there"}], **more}
    return Call(model=model, fields={k: msgspec.Raw(msgspec.json.encode(v)) for k, v in fields.items()}, stream=stream)


async def stream(model: str, messages: Any = None, **more: Any) -> Recorder:
    sink = Recorder()
    await DemoProvider().chat(call(model, messages, **more), sink)
    return sink


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Sleeps take no time; the list says how long they would have been."""
    slept: list[float] = []
    real = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await real(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


async def test_a_stream_has_openai_chunks() -> None:
    """Role, content, finish and usage chunks of one id, then [DONE]."""
    sink = await stream("lorem-3-0ms")
    assert sink.sse is True
    documents = sink.documents
    assert {(d["object"], d["model"], d["id"]) for d in documents} == {
        ("chat.completion.chunk", "lorem-3-0ms", documents[0]["id"])
    }
    assert documents[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert sink.text == "lorem ipsum dolor"
    assert documents[-2]["choices"][0]["finish_reason"] == "stop"
    assert documents[-1]["choices"] == []
    assert documents[-1]["usage"] == {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}


async def test_a_plain_reply_is_one_document(no_waiting: list[float]) -> None:
    """Not streaming, it is a chat.completion after the whole of the time."""
    sink = Recorder()
    await DemoProvider().chat(call("lorem-4-500ms", stream=False), sink)
    assert sink.sse is False
    (document,) = map(json.loads, sink.fed)
    assert document["object"] == "chat.completion"
    assert document["choices"][0]["message"] == {"role": "assistant", "content": "lorem ipsum dolor sit"}
    assert document["choices"][0]["finish_reason"] == "stop"
    assert document["usage"]["completion_tokens"] == 4
    assert no_waiting == [2.0]


async def test_a_paced_token_is_fed_alone(no_waiting: list[float]) -> None:
    """With a delay, each token has a sleep before it and a feed of its own."""
    sink = await stream("lorem-5-20ms")
    assert no_waiting == [0.02] * 5
    assert [data.count(b"data: ") for data in sink.fed] == [1] * 6 + [1, 1, 1]


async def test_no_delay_feeds_many_tokens_at_once(no_waiting: list[float]) -> None:
    """Without one, tokens ride together, and the loop gets its turns."""
    sink = await stream("lorem-1000-0ms")
    assert len(sink.fed) < 20
    assert len(no_waiting) == 1000 // demo.BURST
    assert sink.text == " ".join((demo.LOREM * 60)[:1000])


async def test_no_tokens_are_an_empty_answer() -> None:
    """N may be 0."""
    assert (await stream("lorem-0-0ms")).text == ""


async def test_unicode_is_hard_text() -> None:
    """The unicode model has characters of several bytes and some that are escaped."""
    text = (await stream("unicode-11-0ms")).text
    assert "👩‍👩‍👧" in text
    assert '"quoted" back\\slash two\nlines' in text


async def test_echo_is_useful(no_waiting: list[float]) -> None:
    """It repeats the question and says how to rate and to watch, word by word."""
    sink = await stream(
        "echo", [{"role": "system", "content": "x"}, {"role": "user", "content": " How  are\nyou {0}?"}]
    )
    assert "“How are you {0}?”" in sink.text
    for thing in ("X-Trace-Id", "/feedback?trace_id=", "gateway tail", "```sh\ncurl"):
        assert thing in sink.text
    assert set(no_waiting) == {demo.ECHO_PACE}
    assert sink.documents[-1]["usage"]["completion_tokens"] == len(no_waiting) == len(sink.text.split())


@pytest.mark.parametrize(
    ("messages", "shown"),
    [
        ([{"role": "user", "content": "a"}, {"role": "user", "content": "last one"}], "“last one”"),
        ([{"role": "user", "content": [{"type": "text", "text": "part"}, {"type": "image_url"}, 3]}], "“part”"),
        ([{"role": "user", "content": "x" * 500}], f"“{'x' * demo.QUOTE}…”"),
        ([{"role": "user", "content": None}], "You asked nothing"),
        ([{"role": "user"}, 5], "You asked nothing"),
        ([], "You asked nothing"),
        ({"role": "user"}, "You asked nothing"),
    ],
)
async def test_echo_takes_any_messages(no_waiting: list[float], messages: Any, shown: str) -> None:
    """Texts and parts are quoted, cut short where long; other things are passed over."""
    assert shown in (await stream("echo", messages)).text


@pytest.mark.parametrize("raw", [b'[{"role":"user","content":"\xff"}]', b'[{"content":"\\ud800"}]', b"["])
async def test_unreadable_messages_are_passed_over(raw: bytes) -> None:
    """Bytes that are no UTF-8, lone surrogates and broken JSON don't stop it."""
    sink = Recorder()
    fields = {"messages": msgspec.Raw(raw)}
    await DemoProvider().chat(Call(model="lorem-1-0ms", fields=fields, stream=True), sink)
    assert sink.text == "lorem"


async def test_messages_may_be_missing_and_parameters_unknown() -> None:
    """It needs no messages, and ignores what it doesn't know."""
    sink = Recorder()
    await DemoProvider().chat(Call(model="lorem-1-0ms", fields={"n": msgspec.Raw(b"3")}, stream=True), sink)
    assert sink.text == "lorem"
    assert {choice["index"] for d in sink.documents for choice in d["choices"]} == {0}


@pytest.mark.parametrize("enough", [1, 2, 4, 7, 8])
async def test_it_stops_once_the_sink_is_done(no_waiting: list[float], enough: int) -> None:
    """Nothing is fed to a sink that is done."""
    sink = Recorder(enough)
    await DemoProvider().chat(call("lorem-5-1ms"), sink)
    assert len(sink.fed) == enough


@pytest.mark.parametrize(
    "model", ["gpt-4o", "lorem", "lorem-1", "lorem-100001-0ms", "lorem-1-60001ms", "lorem--1-0ms", "lorem-1-0ms ", ""]
)
async def test_unknown_models_are_refused(model: str) -> None:
    """What isn't a demo model, or is beyond the bounds, is a 404 before any head."""
    sink = Recorder()
    with pytest.raises(ProviderRefused, match="unknown demo model") as refused:
        await DemoProvider().chat(call(model), sink)
    assert refused.value.status == 404
    assert sink.sse is None


async def test_the_bounds_are_allowed() -> None:
    """A hundred thousand tokens are the most."""
    sink = await stream("lorem-100000-0ms")
    assert b'"completion_tokens":100000,' in sink.fed[-2]


async def test_a_cancelled_chat_ends() -> None:
    """Cancelling the call ends it at once."""
    sink = Recorder()
    task = asyncio.create_task(DemoProvider().chat(call("lorem-5-60000ms"), sink))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(sink.fed) == 1


async def embed(**fields: Any) -> Any:
    raw = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in fields.items()}
    provider: Provider = DemoProvider()
    try:
        return json.loads(await provider.embed("any", raw))
    finally:
        await provider.close()


@pytest.mark.parametrize(("given", "count"), [("a b", 1), (["a", "b"], 2), ([1, 2, 3], 1), ([[1], [2, 3]], 2), ([], 1)])
async def test_embeddings_are_the_same_for_the_same_input(given: Any, count: int) -> None:
    """Texts, tokens and lists of them get a vector each, always the same."""
    first, second = await embed(input=given), await embed(input=given, unknown=1)
    assert first == second
    assert [item["index"] for item in first["data"]] == list(range(count))
    assert all(len(item["embedding"]) == 8 for item in first["data"])


async def test_embeddings_come_packed_as_well() -> None:
    """base64 holds the same numbers as float32."""
    (packed,) = (await embed(input="a", encoding_format="base64"))["data"]
    (plain,) = (await embed(input="a", encoding_format="float"))["data"]
    assert list(struct.unpack("<8f", base64.b64decode(packed["embedding"]))) == plain["embedding"]
    assert plain["embedding"] != (await embed(input="b"))["data"][0]["embedding"]


@pytest.mark.parametrize("fields", [{}, {"input": 5}, {"input": None}, {"input": [None]}])
async def test_bad_embedding_input_is_refused(fields: dict[str, Any]) -> None:
    """Input that is neither text nor tokens is a 400."""
    with pytest.raises(ProviderRefused) as refused:
        await embed(**fields)
    assert refused.value.status == 400
