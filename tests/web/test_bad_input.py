"""Bad input never gives a 5xx, nor a stack trace in the log: odd text, wrong types and broken JSON in every field.

One property over every route of the product's tables, sent into the real application with a real store, in this
process for speed. CONTRIBUTING.md says how to try 50,000 examples.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from gateway import app, erasure
from gateway.config.schema import Config, Dimension, Feedback, Model, Provider, StoreConfig, Streaming
from gateway.observability.logs import Logs, Writer
from gateway.storage.sqlite import engine
from tests.support.bad_input import Request, frames, requests
from tests.support.examples import tried
from tests.support.route_fields import Target, targets

HOST = (b"host", b"localhost")
ORIGIN = (b"origin", b"http://" + HOST[1])
JSON = (b"content-type", b"application/json")
_FRESH = 101  # requests; then other things are known, since some of them were deleted


class Inside:
    """The application in this process, and what happened in it. `known` is filled with IDs of what is in its store."""

    def __init__(self, folder: Path) -> None:
        self.known: dict[str, str] = {}
        self.statuses: Counter[str] = Counter()
        self.failures: list[str] = []
        self._turn = 0
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        config = Config(
            store=StoreConfig(url=f"sqlite:///{folder}/gateway.db"),
            providers={"demo": Provider(kind="demo")},
            models={"default": Model(targets=("demo/lorem-2-0ms",))},
            feedback=Feedback(dimensions={"accuracy": Dimension(min=1, max=5)}),
            streaming=Streaming(resume_window_s=1),
        )
        self._runner.run(self._start(config))
        self._fill()

    async def _start(self, config: Config) -> None:
        self._logs = Logs(Writer(os.open(os.devnull, os.O_WRONLY)), pretty=False, colour=False)
        gateway = await self._stack.enter_async_context(app.opened(config, self._logs, engine))
        self._sweep = asyncio.create_task(gateway.runs.sweep_forever())
        self._app = gateway.app

    def close(self) -> None:
        async def end() -> None:
            self._sweep.cancel()
            await self._stack.aclose()

        self._runner.run(end())
        self._runner.close()

    def ask(self, request: Request) -> tuple[int, bytes]:
        """Send one request, and return status and body."""
        self._turn += 1
        if self._turn % _FRESH == 0:
            self._fill()
        status, body = self._runner.run(self._exchange(request))
        self.statuses[f"{status // 100}xx"] += 1
        return status, body

    def _fill(self) -> None:
        """Put one of each kind into the store."""
        v2, v3 = "/api/2.0/mlflow", "/api/3.0/mlflow"
        chat = self._made("/chat", {"message": "hi", "user_id": "ann", "client_request_id": "r", "tags": {"k": "v"}})
        trace = chat["trace_id"]
        rating = self._made(f"/feedback?trace_id={trace}&user_id=ann", {"is_correct": True})["assessment_id"]
        if self._turn % 2 == 0:
            place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
            info = {"trace_id": f"tr-{self._turn + 1:032x}", "trace_location": place, "state": "OK"}
            trace = self._made(f"{v3}/traces", {"trace": {"trace_info": info}})["trace"]["trace_info"]["trace_id"]
        experiment = self._made(f"{v2}/experiments/create", {"name": f"e{self._turn}"})["experiment_id"]
        run = self._made(f"{v2}/runs/create", {"experiment_id": "0", "run_name": "r"})["run"]["info"]["run_id"]
        dataset = self._made(f"{v3}/datasets/create", {"name": f"d{self._turn}"})["dataset"]["dataset_id"]
        self.known.update(
            trace_id=trace, request_id=trace, session_id=chat["session_id"], assessment_id=rating, overrides=rating,
            experiment_id=experiment, run_id=run, run_uuid=run, dataset_id=dataset, user_id="ann", source_id="ann",
            client_request_id="r", name=f"n{self._turn}", key="k", model="default", model_id="default", state="OK",
            status="FINISHED", view_type="ACTIVE_ONLY", run_view_type="ALL", accuracy="4", after="1", max_results="5",
            x_feedback_token=chat["feedback_token"], experiment_name="Default", run_name="r", message="hi",
            id="c1", last_event_id="1",
        )  # fmt: skip

    def _made(self, path: str, body: Any) -> Any:
        path, _, query = path.partition("?")
        request = Request(Target("POST", path), path, query.encode(), (), json.dumps(body).encode())
        status, reply = self._runner.run(self._exchange(request))
        assert status == 200, reply
        return json.loads(reply)

    async def _exchange(self, request: Request) -> tuple[int, bytes]:
        sent: list[Any] = []
        over = asyncio.Event()
        came = [{"type": "http.request", "body": request.body}]

        async def receive() -> Any:
            if came:
                return came.pop()
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)
            if request.target.endless or (message["type"] == "http.response.body" and not message.get("more_body")):
                over.set()

        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "scheme": "http",
            "method": request.target.method, "path": request.path, "raw_path": b"", "query_string": request.query,
            "root_path": "", "headers": [HOST, ORIGIN, JSON, *request.headers], "client": ("127.0.0.1", 5),
            "server": ("127.0.0.1", 8000), "extensions": {},
        }  # fmt: skip
        async with asyncio.timeout(20):
            await self._app(scope, receive, send)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        return int(sent[0]["status"]), body

    def say(self, frame: bytes) -> list[Any]:
        """Send one frame by a new socket, and a ping after it; return what was answered before the pong."""
        return self._runner.run(self._talk(frame))

    async def _talk(self, frame: bytes) -> list[Any]:
        sent: list[Any] = []
        over = asyncio.Event()
        ping = '{"type":"ping","id":"the last"}'
        came: list[dict[str, Any]] = [{"type": "websocket.receive", "text": ping}]
        came += [{"type": "websocket.receive", "text": frame.decode("utf-8", "replace")}, {"type": "websocket.connect"}]

        async def receive() -> Any:
            if came:
                return came.pop()
            await over.wait()
            return {"type": "websocket.disconnect", "code": 1000}

        async def send(message: Any) -> None:
            sent.append(message)
            if message["type"] == "websocket.close" or '"the last"' in message.get("text", ""):
                over.set()

        scope = {
            "type": "websocket", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "scheme": "ws", "path": "/chat/ws", "raw_path": b"/chat/ws", "query_string": b"", "root_path": "",
            "headers": [HOST], "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8000), "subprotocols": [],
            "extensions": {},
        }  # fmt: skip
        async with asyncio.timeout(20):
            await self._app(scope, receive, send)
        self.statuses.update("error" if '"error"' in each.get("text", "") else each["type"] for each in sent)
        return sent


class Noted(logging.Handler):
    """Keeps the log's records that are errors."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self.found.append(logging.Formatter().format(record))


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    """Erasures rewrite no file, which takes long and has nothing to do with what was sent."""
    monkeypatch.setattr(erasure, "SMALL_BYTES", 0)
    made = Inside(tmp_path)
    try:
        yield made
    finally:
        made.close()


