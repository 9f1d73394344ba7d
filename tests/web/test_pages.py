"""Web pages: publishable keys, user assertions, tickets for WebSockets; and no secret written anywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import connect

from gateway.domain import ids
from tests.support.http_client import ask, assert_native, by_token, call, close_code, hear, hear_end, say, socket_url
from tests.support.servers import GatewayProcess
from tests.support.wires import Reply
from tests.web.conftest import ORIGIN, PAGE, SECRET, Locked, make_key, until

GOOD = {"is_correct": True}


def browse(shop: Locked, body: dict[str, Any] | None = None, **headers: str) -> Any:
    """A chat from the shop's page."""
    sent = {"Origin": PAGE, **{name.replace("_", "-"): value for name, value in headers.items()}}
    reply = call(shop.gateway, "POST", "/chat", {"message": "hi"} | (body or {}), sent, key=shop.keys["page"])
    assert reply.status == 200, reply.body
    return reply.json


def assertion(sub: str = "ada") -> str:
    return jwt.encode({"sub": sub, "exp": ids.now_ms() // 1000 + 60}, SECRET, "HS256")


def raters(shop: Locked, trace_id: str) -> list[str]:
    return [row["source_id"] for row in shop.gateway.store.assessments(trace_id)]


def test_a_visitor_is_somebody_but_nobody_else(shop: Locked) -> None:
    """Each chat has a rater of its own, whatever `user_id` it names; an earlier token keeps the rater."""
    first = browse(shop, {"user_id": "ada"})
    row = shop.gateway.store.trace(first["trace_id"])
    assert row["user_id"].startswith("visitor-")
    again = browse(shop, {"session_id": first["session_id"]}, X_Feedback_Token=first["feedback_token"])
    assert shop.gateway.store.trace(again["trace_id"])["user_id"] == row["user_id"]
    headers = {"Origin": PAGE}
    body = {"message": "hi", "session_id": first["session_id"]}
    assert call(shop.gateway, "POST", "/chat", body, headers, key=shop.keys["page"]).status == 404
    assert browse(shop)["session_id"] != first["session_id"]


def test_an_assertion_names_a_visitor(shop: Locked) -> None:
    """The user is whom the shop's server says; the rating is theirs, and a bad assertion is refused."""
    asked = browse(shop, {"user_id": "eve"}, X_User_Assertion=assertion())
    assert shop.gateway.store.trace(asked["trace_id"])["user_id"] == "ada"
    by_token(shop.gateway, "POST", "/feedback?user_id=eve", GOOD, asked["feedback_token"])
    assert raters(shop, asked["trace_id"]) == ["ada"]
    headers = {"Origin": PAGE, "X-User-Assertion": assertion() + "x"}
    refused = call(shop.gateway, "POST", "/chat", {"message": "hi"}, headers, key=shop.keys["page"])
    assert_native(refused, 401, "invalid_user_assertion")
    by_server = call(
        shop.gateway, "POST", "/chat", {"message": "hi"}, {"X-User-Assertion": assertion("bob")}, key=shop.keys["chat"]
    )
    assert shop.gateway.store.trace(by_server.json["trace_id"])["user_id"] == "bob"


def test_a_bad_earlier_token_is_said(shop: Locked) -> None:
    """Silence would make the visitor somebody else; another project's is refused as well."""
    foreign = ask(shop.gateway, key=shop.keys["other"])["feedback_token"]
    for token, status in (("gw-ft-nonsense", 401), (foreign, 403)):
        headers = {"Origin": PAGE, "X-Feedback-Token": token}
        assert call(shop.gateway, "POST", "/chat", {"message": "hi"}, headers, key=shop.keys["page"]).status == status


def test_publishable_keys_bring_their_origins(shop: Locked) -> None:
    """Their pages may read replies and send the gateway's headers, tags and those of OpenAI's client included."""
    headers = {
        "Origin": "https://b.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-feedback-token, x-user-assertion, X-Tag-Shop, x-stainless-os, x-evil",
    }
    reply = call(shop.gateway, "OPTIONS", "/chat/stream", None, headers)
    assert reply.headers["access-control-allow-origin"] == "https://b.example"
    allowed = set(reply.headers["access-control-allow-headers"].split(", "))
    assert {"x-feedback-token", "x-user-assertion", "x-tag-shop", "x-stainless-os"} <= allowed
    assert "x-evil" not in allowed
    refused = call(shop.gateway, "POST", "/chat", {"message": "hi"}, {"Origin": PAGE})
    assert (refused.status, refused.headers["access-control-allow-origin"]) == (401, PAGE)


def test_a_key_has_a_rate_of_its_own(shop: Locked) -> None:
    """--rate holds where the configuration has none."""
    key = make_key(shop.gateway, "chat", "--rate", "2", name="slow")
    until(lambda: call(shop.gateway, "GET", "/v1/models", key=key).status == 200)
    assert [call(shop.gateway, "GET", "/v1/models", key=key).status for _ in range(2)] == [200, 429]


def test_foreign_pages_get_nothing_of_a_keyless_gateway(edge: GatewayProcess) -> None:
    """A form or a plain fetch needs no preflight; browsers say where it comes from."""
    trace_id = ask(edge)["trace_id"]
    target = f"/detailed-feedback?trace_id={trace_id}&accuracy=1"
    for origin in ("https://evil.example", "null", "http://localhost.evil.example", "https://127.0.0.1.evil.example"):
        assert_native(call(edge, "POST", target, None, {"Origin": origin}), 403, "origin_not_allowed")
    assert edge.store.assessments(trace_id) == []
    for origin in (ORIGIN, edge.url, "http://localhost:5173", "http://127.0.0.1:1"):
        assert call(edge, "POST", target, None, {"Origin": origin}).status == 200


# tickets


def ticket(shop: Locked, key: str, body: Any = None, **headers: str) -> str:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = call(shop.gateway, "POST", "/chat/ws-ticket", body, sent, key=shop.keys[key])
    assert (reply.status, reply.json["expires_in_s"]) == (200, 30), reply.body
    return str(reply.json["ticket"])


async def test_a_ticket_opens_one_socket(shop: Locked) -> None:
    """For the page that asked; what is asked on it can be rated there, by tokens and without."""
    url = f"{socket_url(shop.gateway)}?ticket={ticket(shop, 'page', Origin=PAGE, X_User_Assertion=assertion())}"
    async with connect(url, origin=PAGE) as ws:  # type: ignore[arg-type]
        await say(ws, type="chat", id="c1", message="hi", user_id="eve")
        frames = await hear_end(ws)
        trace_id = frames[0]["trace_id"]
        await say(ws, type="feedback", id="f", trace_id=trace_id, is_correct=True, user_id="eve")
        assert (await hear(ws))["type"] == "feedback_recorded"
        await say(ws, type="feedback", id="g", is_correct=False, feedback_token=frames[-1]["feedback_token"])
        assert (await hear(ws))["type"] == "feedback_recorded"
        assert raters(shop, trace_id) == ["ada", "ada"]
        foreign = ask(shop.gateway, key=shop.keys["chat"])
        for frame in ("feedback", "resume"):
            await say(ws, type=frame, id="h", trace_id=foreign["trace_id"], is_correct=True)
            assert (await hear(ws))["code"] == "forbidden"
        await say(ws, type="resume", id="r", trace_id=foreign["trace_id"], feedback_token=foreign["feedback_token"])
        assert (await hear_end(ws))[-1]["type"] == "done"
    async with connect(url, origin=PAGE) as ws:  # type: ignore[arg-type]
        assert (await close_code(ws))[0] == 1008


@pytest.mark.parametrize(
    ("asked_from", "opened_from", "code"),
    [
        (PAGE, "https://b.example", 1008),
        (PAGE, None, 1008),
        (None, PAGE, None),
        (None, None, None),
        (None, "https://evil.example", 1008),
    ],
)
async def test_a_ticket_is_for_its_page(
    shop: Locked, asked_from: str | None, opened_from: str | None, code: int | None
) -> None:
    """One that a server asked for opens a socket from any page that is allowed here."""
    headers = {"Origin": asked_from} if asked_from else {}
    url = f"{socket_url(shop.gateway)}?ticket={ticket(shop, 'page' if asked_from else 'chat', **headers)}"
    async with connect(url, origin=opened_from) as ws:  # type: ignore[arg-type]
        if code is None:
            await say(ws, type="ping")
            assert (await hear(ws))["type"] == "pong"
        else:
            assert (await close_code(ws))[0] == code


async def test_a_ticket_hands_on_no_secret_key(shop: Locked) -> None:
    """A browser gets a user with it, the one that the server names, and can't become another."""
    for body, user in (({"user_id": "ada"}, "ada"), (None, "visitor-")):
        async with connect(f"{socket_url(shop.gateway)}?ticket={ticket(shop, 'admin', body)}") as ws:
            await say(ws, type="chat", id="c1", message="hi", user_id="eve")
            frames = await hear_end(ws)
            assert shop.gateway.store.trace(frames[0]["trace_id"])["user_id"].startswith(user)


@pytest.mark.parametrize("role", ["page", "chat"])
async def test_a_second_socket_is_the_same_raters(shop: Locked, role: str) -> None:
    """By the token that comes with the request for its ticket: the session goes on, whatever key asks for it."""
    headers, session = {"Origin": PAGE}, {"session_id": f"two sockets {role}"}
    for turn in ("one", "two"):
        asked = call(shop.gateway, "POST", "/chat/ws-ticket", None, headers, key=shop.keys[role])
        async with connect(f"{socket_url(shop.gateway)}?ticket={asked.json['ticket']}", origin=PAGE) as ws:  # type: ignore[arg-type]
            await say(ws, type="chat", id="c", message=turn, feedback_token="x", **session)
            start, *_, done = await hear_end(ws)
        assert (start["type"], done["type"]) == ("start", "done")
        headers["X-Feedback-Token"] = done["feedback_token"]
    rows = shop.gateway.store.rows("SELECT DISTINCT user_id FROM traces WHERE session_id = ?", session["session_id"])
    assert len(rows) == 1


async def test_a_forged_ticket_opens_nothing(shop: Locked, edge: GatewayProcess) -> None:
    """Not even where no key is needed."""
    for server in (shop.gateway, edge):
        for text in ("", "gw-wt-nonsense", "é"):
            async with connect(f"{socket_url(server)}?ticket={text}") as ws:
                assert (await close_code(ws))[0] == 1008


def test_bad_ticket_requests(shop: Locked) -> None:
    """The body may be left out; what is in it is checked."""

    def make(body: Any, **headers: str) -> Reply:
        return call(shop.gateway, "POST", "/chat/ws-ticket", body, headers, key=shop.keys["chat"])

    assert_native(make({"user": "x"}), 422, "invalid_value", "user")
    assert_native(make({"user_id": ""}), 422, "invalid_value", "user_id")
    assert make(b"{").status == 400
    assert (
        call(
            shop.gateway, "POST", "/chat/ws-ticket", b"{}", {"Content-Type": "text/plain"}, key=shop.keys["chat"]
        ).status
        == 415
    )


# secrets


def test_no_secret_is_written_anywhere(shop: Locked) -> None:
    """Keys, tokens, tickets and assertions: not in the log, errors, metrics, the live feed's source, nor the store."""
    asked = browse(shop, X_User_Assertion=assertion("grep"))
    secrets = [*shop.keys.values(), SECRET, asked["feedback_token"], assertion("grep")]
    secrets.append(ticket(shop, "page", Origin=PAGE))
    replies = [
        call(shop.gateway, method, target, body, {"X-Feedback-Token": asked["feedback_token"] + bad, "Origin": PAGE})
        for method, target, body in (("POST", "/feedback", GOOD), ("GET", "/sessions/x", None), ("POST", "/chat", {}))
        for bad in ("", "x")
    ]
    replies.append(call(shop.gateway, "GET", "/metrics", key=shop.keys["admin"]))
    replies.append(call(shop.gateway, "GET", "/openapi.json"))
    written = [reply.body for reply in replies] + [shop.gateway.output().encode()]
    written += [path.read_bytes() for path in shop.gateway.directory.rglob("*") if path.is_file()]
    listed = shop.gateway.run("keys", "list", "--all", "--json")
    checked = shop.gateway.run("check")
    tailed = shop.gateway.run("tail", "--json")
    exported = [shop.gateway.run("export", what, "--format", "jsonl") for what in ("traces", "assessments")]
    written += [(result.stdout + result.stderr).encode() for result in (listed, checked, tailed, *exported)]
    assert len(json.loads(listed.stdout.splitlines()[0])) > 5
    assert all(result.stdout for result in exported)
    for secret in secrets:
        half = secret.encode()[: len(secret) * 2 // 3]
        assert [text for text in written if half in text] == []


@pytest.mark.parametrize("language", ["python", "js"])
def test_the_documented_assertions_are_taken(shop: Locked, language: str, tmp_path: Path) -> None:
    """The examples of docs/security.md, as they stand there."""
    text = (Path(__file__).parents[2] / "docs/security.md").read_text()
    example = text.split(f"```{language}\n")[-1].split("```")[0]
    ending, command = {
        "python": ("print(user_assertion('ada'))", [sys.executable]),
        "js": ("console.log(userAssertion('ada'))", ["node"]),
    }[language]
    program = tmp_path / {"python": "example.py", "js": "example.mjs"}[language]
    program.write_text(example + ending)
    env = os.environ | {"ASSERTION_KEY": SECRET}
    made = subprocess.run([*command, program], env=env, capture_output=True, text=True, timeout=30, check=True)
    asked = browse(shop, X_User_Assertion=made.stdout.strip())
    assert shop.gateway.store.trace(asked["trace_id"])["user_id"] == "ada"


def test_the_documented_page_chats_and_rates(shop: Locked, tmp_path: Path) -> None:
    """The example of docs/security.md, from an origin as a browser would send it."""
    text = (Path(__file__).parents[2] / "docs/security.md").read_text()
    example = text.split("```js\n")[1].split("```")[0]
    example = example.replace("https://gateway.example.com", shop.gateway.url).replace("gw-pk-…", shop.keys["page"])
    program = tmp_path / "page.mjs"
    program.write_text(
        f"const real = fetch, Origin = '{PAGE}';"
        + "globalThis.fetch = (url, o) => real(url, { ...o, headers: { ...o.headers, Origin } });"
        + example
        + """
        const first = async (reply) => JSON.parse((await reply.text()).split("data: ")[1].split("\\n")[0]);
        const one = await first(await ask("hi"));
        const two = await first(await ask("and on", one.session_id, one.feedback_token));
        const rated = [];
        for (const { trace_id, feedback_token } of [one, two]) rated.push(await rate(trace_id, feedback_token, true));
        console.log(JSON.stringify([one.trace_id, two.trace_id, ...rated.map((reply) => reply.status)]));
        """
    )
    made = subprocess.run(["node", program], capture_output=True, text=True, timeout=30, check=True)
    one, two, *rated = json.loads(made.stdout)
    assert rated == [200, 200]
    assert raters(shop, one) == raters(shop, two)
