"""`gateway tail`: from a real store, and from a real feed over HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import msgspec
import pytest

from gateway.cli import tail
from gateway.domain.activity import Activity
from gateway.domain.ids import new_assessment_id, new_span_id, new_trace_id, now_ms
from gateway.domain.trace import Outcome, Rating, TraceEnd, TraceStart
from gateway.errors import GatewayError
from gateway.observability.feed import Lost
from gateway.storage.scripts.feedback import FeedbackWrite, record_feedback
from gateway.storage.scripts.traces import begin_trace, finish_trace
from gateway.storage.sqlite.engine import SQLiteStore
from tests.support.activities import TRACE, chat, rating


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printer(out: io.StringIO, *, as_json: bool = True, errors: bool = False, feedback: bool = False) -> tail.Printer:
    return tail.Printer(out, as_json=as_json, errors=errors, feedback=feedback)


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[tuple[SQLiteStore, SQLiteStore]]:
    """The server's, and the one beside it."""
    server = await SQLiteStore.open(tmp_path / "g.db", own=True)
    beside = await SQLiteStore.open(tmp_path / "g.db", own=False, create=False)
    yield server, beside
    await beside.close()
    await server.close()


async def finish(store: SQLiteStore, outcome: Outcome = Outcome.COMPLETE, *, end_time: int | None = None) -> str:
    trace_id, now = new_trace_id(), now_ms()
    await store.write(
        begin_trace,
        TraceStart(
            trace_id=trace_id,
            root_span_id=new_span_id(),
            project="default",
            route="/chat",
            request_time=now,
            model="default",
            session_id=f"s-{trace_id}",
            request_preview="hi",
        ),
    )
    end = TraceEnd(trace_id=trace_id, project="default", outcome=outcome, end_time=end_time or now_ms(), duration_ms=1)
    await store.write(finish_trace, end)
    return trace_id


async def rate(store: SQLiteStore, trace_id: str) -> None:
    write = FeedbackWrite(
        project="default",
        trace_id=trace_id,
        client_request_id=None,
        source_id="mia",
        ratings=(Rating("user_feedback", True, "Good!", {}),),
        assessment_ids=(new_assessment_id(),),
        now=now_ms(),
    )
    await store.write(record_feedback, write)


def shown(out: io.StringIO) -> list[tuple[str, str]]:
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    return [(record["event"], record["trace_id"]) for record in records]


async def test_the_past_is_shown_from_beside_the_server(stores: tuple[SQLiteStore, SQLiteStore]) -> None:
    """Chats and ratings since that time, oldest first, and no more."""
    server, beside = stores
    await finish(server, end_time=now_ms() - 100_000)
    trace_id = await finish(server)
    await rate(server, trace_id)
    out = io.StringIO()
    count = await tail.from_store(beside, printer(out), now_ms() - 50_000, follow=False)
    assert count == 2
    assert shown(out) == [("chat", trace_id), ("rating", trace_id)]


async def test_errors_alone(stores: tuple[SQLiteStore, SQLiteStore]) -> None:
    """The store leaves the rest out by itself."""
    server, beside = stores
    await finish(server)
    bad = await finish(server, Outcome.TIMEOUT)
    out = io.StringIO()
    assert await tail.from_store(beside, printer(out, errors=True), 0, follow=False, errors=True) == 1
    assert shown(out) == [("chat", bad)]


