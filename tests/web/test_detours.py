"""What a credential must not reach by a detour: another rater, more names or ratings, another project, a later time."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import connect

from tests.support.http_client import ask, assert_native, by_token, call, close_code, hear, hear_end, say, socket_url
from tests.support.servers import GatewayProcess
from tests.web.conftest import PAGE, SECRET, Locked, make_key, until, works
from tests.web.test_ops import listening

GOOD = {"is_correct": True}


def token_for(shop: Locked, trace_id: str, **more: Any) -> str:
    """One that a server asks for."""
    reply = call(shop.gateway, "POST", "/feedback/token", {"trace_id": trace_id, **more}, key=shop.keys["chat"])
    token: str = reply.json["feedback_token"]
    return token


def page_socket(shop: Locked) -> connect:
    """A socket of the page's."""
    asked = call(shop.gateway, "POST", "/chat/ws-ticket", None, {"Origin": PAGE}, key=shop.keys["page"])
    return connect(f"{socket_url(shop.gateway)}?ticket={asked.json['ticket']}", origin=PAGE)  # type: ignore[arg-type]


def rates_as(shop: Locked, token: str) -> str:
    """The rater that a token makes; it must be one of `user_feedback` alone."""
    named = by_token(shop.gateway, "POST", "/feedback", {"name": "tone", "value": 1}, token)
    assert_native(named, 403, "forbidden")
    rated = by_token(shop.gateway, "POST", "/feedback", GOOD, token).json
    rows = shop.gateway.store.assessments(rated["trace_id"])
    return next(str(row["source_id"]) for row in rows if row["assessment_id"] == rated["assessment_id"])


@pytest.mark.parametrize("path", ["/chat/stream", "/chat"])
async def test_a_resumed_stream_bears_the_tokens_own_rater(shop: Locked, path: str) -> None:
    """Whoever has a token for ada's answer as somebody else isn't ada by resuming it: from memory, from the store."""
    asked = call(shop.gateway, "POST", path, {"message": "hi", "user_id": "ada"}, key=shop.keys["chat"])
    trace_id = asked.headers["x-trace-id"]
    desk = token_for(shop, trace_id, user_id="desk", names=["user_feedback"])
    events = by_token(shop.gateway, "GET", f"/chat/stream/{trace_id}", None, desk).events
    async with page_socket(shop) as ws:
        await say(ws, type="resume", id="r", trace_id=trace_id, feedback_token=desk)
        frames = await hear_end(ws)
    for first, *_, last in (events, frames):
        assert (first["type"], last["type"]) == ("start", "done")
        assert rates_as(shop, first["feedback_token"]) == "desk"
        assert first["feedback_token"] == last["feedback_token"]


async def test_a_running_stream_too(shop: Locked) -> None:
    """Its `done`, which comes once it is stopped, is each reader's own; the asker's stays the asker's."""
    async with (
        connect(socket_url(shop.gateway), additional_headers={"Authorization": f"Bearer {shop.keys['chat']}"}) as asker,
        page_socket(shop) as page,
    ):
        await say(asker, type="chat", id="a", message="hi", model="slow", user_id="ada")
        trace_id = (await hear(asker))["trace_id"]
        desk = token_for(shop, trace_id, user_id="desk", names=["user_feedback"])
        await say(page, type="resume", id="p", trace_id=trace_id, feedback_token=desk)
        await hear(page)
        await say(page, type="stop", id="p")
        mine, theirs = (await hear_end(page))[-1], (await hear_end(asker))[-1]
    assert mine["finish_reason"] == theirs["finish_reason"] == "stopped"
    assert rates_as(shop, mine["feedback_token"]) == "desk"
    assert (
        by_token(shop.gateway, "POST", "/feedback", {"name": "tone", "value": 1}, theirs["feedback_token"]).status
        == 200
    )


