"""POST /v1/completions: chats for clients that know no messages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import StartGateway
from tests.support.chaos import ChaosProcess
from tests.support.http_client import assert_openai, call
from tests.support.servers import GatewayProcess
from tests.web.conftest import Locked

PATH = "/v1/completions"


@pytest.fixture
def chaotic(start_gateway: StartGateway, upstream: ChaosProcess) -> GatewayProcess:
    """In front of a provider that knows chats alone."""
    return start_gateway(
        {
            "providers": {"chaos": {"base_url": upstream.url + "/v1"}},
            "models": {
                name: {"targets": [f"chaos/{name}"], "retries": 0} for name in ("ok", "error-after-3", "status-500")
            },
        }
    )


def text_of(events: list[Any]) -> str:
    return "".join(choice["text"] for event in events for choice in event.get("choices", ()))


@pytest.mark.parametrize("stream", [True, False])
def test_a_chat_provider_answers(chaotic: GatewayProcess, upstream: ChaosProcess, stream: bool) -> None:
    """The provider is asked as in a chat, and its answer comes in the legacy form."""
    reply = call(chaotic, "POST", PATH, {"model": "ok", "prompt": "Hi", "stream": stream, "stop": ["\n"]})
    assert reply.status == 200
    events = reply.events if stream else [reply.json]
    assert text_of(events) == "Grüße, Welt 🌍! It still works."
    assert {event["object"] for event in events} == {"text_completion"}
    assert events[-1]["trace_id"] == reply.headers["x-trace-id"]
    sent = upstream.last_body()
    assert (sent["messages"], sent["stop"]) == ([{"role": "user", "content": "Hi"}], ["\n"])
    assert "prompt" not in sent


@pytest.mark.parametrize("stream", [True, False])
def test_it_is_recorded_and_rated_as_any_chat(edge: GatewayProcess, stream: bool) -> None:
    """With its user, session and own ID, from which it is rated; its words are stored as a chat's are."""
    ids = {"X-User-Id": "ann", "X-Session-Id": f"s-{stream}", "X-Client-Request-Id": f"legacy-{stream}"}
    reply = call(edge, "POST", PATH, {"prompt": "Tell me", "stream": stream}, ids)
    trace = edge.store.ended(reply.headers["x-trace-id"])
    assert (trace["route"], trace["outcome"], trace["user_id"]) == (PATH, "complete", "ann")
    assert trace["session_id"] == ids["X-Session-Id"]
    assert trace["request"] == [{"role": "user", "content": "Tell me"}]
    assert trace["response"] == [{"role": "assistant", "content": "lorem ipsum dolor"}]
    target = f"/feedback?client_request_id=legacy-{stream}&user_id=ann"
    rated = call(edge, "POST", target, {"is_correct": True})
    assert (rated.status, rated.json["trace_id"]) == (200, reply.headers["x-trace-id"])


def test_failures(chaotic: GatewayProcess) -> None:
    """Before the first token an HTTP error, later one in the stream without [DONE]; what a chat can't do is named."""
    for stream in (True, False):
        reply = call(chaotic, "POST", PATH, {"model": "status-500", "prompt": "Hi", "stream": stream})
        assert_openai(reply, 502, "upstream_error")
    reply = call(chaotic, "POST", PATH, {"model": "error-after-3", "prompt": "Hi", "stream": True})
    assert "error" in reply.events[-1]
    assert b"[DONE]" not in reply.body
    refused = call(chaotic, "POST", PATH, {"model": "ok", "prompt": ["a", "b"]})
    assert_openai(refused, 400, "invalid_value")
    assert refused.json["error"]["param"] == "prompt"
    assert_openai(call(chaotic, "POST", PATH, {"model": "nobody", "prompt": "Hi"}), 404, "model_not_found")


def test_a_page_may_ask(shop: Locked) -> None:
    """With a publishable key, as in any chat: the rater is who the key says, whatever else the page sends."""
    key, origin = shop.keys["page"], {"Origin": "https://shop.example", "X-User-Id": "somebody"}
    reply = call(shop.gateway, "POST", PATH, {"prompt": "Hi"}, origin, key=key)
    assert reply.status == 200
    assert shop.gateway.store.ended(reply.headers["x-trace-id"])["user_id"].startswith("visitor-")
