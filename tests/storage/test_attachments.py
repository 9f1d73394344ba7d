"""Pictures and other large data in messages: stored once for a project, read back whole, gone with their last trace."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.mlflow.scripts.traces import get_spans_of
from gateway.mlflow.values import ChatSpans
from gateway.storage.engine import Engine
from gateway.storage.scripts.attachments import LEAST, detach
from gateway.storage.scripts.erase import ErasureTarget, erase_traces
from gateway.storage.scripts.kept import DELETED, delete_trace
from gateway.storage.scripts.listing import get_span
from gateway.storage.scripts.traces import begin_trace, finish_trace, get_trace, session_traces
from tests.support.rows import PROJECT, a_start, an_end, ask

PICTURE = "data:image/png;base64," + "iVBORw0KGgo/+" * 1000 + "A="
SOUND = "UklGR" * 2000


def messages(*data: str) -> str:
    parts = [{"type": "image_url", "image_url": {"url": each}} for each in data]
    return json.dumps([{"role": "user", "content": [{"type": "text", "text": "look"}, *parts]}])


async def stored(engine: Engine) -> int:
    """How many pieces of data there are."""
    ((count,),) = await engine.write(ask, "SELECT COUNT(*) FROM attachments")
    ((marks,),) = await engine.write(ask, "SELECT COUNT(DISTINCT project || digest) FROM trace_attachments")
    assert count == marks
    return int(count)


async def test_a_picture_is_stored_once_and_read_whole(engine: Engine) -> None:
    """Turn after turn of a conversation; another project's is its own."""
    requests = [messages(PICTURE), messages(PICTURE, SOUND), messages(SOUND, PICTURE, PICTURE)]
    starts = [a_start(session_id="s", request_time=at, request=text) for at, text in enumerate(requests)]
    for start in starts:
        await engine.write(begin_trace, start)
    assert await stored(engine) == 2
    assert [turn.request for turn in await engine.read(session_traces, PROJECT, "s")] == requests
    for start in starts:
        trace = await engine.read(get_trace, PROJECT, start.trace_id)
        assert trace is not None
        assert trace.request == start.request
    await engine.write(begin_trace, a_start(project="other", request=requests[0]))
    assert await stored(engine) == 3


async def test_who_looks_at_a_span_sees_it_whole(engine: Engine) -> None:
    """In the app as by MLflow's client."""
    start = a_start(request=messages(PICTURE))
    await engine.write(begin_trace, start)
    await engine.write(finish_trace, an_end(start))
    span = await engine.read(get_span, PROJECT, start.trace_id, start.root_span_id)
    assert span.request == start.request
    spans = (await engine.read(get_spans_of, PROJECT, [start.trace_id]))[start.trace_id]
    assert isinstance(spans, ChatSpans)
    assert spans.trace.request == start.request


async def test_it_goes_with_the_last_trace_that_has_it(engine: Engine) -> None:
    """Whether traces are deleted, or a person's are erased."""
    starts = [a_start(request=messages(PICTURE, *more)) for more in ((), (SOUND,), ())]
    for start in starts:
        await engine.write(begin_trace, start)
    row, *_ = await engine.write(ask, f"SELECT {DELETED} FROM traces WHERE trace_id = '{starts[0].trace_id}'")  # noqa: S608

    def delete() -> Any:
        yield from delete_trace(dict(zip(DELETED.split(", "), row, strict=True)))

    await engine.write(delete)
    assert await stored(engine) == 2
    for start, left in ((starts[1], 1), (starts[2], 0)):
        await engine.write(erase_traces, [ErasureTarget(start.trace_id, PROJECT, start.session_id)], ())
        assert await stored(engine) == left
        trace = await engine.read(get_trace, PROJECT, start.trace_id)
        assert trace is not None
        assert trace.request is None


async def test_a_large_picture_counts_for_the_size_of_a_conversation(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Since it is in memory where the turns are read."""
    monkeypatch.setattr("gateway.storage.scripts.traces.MOST_CHARS", 2 * len(PICTURE))
    for at in range(3):
        await engine.write(begin_trace, a_start(session_id="s", request_time=at, request=messages(PICTURE)))
    assert [turn.request_time for turn in await engine.read(session_traces, PROJECT, "s")] == [2]


@pytest.mark.parametrize(
    "text",
    [
        "A" * (LEAST - 1),
        "word " * LEAST,
        "[0.1,0.2]," * LEAST,
        "é" * LEAST,
        "A" * LEAST + "é",
        "{" + "A" * LEAST,
        "A" * LEAST + "}",
    ],
)
def test_text_is_left_alone(text: str) -> None:
    """What is short, has blanks, or isn't made of what data is made of."""
    request = messages(text)
    assert detach(request) == (request, {})


async def test_odd_texts_are_read_as_they_were(engine: Engine) -> None:
    """Escapes, quotes within a text, and texts that look like a mark."""
    odd = [PICTURE.replace("/", "\\/"), 'he said "' + "A" * LEAST + '" and left', '"gateway-attachment:' + "0" * 64]
    start = a_start(request=messages(*odd).replace("\\\\/", "\\/"))
    await engine.write(begin_trace, start)
    assert await stored(engine) == 2
    trace = await engine.read(get_trace, PROJECT, start.trace_id)
    assert trace is not None
    assert trace.request == start.request