async def test_following_loses_and_repeats_nothing(
    stores: tuple[SQLiteStore, SQLiteStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that were there, that come later, that come with an old time, and more at once than one look takes."""
    monkeypatch.setattr(tail, "POLL_S", 0.01)
    monkeypatch.setattr(tail, "FAR_EVERY", 3)
    server, beside = stores
    before = await finish(server)
    out = io.StringIO()
    task = asyncio.create_task(tail.from_store(beside, printer(out), now_ms() - 60_000, follow=True))
    await until(out, 1)
    late = await finish(server, end_time=now_ms() - 30_000)
    many = await asyncio.gather(*(finish(server) for _ in range(1200)))
    await until(out, 1202)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(shown(out)) == sorted(("chat", trace_id) for trace_id in [before, late, *many])


async def until(out: io.StringIO, lines: int) -> None:
    async with asyncio.timeout(20):
        while out.getvalue().count("\n") < lines:  # noqa: ASYNC110 - the text sets no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("errors", "feedback", "wanted"),
    [(False, False, [0, 1, 2, 3]), (True, False, [1, 2]), (False, True, [3]), (True, True, [1, 2, 3])],
)
def test_what_is_left_out(errors: bool, feedback: bool, wanted: list[int]) -> None:
    """--errors: what ended in state ERROR, and outcomes nobody knows; --feedback: ratings; both: both."""
    records: list[Activity] = [chat(), chat(outcome="interrupted"), chat(outcome="novel"), rating()]
    chosen = printer(io.StringIO(), errors=errors, feedback=feedback)
    assert [at for at, record in enumerate(records) if chosen.wants(record)] == wanted


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool) -> None:
    """Unless NO_COLOR is set; the line ends with its width."""
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("COLUMNS", "100")
    out = Terminal()
    printer(out, as_json=False).show(chat(preview="x" * 300))
    assert ("\x1b[" in out.getvalue()) is coloured
    if not coloured:
        assert len(out.getvalue()) <= 101


def test_what_is_left_out_is_not_shown() -> None:
    """Not even as an empty line."""
    out = io.StringIO()
    printer(out, feedback=True).show(chat())
    assert out.getvalue() == ""


def test_a_pipe_gets_plain_whole_lines() -> None:
    """No escapes, nothing cut."""
    out = io.StringIO()
    printer(out, as_json=False).show(chat(preview="x" * 300))
    assert "\x1b" not in out.getvalue()
    assert "x" * 300 in out.getvalue()


# --- from a running gateway ------------------------------------------------------------------------------------------


class Events(BaseHTTPRequestHandler):
    """An event stream as sse-starlette writes it."""

    key = "Bearer gw-sk-x"

    def do_GET(self) -> None:
        status = {"/events": 200, "/closed/events": 401}.get(self.path, 404)
        if self.headers.get("Authorization") != self.key:
            status = 403
        self.send_response(status)
        self.end_headers()
        if status == 200:
            first = msgspec.json.encode(chat())
            cut = first.index(b",") + 1
            self.wfile.write(b": ping - 2026\r\n\r\nevent: chat\r\ndata: " + first[:cut])
            self.wfile.write(b"\r\ndata: " + first[cut:] + b"\r\n\r\n")
            self.wfile.write(b'data: {"event":"novel"}\r\n\r\n')
            for record in (Lost(3), rating()):
                self.wfile.write(b"data:" + msgspec.json.encode(record) + b"\n\n")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def feed(port: int = 0) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", port), Events)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_live_feed_is_shown() -> None:
    """Split data lines are one event, pings and unknown kinds are passed over, losses are told."""
    out, notes = io.StringIO(), list[str]()
    with feed() as url:
        tail.from_url(url + "/", "gw-sk-x", printer(out), notes.append)
    assert shown(out) == [("chat", TRACE), ("rating", TRACE)]
    assert notes == ["3 lines were lost here, since this reader was too slow."]


def test_a_feed_that_is_lost_is_followed_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said once that it is away, however often it is asked for; a key that has ended is the end."""
    out, notes, server = io.StringIO(), list[str](), ExitStack()
    with server:
        url = server.enter_context(feed())
        between: Iterator[Callable[[], object]] = iter(
            [
                server.close,
                lambda: None,
                lambda: server.enter_context(feed(urlsplit(url).port or 0)),
                lambda: monkeypatch.setattr(Events, "key", "Bearer gw-sk-y"),
            ]
        )
        monkeypatch.setattr(tail, "time", SimpleNamespace(sleep=lambda _: next(between)()))
        with pytest.raises(GatewayError, match="admin key"):
            tail.from_url(url, "gw-sk-x", printer(out), notes.append, follow=True)
    assert shown(out) == [("chat", TRACE), ("rating", TRACE)] * 2
    said = ["3 lines were lost here, since this reader was too slow.", f"{url} ended the feed. Trying again."]
    assert notes == [*said, f"{url} is back. What happened meanwhile is in the store.", *said]


@pytest.mark.parametrize(
    ("path", "key", "word"), [("", None, "admin key"), ("/closed", "gw-sk-x", "admin key"), ("/no", "gw-sk-x", "404")]
)
def test_a_refusal_is_one_line(path: str, key: str | None, word: str) -> None:
    """What is missing, in words."""
    with feed() as url, pytest.raises(GatewayError, match=word):
        tail.from_url(url + path, key, printer(io.StringIO()), print)


@pytest.mark.parametrize(
    "url", ["ftp://x", "nonsense", "http://127.0.0.1:1", "https://127.0.0.1:1", "http://x:99999", "http://[x"]
)
def test_an_address_that_is_none(url: str) -> None:
    """Or where nobody listens."""
    with pytest.raises(GatewayError):
        tail.from_url(url, None, printer(io.StringIO()), print)


def test_a_key_that_no_header_can_hold() -> None:
    """Pasted with a line end in it."""
    with feed() as url, pytest.raises(GatewayError):
        tail.from_url(url, "gw-sk-\nx", printer(io.StringIO()), print)
