"""docs/api.md: every route, event, frame and code is in it, and its examples are what a gateway answers."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect

from gateway.mlflow.routes import ENDPOINTS
from gateway.web.error_codes import ERROR_CODES
from gateway.web.routes import ROUTES
from gateway.wire import native_events
from gateway.wire.native_events import StreamEvent
from tests.support.http_client import call, hear, socket_url
from tests.support.servers import GatewayProcess

TEXT = (Path(__file__).parents[1] / "docs" / "api.md").read_text()
JUDGE = {"targets": ["demo/lorem-3-0ms"], "judge": True}
CONFIG: dict[str, Any] = {
    "models": {"default": {"targets": ["demo/lorem-3-0ms"]}, "echo": {"targets": ["demo/echo"]}, "judge": JUDGE},
    "feedback": {"dimensions": {"accuracy": {"min": 1, "max": 5}, "tone": {"options": ["too formal", "right"]}}},
}
FRAMES = {"chat", "stop", "resume", "feedback", "ping", "pong", "feedback_recorded", "error"}


class Example:
    """A request with its answer, as the document has them: `POST /path`, headers, a body; status, and what came."""

    def __init__(self, text: str) -> None:
        asked, _, answered = text.strip().partition("\n\n")
        head, *rest = asked.splitlines()
        self.method, self.target = head.split(" ", 1)
        self.headers = dict(line.split(": ", 1) for line in rest if line[0] != "{")
        self.body = next((line for line in rest if line[0] == "{"), None)
        status, _, self.reply = answered.partition("\n")
        self.status = int(status)

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", TEXT, re.M | re.S)


EXAMPLES = [Example(text) for text in blocks("http")]


class Known:
    """What the answers so far have named: each `…` of a request stands for the newest."""

    def __init__(self) -> None:
        self.newest: dict[str, str] = {}

    def learn(self, text: str) -> None:
        for name, form in (("tr-…", r"tr-[0-9a-f]{32}"), ("gw-ft-…", r"gw-ft-[\w.-]+"), ("gw-wt-…", r"gw-wt-[\w-]+")):
            for found in re.findall(form, text):
                self.newest[name] = found
        for found in reversed(re.findall(r'"span_id":"([0-9a-f]{16})"', text)):
            self.newest["/spans/…"] = f"/spans/{found}"

    def fill(self, text: str) -> str:
        for name, value in self.newest.items():
            text = text.replace(name, value)
        return text


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("api"), CONFIG) as process:
        yield process


def test_the_examples(gateway: GatewayProcess) -> None:
    """One after the other, since each goes on from those before it."""
    known = Known()
    for example in EXAMPLES:
        if example.target == "/events":
            found = [*listen(gateway)]
            assert fits([json.loads(line[6:]) for line in example.reply.splitlines()], found), found
            continue
        body = None if example.body is None else known.fill(example.body).encode()
        headers = example.headers | ({"Content-Type": "application/json"} if body else {})
        reply = call(gateway, example.method, known.fill(example.target), body, headers)
        said = reply.body.decode()
        known.learn(said)
        assert reply.status == example.status, f"{example}: {reply.status} {said}"
        assert as_documented(example.reply, said), f"{example}: {said}"


def listen(gateway: GatewayProcess) -> Iterator[Any]:
    """The events of a chat and of its rating."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.request("GET", "/events")
    reply = connection.getresponse()
    asked = call(gateway, "POST", "/chat", {"message": "Hi", "user_id": "ann"}).json
    call(gateway, "POST", f"/feedback?trace_id={asked['trace_id']}&user_id=ann", {"is_correct": True})
    left = 2
    while left:
        if (line := reply.readline().decode()).startswith("data: "):
            left -= 1
            yield json.loads(line[6:])
    connection.close()