def test_a_session_gives_no_more_names(shop: Locked) -> None:
    """The fresh tokens of its turns are for the same names as the one that reads it."""
    asked = ask(shop.gateway, key=shop.keys["chat"], user_id="ada", session_id="named")
    token = token_for(shop, asked["trace_id"], names=["user_feedback"])
    (turn,) = by_token(shop.gateway, "GET", "/sessions/named", None, token).json["turns"]
    assert rates_as(shop, turn["feedback_token"]) == "ada"


@pytest.mark.parametrize("key", ["review", "admin", "chat two"])
async def test_a_token_stops_and_resumes_what_its_key_asked(shop: Locked, key: str) -> None:
    """A key that can neither stop nor resume an answer makes no token that can; it rates, and reads the session."""
    secret = shop.keys.get(key) or make_key(shop.gateway, "chat", name=key)
    asked = ask(shop.gateway, key=shop.keys["chat"], user_id="ada", session_id=f"of-{key[:4]}")
    target = f"/chat/stream/{asked['trace_id']}"
    made = call(shop.gateway, "POST", "/feedback/token", {"trace_id": asked["trace_id"]}, key=secret).json
    token = made["feedback_token"]
    assert call(shop.gateway, "GET", target, key=secret).status in (403, 404)
    assert by_token(shop.gateway, "GET", target, None, token).status == 404
    assert by_token(shop.gateway, "POST", f"{target}/stop", None, token).status == 404
    async with page_socket(shop) as ws:
        await say(ws, type="resume", id="r", trace_id=asked["trace_id"], feedback_token=token)
        assert (await hear(ws))["code"] == "not_found"
    assert by_token(shop.gateway, "POST", "/feedback", GOOD, token).status == 200
    (turn,) = by_token(shop.gateway, "GET", f"/sessions/of-{key[:4]}", None, token).json["turns"]
    assert by_token(shop.gateway, "POST", f"{target}/stop", None, turn["feedback_token"]).status == 404
    assert by_token(shop.gateway, "POST", f"{target}/stop", None, asked["feedback_token"]).status == 200


