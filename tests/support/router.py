"""An output and a provider for the router: doubles at its two edges."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.config.schema import Config, Model, Streaming
from gateway.domain.events import Delta, TextDelta
from gateway.domain.messages import ChatRequest
from gateway.domain.trace import Attempt
from gateway.providers.base import Call, ReplySink
from gateway.providers.router import Router

TRACE = "tr-" + "0" * 32
DONE = b"data: [DONE]\n\n"


def chunk(content: str | None = None, *, finish: str | None = None, **more: Any) -> bytes:
    said = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": said, "finish_reason": finish}
    return b"data: " + json.dumps({"model": "answered", "choices": [choice], **more}).encode() + b"\n\n"


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
END = chunk(finish="stop")
WHOLE = [chunk("Hel"), chunk("lo"), END, DONE]


def document(content: str = "Hello") -> bytes:
    message = {"role": "assistant", "content": content}
    return json.dumps({"model": "answered", "choices": [{"message": message, "finish_reason": "stop"}]}).encode()


def request(*, raw: bool = False, stream: bool = True, **fields: Any) -> ChatRequest:
    body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
    return ChatRequest(
        route="/chat",
        model=None,
        fields={name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()},
        preview="Hi",
        stream=stream,
        raw=raw,
    )


class Output:
    """Keeps what is emitted; `full` keeps it over the high water mark until the event is set."""

    def __init__(self) -> None:
        self.trace_id = TRACE
        self.events: list[Delta] = []
        self.raw: list[bytes] = []
        self.full: asyncio.Event | None = None

    def emit(self, events: Sequence[Delta], raw: Sequence[bytes] = ()) -> bool:
        self.events += events
        self.raw += raw
        return self.over_high_water

    @property
    def over_high_water(self) -> bool:
        return self.full is not None and not self.full.is_set()

    async def drain(self) -> None:
        if self.full is not None:
            await self.full.wait()

    @property
    def text(self) -> str:
        found = (event.text for event in self.events if isinstance(event, TextDelta))
        return "".join(json.loads(b'"' + text + b'"') for text in found)


class Json:
    """The head of a reply that is no event stream."""


class Scripted:
    """A provider with one script a call: bytes are fed, numbers slept, errors raised, other things called."""

    private: Sequence[str] = ("s3cret", "vllm-box")

    def __init__(self, *scripts: Sequence[Any]) -> None:
        self.scripts = list(scripts)
        self.calls: list[Call] = []
        self.ended: list[str] = []
        self.embeddings: list[Any] = []
        self.targets: list[str] = []

    async def chat(self, call: Call, sink: ReplySink) -> None:
        self.calls.append(call)
        script = list(self.scripts.pop(0))
        end = "cancelled"
        try:
            if script and script[0] is Json:
                script.pop(0)
                sink.head(sse=False)
            elif script and isinstance(script[0], bytes):
                sink.head(sse=True)
            for step in script:
                if sink.done:
                    break
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, bytes):
                    sink.feed(step)
                    await sink.drain()
                elif callable(step):
                    step(sink)
                else:
                    await asyncio.sleep(step)
            end = "whole"
        except Exception:
            end = "raised"
            raise
        finally:
            self.ended.append(end)

    async def embed(self, model: str, fields: dict[str, msgspec.Raw], connect_timeout_s: float = 5) -> bytes:
        self.targets.append(model)
        step = self.embeddings.pop(0)
        if isinstance(step, Exception):
            raise step
        if isinstance(step, bytes):
            return step
        await asyncio.sleep(step)
        return b"late"

    async def close(self) -> None: ...


class RouterHarness:
    """A router over scripted providers: the first scripts are `a`'s, `b`'s are given by name."""

    def __init__(self, *scripts: Sequence[Any], b: Sequence[Sequence[Any]] = (), max_answer_bytes: int = 1_000) -> None:
        self.a, self.b = Scripted(*scripts), Scripted(*b)
        self.output = Output()
        self.attempts: list[Attempt] = []
        self.told: list[tuple[str, str | None]] = []
        self.cooled: list[str] = []
        self.router = Router(
            Config(streaming=Streaming(max_answer_bytes=max_answer_bytes)),
            {"a": self.a, "b": self.b},
            lambda target, attempt: self.told.append((target, attempt.error)),
            self.cooled.append,
        )

    async def answer(self, asked: ChatRequest | None = None, **model: Any) -> None:
        fields: dict[str, Any] = {"targets": ("a/one",), "retries": 0, **model}
        await self.router.answer(Model(**fields), asked or request(), self.output, self.attempts)