def as_documented(wanted: str, said: str) -> bool:
    """JSON by its values, a stream by its events, and other text by its lines."""
    events = [line[6:] for line in wanted.splitlines() if line.startswith("data: ")]
    if events:
        return fits(merged(events), merged(line[6:] for line in said.splitlines() if line.startswith("data: ")))
    if wanted.startswith("{") and not wanted.endswith("…"):
        return fits(json.loads(wanted), json.loads(said))
    return all(any(matches(line, one) for one in said.splitlines()) for line in wanted.splitlines())


def merged(events: Any) -> list[Any]:
    """Decoded, pieces of text that follow each other as one: how many there are is chance."""
    found: list[Any] = []
    for text in events:
        event = text if text == "[DONE]" else json.loads(text)
        field = isinstance(event, dict) and {"token": "content", "text-delta": "delta"}.get(event["type"])
        if field and found and found[-1]["type"] == event["type"]:
            found[-1] |= {"seq": event.get("seq", 0), field: found[-1][field] + event[field]}
        else:
            found.append(event)
    return found


def fits(wanted: Any, found: Any) -> bool:
    """`…` is any text, a number any number; all else is what it is."""
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict) and wanted.keys() == found.keys() and all(fits(wanted[k], found[k]) for k in wanted)
        )
    if isinstance(wanted, list):
        return isinstance(found, list) and len(wanted) == len(found) and all(map(fits, wanted, found))
    if isinstance(wanted, str):
        return isinstance(found, str) and matches(wanted, found)
    if isinstance(wanted, bool) or wanted is None:
        return wanted is found
    return type(wanted) is type(found)


def matches(wanted: str, found: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, wanted.split("…"))), found, re.S) is not None


async def test_the_socket(gateway: GatewayProcess) -> None:
    """Its frames, in their order; text in as many pieces as it comes."""
    (text,) = blocks("ws")
    known = Known()
    async with connect(socket_url(gateway)) as ws:
        for line in text.splitlines():
            if line.startswith("> "):
                await ws.send(known.fill(line[2:]))
                continue
            wanted = json.loads(line[2:])
            found = await hear(ws)
            while wanted["type"] == "token" and len(found["content"]) < len(wanted["content"]):
                (found,) = merged(json.dumps(piece) for piece in (found, await hear(ws)))
            known.learn(json.dumps(found))
            assert fits(wanted, found), found


def test_every_route_has_an_example() -> None:
    """Under a heading of its own."""
    for route in ROUTES:
        assert f"\n### `{route.method} {route.path}`\n" in TEXT
        form = re.sub(r"{\w+}", "[^/?]+", route.path) + r"(\?.*)?"
        assert [one for one in EXAMPLES if one.method == route.method and re.fullmatch(form, one.target)], route.path


def test_mlflows_routes_are_listed() -> None:
    """As its own table has them."""
    listed = re.findall(r"^\| `(\w+) (/\S+)` \|", TEXT, re.M)
    assert listed == [(endpoint.method, endpoint.path) for endpoint in ENDPOINTS]


def test_every_event_has_an_example() -> None:
    """Which has all of its fields and no others."""
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| `({.*})` \|$", TEXT, re.M)
    assert {name for name, _ in rows} == {kind.__struct_config__.tag for kind in StreamEvent.__args__}
    for name, text in rows:
        assert json.loads(text)["type"] == name
        assert msgspec.json.encode(msgspec.json.decode(text, type=StreamEvent)).decode() == text


def test_every_frame_has_an_example() -> None:
    """Those of clients and the gateway's own."""
    (text,) = blocks("ws")
    shown = {json.loads(line[2:])["type"] for line in text.splitlines()}
    tags = {kind.__struct_config__.tag for name, kind in vars(native_events).items() if name.endswith("Frame")}
    assert shown >= FRAMES >= tags


def test_every_code_is_listed() -> None:
    """With its status and meaning."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (.*) \|$", TEXT, re.M)
    assert {code: (int(status), meaning) for code, status, meaning in rows} == ERROR_CODES
