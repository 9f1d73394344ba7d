"""The AI SDK's routes over a socket: head, replay, stop, and refusals as text. frontend/tests/aisdk has its clients."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from tests.support.http_client import call
from tests.support.servers import GatewayProcess
from tests.web.conftest import PAGE, Locked

HI = [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}]


@contextmanager
def streaming(
    gateway: GatewayProcess, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
) -> Iterator[http.client.HTTPResponse]:
    """A response that is still on its way."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    data = None if body is None else json.dumps(body)
    with closing(connection):
        connection.request(method, target, data, {"Content-Type": "application/json"} | (headers or {}))
        with connection.getresponse() as response:
            yield response


def trace_of(response: http.client.HTTPResponse) -> str:
    """Also on the head; its text must have begun."""
    while b"text-delta" not in (line := response.readline()):
        assert line
    trace_id = response.headers["X-Trace-Id"]
    assert trace_id
    return trace_id


def test_a_whole_stream(edge: GatewayProcess) -> None:
    """With the head that the SDK names, and [DONE] at its end."""
    reply = call(edge, "POST", "/api/chat", {"id": "ui-whole", "messages": HI})
    assert reply.status == 200
    assert reply.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.body.startswith(b": stream-open\n")
    assert reply.body.endswith(b"data: [DONE]\n\n")
    (turn,) = call(edge, "GET", "/sessions/ui-whole").json["turns"]
    assert turn["trace_id"] == reply.headers["x-trace-id"]


def test_replay_and_stop(edge: GatewayProcess) -> None:
    """Who comes back gets all of it from the start; a stop ends both."""
    body = {"id": "ui/odd id", "messages": HI, "model": "slow"}
    with streaming(edge, "POST", "/api/chat", body) as first:
        trace_id = trace_of(first)
        with streaming(edge, "GET", "/api/chat/ui%2Fodd%20id/stream") as second:
            assert trace_of(second) == trace_id
            stopped = call(edge, "POST", "/api/chat/ui%2Fodd%20id/stop")
            assert stopped.json == {"status": "success", "trace_id": trace_id, "outcome": "stopped"}
            for response in (first, second):
                assert b'{"type":"abort","reason":"stopped"}' in response.read()
    assert call(edge, "GET", "/api/chat/ui%2Fodd%20id/stream").status == 204


def test_refusals_are_text(edge: GatewayProcess) -> None:
    """The SDK shows the body to people as it is."""
    for body in (b"{", {"id": "x"}, {"id": "x", "messages": HI, "model": "none"}):
        reply = call(edge, "POST", "/api/chat", body)
        assert reply.status in (400, 404, 422)
        assert reply.headers["content-type"].startswith("text/plain")
        assert not reply.body.startswith(b"{")


def test_a_chat_is_its_users(edge: GatewayProcess) -> None:
    """Neither read, nor stopped, nor continued by another."""
    body = {"id": "ui-ann", "user_id": "ann", "messages": HI, "model": "slow"}
    with streaming(edge, "POST", "/api/chat", body) as first:
        trace_of(first)
        assert call(edge, "GET", "/api/chat/ui-ann/stream?user_id=bob").status == 404
        assert call(edge, "POST", "/api/chat/ui-ann/stop").status == 404
        assert call(edge, "POST", "/api/chat", body | {"user_id": "bob"}).status == 404
        assert call(edge, "POST", "/api/chat/ui-ann/stop?user_id=ann").json["outcome"] == "stopped"
        first.read()


def test_the_system_text_in_force_comes_first(edge: GatewayProcess) -> None:
    """Also before the stored turns, and in place of theirs."""
    for system in ("Be brief.", "Be kind."):
        body = {"id": "ui-system", "message": HI[0], "system": system}
        reply = call(edge, "POST", "/api/chat", body)
    sent = edge.store.trace(reply.headers["x-trace-id"])["request"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert sent[0]["content"] == "Be kind."


def test_a_pages_second_turn_is_the_same_raters(shop: Locked) -> None:
    """By the token that the history's metadata have; one that is none changes nothing, and nobody else gets in."""
    page, headers = shop.keys["page"], {"Origin": PAGE}
    body: dict[str, Any] = {"id": "ui-page", "messages": HI}
    first = call(shop.gateway, "POST", "/api/chat", body, headers, key=page)
    metadata = first.events[0]["messageMetadata"]
    said = {"id": "a", "role": "assistant", "metadata": metadata, "parts": [{"type": "text", "text": "ho"}]}
    body["messages"] = [*HI, said, *HI]
    second = call(shop.gateway, "POST", "/api/chat", body, headers, key=page)
    assert second.status == 200
    owners = {shop.gateway.store.trace(each.headers["x-trace-id"])["user_id"] for each in (first, second)}
    assert len(owners) == 1
    for nobody in ({}, {"metadata": {"feedbackToken": "gw-ft-x"}}, {"metadata": 1}):
        strange = body | {"messages": [*HI, {key: said[key] for key in ("role", "parts")} | nobody, *HI]}
        assert call(shop.gateway, "POST", "/api/chat", strange, headers, key=page).status == 404
    by_header = headers | {"X-Feedback-Token": metadata["feedbackToken"]}
    assert call(shop.gateway, "POST", "/api/chat", strange, by_header, key=page).status == 200


def test_a_page_resumes_and_stops_its_running_answer(shop: Locked) -> None:
    """By the token of an earlier answer of the chat: in the header, or in the history that the stop's body brings."""
    page, gateway = shop.keys["page"], shop.gateway
    headers = {"Origin": PAGE}
    first = call(gateway, "POST", "/api/chat", {"id": "ui-again", "messages": HI}, headers, key=page)
    metadata = first.events[0]["messageMetadata"]
    history = [*HI, {"role": "assistant", "metadata": {"custom": metadata}, "parts": []}]
    body = {"id": "ui-again", "messages": [*history, *HI], "model": "slow"}
    sent = headers | {"Authorization": f"Bearer {page}"}
    with streaming(gateway, "POST", "/api/chat", body, sent) as running:
        trace_id = trace_of(running)
        path = "/api/chat/ui-again"
        assert call(gateway, "GET", f"{path}/stream", None, headers, key=page).status == 404
        assert call(gateway, "POST", f"{path}/stop", None, headers, key=page).status == 404
        token = {"X-Feedback-Token": metadata["feedbackToken"]}
        with streaming(gateway, "GET", f"{path}/stream", None, sent | token) as resumed:
            assert trace_of(resumed) == trace_id
            stopped = call(gateway, "POST", f"{path}/stop", {"messages": history}, headers, key=page)
            assert stopped.json == {"status": "success", "trace_id": trace_id, "outcome": "stopped"}
            for response in (running, resumed):
                assert b'{"type":"abort","reason":"stopped"}' in response.read()


def test_a_quiet_answer_is_kept_alive(start_gateway: Any) -> None:
    """By comments, which the SDK's clients skip."""
    models = {"mute": {"targets": ["demo/lorem-2-1500ms"]}}
    gateway = start_gateway({"models": models, "streaming": {"heartbeat_s": 0.2}})
    reply = call(gateway, "POST", "/api/chat", {"id": "mute", "messages": HI})
    assert b": keep-alive\n" in reply.body