async def test_no_proxy_brings_in_what_was_made_without_a_key(edge: GatewayProcess) -> None:
    """On this machine a caller needs none. Through a proxy that says so, nor do its ticket and its token let one in."""
    asked = ask(edge)
    for proxied in ({"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}, {"X-Real-IP": "203.0.113.9"}):
        refused = by_token(edge, "POST", "/feedback", GOOD, asked["feedback_token"], **proxied)
        assert_native(refused, 401, "invalid_feedback_token")
        ticket = call(edge, "POST", "/chat/ws-ticket").json["ticket"]
        async with connect(f"{socket_url(edge)}?ticket={ticket}", additional_headers=proxied) as ws:
            assert (await close_code(ws))[0] == 1008
    assert edge.store.assessments(asked["trace_id"]) == []
    assert by_token(edge, "POST", "/feedback", GOOD, asked["feedback_token"]).status == 200


def test_a_session_gives_no_more_time(shop: Locked) -> None:
    """The fresh tokens of its turns end when the one that reads it ends."""
    asked = ask(shop.gateway, key=shop.keys["chat"], user_id="ada", session_id="timed")
    (turn,) = by_token(shop.gateway, "GET", "/sessions/timed", None, asked["feedback_token"]).json["turns"]
    ends = [json.loads(base64.urlsafe_b64decode(text.split("-", 2)[2].split(".")[0] + "=="))[4]
            for text in (asked["feedback_token"], turn["feedback_token"])]  # fmt: skip
    assert ends[0] == ends[1]


def test_a_token_that_would_be_too_long(shop: Locked) -> None:
    """Names that fit one by one, and not together, are refused rather than signed into what nobody takes."""
    asked = ask(shop.gateway, key=shop.keys["chat"])
    body = {"trace_id": asked["trace_id"], "names": [f"{number:0250}" for number in range(50)]}
    assert_native(
        call(shop.gateway, "POST", "/feedback/token", body, key=shop.keys["chat"]), 422, "invalid_value", "names"
    )


async def test_a_socket_has_its_number_of_ratings(shop: Locked) -> None:
    """ratings_per_token counts what is rated without a token, on the socket where it was asked, too."""
    async with page_socket(shop) as ws:
        await say(ws, type="chat", id="c", message="hi")
        start, *_ = await hear_end(ws)
        kinds = []
        for token in ({}, {}, {"feedback_token": start["feedback_token"]}, {}):
            await say(ws, type="feedback", id="f", trace_id=start["trace_id"], is_correct=True, **token)
            kinds.append((await hear(ws)).get("code", "recorded"))
    assert kinds == ["recorded", "recorded", "recorded", "too_many_ratings"]


async def test_a_socket_ends_with_its_key(shop: Locked) -> None:
    """What was opened with a key does nothing after it."""
    key = make_key(shop.gateway, "chat", name="leaving")
    until(lambda: works(shop.gateway, key))
    async with connect(socket_url(shop.gateway), additional_headers={"Authorization": f"Bearer {key}"}) as ws:
        await say(ws, type="ping")
        assert await hear(ws) == {"type": "pong"}
        assert shop.gateway.run("keys", "revoke", "leaving").returncode == 0
        until(lambda: not works(shop.gateway, key))
        await say(ws, type="chat", id="c", message="hi")
        assert await close_code(ws) == (1008, "The API key of this socket has ended.")


def test_the_live_feed_is_of_one_project(shop: Locked) -> None:
    """Another project's admin hears nothing of a chat, but of the one after it, which is its own."""
    with listening(shop.gateway, shop.keys["other"]) as events:
        asked = ask(shop.gateway, key=shop.keys["chat"], user_id="ada")
        by_token(shop.gateway, "POST", "/feedback", GOOD, asked["feedback_token"])
        own = ask(shop.gateway, key=shop.keys["other"])
        assert next(events)["trace_id"] == own["trace_id"]


def test_the_live_feed_ends_with_its_key(shop: Locked) -> None:
    """It says nothing more to a key that was revoked."""
    key = make_key(shop.gateway, "admin", name="watcher")
    until(lambda: works(shop.gateway, key))
    with listening(shop.gateway, key) as events:
        assert shop.gateway.run("keys", "revoke", "watcher").returncode == 0
        until(lambda: not works(shop.gateway, key))
        after = ask(shop.gateway, key=shop.keys["chat"])["trace_id"]
        assert after not in [event["trace_id"] for event in events]  # which end


def test_an_asserted_half_character(shop: Locked) -> None:
    """A user whom no store can take is the assertion's fault, not the gateway's."""
    sub = json.loads('"\\ud800"')
    payload = json.dumps({"sub": sub, "exp": int(time.time()) + 60}).encode()
    headers = {"Origin": PAGE, "X-User-Assertion": jwt.PyJWS().encode(payload, SECRET, "HS256")}
    refused = call(shop.gateway, "POST", "/chat", {"message": "hi"}, headers, key=shop.keys["page"])
    assert_native(refused, 401, "invalid_user_assertion")


def test_a_query_of_thousands_of_names(shop: Locked) -> None:
    """Names that are given twice are named, the first fifty of them, without comparing each with each."""
    asked = ask(shop.gateway, key=shop.keys["chat"])
    query = "&".join(f"{number:x}=&{number:x}=" for number in range(6_000))
    target = f"/chat/stream/{asked['trace_id']}?{query}"
    reply = by_token(shop.gateway, "GET", target, None, asked["feedback_token"])
    assert_native(reply, 422, "invalid_value")
    assert len(reply.json["details"]) == 50


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_page_learns_nothing_by_loading(edge: GatewayProcess, site: str) -> None:
    """As a script or an image, without an Origin: it would see which sessions there are. A link may be followed."""
    ask(edge, session_id="private")
    loads = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
    for name in ("private", "unknown"):
        assert_native(call(edge, "GET", f"/sessions/{name}", None, loads), 403, "origin_not_allowed")
    follows = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "navigate"}
    assert call(edge, "GET", "/metrics", None, follows).status == 200
    assert call(edge, "GET", "/sessions/private", None, {"Sec-Fetch-Site": "same-origin"}).status == 200