def test_bad_input_is_never_a_fault_of_the_gateways(inside: Inside) -> None:
    """Neither the status nor the log says so, whatever is sent to whichever route."""
    noted = Noted()
    logging.getLogger("gateway").addHandler(noted)

    @tried(1500)
    @given(requests(inside.known))
    def one(request: Request) -> None:
        status, body = inside.ask(request)
        problem = noted.found.pop() if noted.found else body[:500] if status >= 500 or b"Traceback" in body else None
        assert problem is None, f"{request.shown()}: {status} {problem!r}"

    try:
        one()
    finally:
        logging.getLogger("gateway").removeHandler(noted)
    print(dict(inside.statuses))
    assert {"2xx", "4xx"} <= inside.statuses.keys()


def test_bad_frames_are_never_a_fault_of_the_gateways(inside: Inside) -> None:
    """They are answered by an error frame at most, and the socket stays open."""
    noted = Noted()
    logging.getLogger("gateway").addHandler(noted)

    @tried(500, most=10_000)
    @given(frames(inside.known))
    def one(frame: bytes) -> None:
        sent = inside.say(frame)
        told = [each.get("text", "") for each in sent]
        bad = any(code in text for text in told for code in ("internal_error", "store_unavailable", "Traceback"))
        closed = any(each["type"] == "websocket.close" for each in sent)
        problem = (frame[:2000], told, noted.found) if bad or closed or noted.found else None
        assert problem is None

    try:
        one()
    finally:
        logging.getLogger("gateway").removeHandler(noted)
    assert {"error", "websocket.send"} <= inside.statuses.keys()


def test_the_fields_of_every_route_are_known() -> None:
    """Each route that takes a body has types for it, or is one whose body is no JSON of a type."""
    for target in targets():
        if target.method in ("POST", "PUT", "PATCH"):
            assert target.body or target.raw or target.path.endswith(("/stop", "/logout")), target
