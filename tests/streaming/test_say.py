"""The log's short cut by itself: what is said is kept as if it had been emitted."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from gateway.domain.events import ReasoningDelta, Started, ToolCallDelta
from gateway.errors import AnswerTooLong
from gateway.streaming.log import EventLog
from tests.support.clock import ticks
from tests.support.runs import Rig, Says, text


def log() -> EventLog:
    return EventLog(Started("tr-1", "s-1", "m"))


def test_what_is_said_joins_the_text_before_it() -> None:
    """And begins a new stretch after anything else."""
    kept = log()
    kept.say(b"a", 1, b"")
    kept.say(b"b", 1, b"")
    kept.append([ReasoningDelta(b"hm", 2)])
    kept.say("ü".encode(), 1, b"")
    assert kept.parts() == [("text", "ab"), ("reasoning", "hm"), ("text", "ü")]
    assert kept.position == 6


def test_parts_as_json_are_the_parts() -> None:
    """From any mark on, whatever they are; a tool call that no decoder takes is kept as text."""
    kept = log()
    kept.append([text('"quoted" 🌍')])
    kept.append([ToolCallDelta(msgspec.Raw(b'{"index":0}')), ToolCallDelta(msgspec.Raw(b'{"n":1e999}'))])
    mark = kept.mark()
    kept.append([text("more")])
    for since in ((0, 0), mark):
        assert json.loads(kept.parts_json(since)) == [list(part) for part in kept.parts(since)]
    assert kept.parts_json(kept.mark()) == "[]"


async def test_an_answer_that_is_said_can_be_too_long() -> None:
    """As one that is emitted."""
    rig = Rig(max_answer_bytes=10)
    run = rig.run(says := Says(Says.hold))
    await ticks()
    with pytest.raises(AnswerTooLong):
        run.say(b"x" * 11, 11, 1, b"")
    says.go.set()
    await asyncio.wait({run.task})


async def test_a_reader_that_is_behind_makes_it_crowded() -> None:
    """One that is pushed to is not."""
    rig = Rig(max_buffer_bytes=5)
    run = rig.run(says := Says(Says.hold))
    await ticks()
    reader = run.attach(after=1)
    assert run.say(b"abc", 3, 1, b"") is False
    assert run.say(b"defg", 4, 1, b"") is True
    reader.read()
    reader.sent()
    reader.push = lambda *_: True
    waiting = asyncio.ensure_future(reader.wait())
    await ticks()
    assert run.say(b"x" * 100, 100, 1, b"") is False
    assert reader.unsent == 0
    waiting.cancel()
    run.detach(reader)
    says.go.set()
    await asyncio.wait({run.task})
