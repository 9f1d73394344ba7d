"""What the next start makes of traces that a crash left open."""

from __future__ import annotations

import msgspec

from gateway.domain.ids import now_ms
from gateway.domain.trace import Checkpoint, Outcome, State
from gateway.storage.engine import Engine
from gateway.storage.recovery import recover
from gateway.storage.scripts.traces import begin_trace, checkpoint, finish_trace, get_spans, get_trace
from tests.support.rows import PROJECT, a_start, an_end, ask


async def test_an_open_trace_is_closed_with_its_text(engine: Engine) -> None:
    """The checkpoints become the answer, in order, and are gone."""
    start = a_start(request_time=1)
    await engine.write(begin_trace, start)
    pieces = [
        '[["reasoning","th"],["reasoning","ink"],["text","Hel"]]',
        '[["text","lo "],["tool_call",{"index":0,"function":{"name":"f","arguments":"{}"}}]]',
        '[["tool_call",{"index":1,"function":{"name":"g","arguments":""}}],["text","wörld"],["other",{"x":"a"}]]',
        '[["other",{"x":"b"}]]',
    ]
    await engine.write(
        checkpoint, [Checkpoint(start.trace_id, seq, piece) for seq, piece in enumerate(pieces)], now_ms()
    )
    assert await recover(engine, 5_000) == 1
    trace = await engine.read(get_trace, PROJECT, start.trace_id)
    assert trace is not None
    assert (trace.state, trace.outcome, trace.end_time) == (State.ERROR, Outcome.INTERRUPTED, 5_000)
    assert (trace.error_code, trace.error_message) == ("server_shutdown", "The server stopped while answering.")
    assert (trace.finish_reason, trace.response_preview) == (None, "Hello wörld")
    assert trace.parts is not None
    assert [kind for kind, _ in msgspec.json.decode(trace.parts)] == [
        *("reasoning", "text", "tool_call", "tool_call", "text", "other", "other"),
    ]
    assert trace.response is not None
    [message] = msgspec.json.decode(trace.response)
    assert (message["content"], message["reasoning_content"], message["x"]) == ("Hello wörld", "think", "ab")
    assert trace.duration_ms is not None
    assert trace.duration_ms > 1_000_000_000_000  # the checkpoint's time is the clock's
    assert await engine.write(ask, "SELECT COUNT(*) FROM checkpoints") == [(0,)]
    [root] = await engine.read(get_spans, start.trace_id)
    assert (root.span_id, root.status, root.end_ms - root.start_ms) == (start.root_span_id, "ERROR", trace.duration_ms)


async def test_one_without_text_has_no_duration(engine: Engine) -> None:
    """It ended before its first checkpoint."""
    start = a_start()
    await engine.write(begin_trace, start)
    await recover(engine, 5_000)
    trace = await engine.read(get_trace, PROJECT, start.trace_id)
    assert trace is not None
    assert (trace.duration_ms, trace.response_preview, trace.parts) == (0, "", "[]")


async def test_uncaptured_content_stays_uncaptured(engine: Engine) -> None:
    """Where the request's text isn't stored, the answer's isn't either; the preview goes by the preview."""
    preview, none = a_start(request=None), a_start(request=None, request_preview=None)
    for start in (preview, none):
        await engine.write(begin_trace, start)
        await engine.write(checkpoint, [Checkpoint(start.trace_id, 1, '[["text","secret"]]')], now_ms())
    assert await recover(engine, 5_000) == 2
    kept = [await engine.read(get_trace, PROJECT, start.trace_id) for start in (preview, none)]
    assert [trace and (trace.response_preview, trace.response, trace.parts) for trace in kept] == [
        ("secret", None, None),
        (None, None, None),
    ]


async def test_recovery_leaves_finished_traces_alone(engine: Engine) -> None:
    """And takes more than one batch where many are open."""
    done = a_start()
    await engine.write(begin_trace, done)
    await engine.write(finish_trace, an_end(done))
    for _ in range(120):
        last = engine.write(begin_trace, a_start())
    await last
    assert await recover(engine, 5_000) == 120
    assert await recover(engine, 6_000) == 0
    trace = await engine.read(get_trace, PROJECT, done.trace_id)
    assert trace is not None
    assert trace.outcome is Outcome.COMPLETE
