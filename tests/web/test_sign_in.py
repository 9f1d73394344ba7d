"""Signing in with a key: the cookie, how long it lasts, what ends it, and which pages it serves."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.support.http_client import NO_TRACE, ask, assert_native, call, close_code, hear, say, socket_url
from tests.support.servers import GatewayProcess
from tests.web.conftest import CONFIG, Locked, cookie, make_key, own, sign_in, until, works

DAY_S = 86_400
EVIL = {"Origin": "https://evil.example"}
SIBLING = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}
SIGNED_OUT = {"user_id": None, "role": None, "ways": ["key", "invite"]}


def me(gateway: GatewayProcess, headers: dict[str, str], key: str | None = None) -> Any:
    return call(gateway, "GET", "/me", headers=headers, key=key).json


@pytest.mark.parametrize(("key", "role"), [("chat", "chat"), ("review", "lead"), ("admin", "admin")])
def test_a_key_signs_in(locked: Locked, key: str, role: str) -> None:
    """As who one says to be, in the key's project, with what the key opens."""
    ann = sign_in(locked.gateway, locked.keys[key], "  Ann@X.com ")
    assert me(locked.gateway, ann) == {
        "user_id": "ann@x.com",
        "role": role,
        "project": "default",
        "ways": ["key", "invite"],
    }
    nameless = sign_in(locked.gateway, locked.keys[key])
    assert me(locked.gateway, nameless)["user_id"] == f"{key}-default"


def test_the_cookie(locked: Locked) -> None:
    """No script reads it, no other site sends it; the store has its hash alone."""
    reply = call(locked.gateway, "POST", "/auth/key", {"key": locked.keys["chat"]}, own(locked.gateway))
    value, *attributes = reply.headers["set-cookie"].split("; ")
    assert value.startswith("gw_session=")
    assert set(attributes) == {"Path=/", f"Max-Age={7 * DAY_S}", "HttpOnly", "SameSite=Lax"}
    secret = value.partition("=")[2]
    hashed = hashlib.sha256(secret.encode()).hexdigest()
    assert len(locked.gateway.store.rows("SELECT 1 FROM sign_ins WHERE sign_in_hash = ?", hashed)) == 1
    for path in locked.gateway.directory.iterdir():
        assert secret.encode() not in path.read_bytes()
        assert locked.keys["chat"].encode() not in path.read_bytes()


@pytest.mark.parametrize("body", [{}, {"key": ""}, {"key": 1}, {"key": "gw-sk-x", "name": "\n"}, {"key": "x", "k": 1}])
def test_bad_bodies(locked: Locked, body: Any) -> None:
    """Each is refused by its field, before the key is looked at."""
    reply = call(locked.gateway, "POST", "/auth/key", body, own(locked.gateway))
    assert reply.status in (401, 422)
    assert "set-cookie" not in reply.headers


def test_bad_keys(locked: Locked) -> None:
    """One that is unknown, one that a page has, and a feedback token sign nobody in."""
    gateway, token = locked.gateway, ask(locked.gateway, key=locked.keys["chat"])["feedback_token"]
    page = make_key(gateway, "chat", "--publishable", "--origins", "https://p.example", name="signs-nobody-in")
    for key, status in (("gw-sk-" + "a" * 43, 401), ("nonsense", 401), (token, 401), (page, 403)):
        reply = call(gateway, "POST", "/auth/key", {"key": key}, own(gateway))
        assert reply.status == status
        assert "set-cookie" not in reply.headers


def test_signing_out(locked: Locked) -> None:
    """It ends at once, and the browser loses the cookie; a second time is no error."""
    ann = sign_in(locked.gateway, locked.keys["admin"], "ann")
    for _ in range(2):
        reply = call(locked.gateway, "POST", "/auth/logout", headers=ann)
        assert (reply.status, cookie(reply)) == (204, "gw_session=")
        assert "Max-Age=0" in reply.headers["set-cookie"]
    assert_native(call(locked.gateway, "GET", "/metrics", headers=ann), 401, "signed_out")
    reply = call(locked.gateway, "GET", "/me", headers=ann)
    assert (reply.json, cookie(reply)) == (SIGNED_OUT, "gw_session=")


def test_signing_in_again_ends_the_sign_in_before(locked: Locked) -> None:
    """Of that browser."""
    ann = sign_in(locked.gateway, locked.keys["admin"], "ann")
    body = {"key": locked.keys["review"], "name": "ann"}
    again = own(locked.gateway) | {"Cookie": cookie(call(locked.gateway, "POST", "/auth/key", body, ann))}
    assert me(locked.gateway, ann) == SIGNED_OUT
    assert me(locked.gateway, again)["role"] == "lead"


def test_it_ends_with_the_key(locked: Locked) -> None:
    """When that is revoked, and when its time is over."""
    gateway = locked.gateway
    revoked, expiring = (
        make_key(gateway, "admin", name="leaves"),
        make_key(gateway, "admin", "--expires", "4s", name="e"),
    )
    ann, ben = sign_in(gateway, revoked), sign_in(gateway, expiring)
    assert call(gateway, "GET", "/metrics", headers=ann).status == 200
    assert gateway.run("keys", "revoke", "leaves").returncode == 0
    assert_native(call(gateway, "GET", "/metrics", headers=ann), 401, "signed_out")
    until(lambda: call(gateway, "GET", "/metrics", headers=ben).status == 401, seconds=8)


def change(gateway: GatewayProcess, statement: str) -> None:
    """Change the store, while nobody has it open."""
    gateway.terminate()
    with closing(sqlite3.connect(gateway.store.path)) as connection, connection:
        connection.execute(statement)
    gateway.start()


def test_it_outlives_a_restart(tmp_path: Path) -> None:
    """And lasts for seven days from its last use; then it is over, whatever the browser sends."""
    process = GatewayProcess(tmp_path / "g", CONFIG | {"auth": {"require_keys": "always"}})
    key = make_key(process, "admin")
    with process as gateway:
        ann = sign_in(gateway, key, "ann")
        change(gateway, "UPDATE sign_ins SET expires = expires - 2 * 3600 * 1000")
        reply = call(gateway, "GET", "/metrics", headers=ann)
        assert (reply.status, cookie(reply)) == (200, ann["Cookie"])
        assert f"Max-Age={7 * DAY_S}" in reply.headers["set-cookie"]
        assert "set-cookie" not in call(gateway, "GET", "/metrics", headers=ann).headers
        change(gateway, "UPDATE sign_ins SET expires = 1")
        assert call(gateway, "GET", "/metrics", headers=ann).status == 401


def test_what_a_person_writes_bears_the_name(locked: Locked) -> None:
    """Whatever user is named beside it: of chats, of ratings by the trace and by the answer's token."""
    gateway = locked.gateway
    ann = sign_in(gateway, locked.keys["chat"], "Ann")
    asked = call(gateway, "POST", "/chat", {"message": "hi", "user_id": "eve"}, ann).json
    assert gateway.store.trace(asked["trace_id"])["user_id"] == "ann"
    rated = call(gateway, "POST", f"/feedback?trace_id={asked['trace_id']}&user_id=eve", {"is_correct": True}, ann)
    assert rated.status == 200
    by_token = ann | {"X-Feedback-Token": asked["feedback_token"]}
    assert call(gateway, "POST", "/feedback", {"name": "n", "value": 1}, by_token).status == 200
    assert {row["source_id"] for row in gateway.store.assessments(asked["trace_id"])} == {"ann"}
    read = call(gateway, "GET", f"/sessions/{asked['session_id']}", headers=ann)
    assert [turn["trace_id"] for turn in read.json["turns"]] == [asked["trace_id"]]


def test_a_persons_token_goes_no_further(locked: Locked) -> None:
    """Than that person's own requests: not without the cookie, nor beside another's, nor once signed out."""
    gateway = locked.gateway
    ann, ben = (sign_in(gateway, locked.keys["chat"], name) for name in ("ann", "ben"))
    token = {"X-Feedback-Token": call(gateway, "POST", "/chat", {"message": "hi"}, ann).json["feedback_token"]}
    rating = {"is_correct": True}
    for headers in (token, ben | token, {"Authorization": f"Bearer {token['X-Feedback-Token']}"}):
        assert_native(call(gateway, "POST", "/feedback", rating, headers), 401, "invalid_feedback_token")
    assert call(gateway, "POST", "/feedback", rating, ann | token).status == 200
    assert call(gateway, "POST", "/auth/logout", headers=ann).status == 204
    assert call(gateway, "POST", "/feedback", rating, ann | token).status == 401


def test_people_of_one_key_are_apart(locked: Locked) -> None:
    """Neither reads the other's session, nor resumes or stops what the other asked."""
    gateway = locked.gateway
    ann, ben = (sign_in(gateway, locked.keys["chat"], name) for name in ("ann", "ben"))
    asked = call(gateway, "POST", "/chat/stream", {"message": "hi"}, ann).events[0]
    trace_id, session_id = asked["trace_id"], asked["session_id"]
    for headers, status in ((ben, 404), (ann, 200)):
        assert call(gateway, "GET", f"/sessions/{session_id}", headers=headers).status == status
        assert call(gateway, "GET", f"/chat/stream/{trace_id}", headers=headers).status == status
        assert call(gateway, "POST", f"/chat/stream/{trace_id}/stop", headers=headers).status == status


def test_a_leads_chats_are_marked(locked: Locked) -> None:
    """So that they stay out of figures of production; nobody else's are."""
    gateway = locked.gateway
    for key, marked in (("review", True), ("admin", False), ("chat", False)):
        person = sign_in(gateway, locked.keys[key], "ann")
        body = {"message": "hi", "metadata": {"gateway.caller": "mine"}}
        trace = gateway.store.trace(call(gateway, "POST", "/chat", body, person).json["trace_id"])
        assert trace["metadata"] == ({"gateway.caller": "review"} if marked else {})


# Which credential counts


def test_authorization_beats_the_cookie(locked: Locked) -> None:
    """Also where it is no good: then the caller is nobody, though the cookie is somebody's."""
    gateway, keys = locked.gateway, locked.keys
    lead = sign_in(gateway, keys["review"], "ann")
    assert call(gateway, "GET", "/metrics", headers=lead).status == 403
    assert call(gateway, "GET", "/metrics", headers=lead, key=keys["admin"]).status == 200
    assert call(gateway, "GET", "/metrics", headers=lead, key=keys["chat"]).status == 403
    for bad in ("gw-sk-nobody's", "sk-another's"):
        assert_native(call(gateway, "GET", "/metrics", headers=lead, key=bad), 401, "invalid_api_key")
        assert me(gateway, lead, key=bad) == SIGNED_OUT


def test_a_cookie_beats_the_open_door(edge: GatewayProcess) -> None:
    """On the machine itself: a lead is no admin there, and a cookie that is over opens nothing."""
    key = make_key(edge, "review", name="a lead's")
    lead = sign_in(edge, key, "ann")
    assert call(edge, "GET", "/metrics").status == 200
    assert call(edge, "GET", "/metrics", headers=lead).status == 403
    assert call(edge, "GET", "/metrics", headers=lead, key="sk-any").status == 401
    for nonsense in ("gw_session=", "gw_session=x", "a=b; gw_session=gw-si-" + "a" * 43):
        assert call(edge, "GET", "/metrics", headers={"Cookie": nonsense}).status == 401
    assert call(edge, "GET", "/metrics", headers={"Cookie": "other=1"}).status == 200


@pytest.mark.parametrize(
    ("said", "user_id"), [({}, "local"), ({"X-User-Id": " Ann "}, "ann"), ({"X-User-Id": " "}, "local")]
)
def test_without_a_key(edge: GatewayProcess, said: dict[str, str], user_id: str) -> None:
    """The machine's own caller is an admin, by the name that the page has asked for."""
    assert me(edge, said) == {
        "user_id": user_id,
        "role": "admin",
        "project": "default",
        "ways": ["keyless", "key", "invite"],
    }


def test_who_a_key_is(locked: Locked) -> None:
    """Whom it vouches for, else its own name. Pages' credentials are no person."""
    gateway, keys = locked.gateway, locked.keys
    assert me(gateway, {"X-User-Id": "Ann"}, keys["review"])["user_id"] == "ann"
    assert me(gateway, {}, keys["admin"])["user_id"] == "admin-default"
    assert me(gateway, {"X-User-Id": "Ann"}, ask(gateway, key=keys["chat"])["feedback_token"]) == SIGNED_OUT
    assert me(gateway, {}) == SIGNED_OUT


# Pages elsewhere


@pytest.fixture(scope="module")
def admin(locked: Locked) -> dict[str, str]:
    return sign_in(locked.gateway, locked.keys["admin"], "ann")


NOT_OWN = [
    {},
    EVIL,
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://localhost:{port}"},
    {"Origin": "https://app.example"},  # of cors_origins
    {"Origin": "ftp://127.0.0.1:{port}"},
    {"Origin": "127.0.0.1:{port}"},
]


@pytest.mark.parametrize("headers", NOT_OWN, ids=str)
def test_only_own_pages_change_anything(locked: Locked, admin: dict[str, str], headers: dict[str, str]) -> None:
    """By the cookie, or about it: a form, a script, or a page on this machine can't, nor one that says no Origin."""
    gateway = locked.gateway
    page = {name: value.replace("{port}", str(gateway.port)) for name, value in headers.items()}
    sent = {"Cookie": admin["Cookie"]} | page
    rating = f"/feedback?trace_id={NO_TRACE}"
    key = {"key": locked.keys["admin"]}
    for method, target, body in (
        ("POST", "/chat", {"message": "hi"}),
        ("POST", rating, {"is_correct": True}),
        ("DELETE", f"{rating}&name=n", None),
        ("DELETE", "/users/ann", None),
        ("POST", "/api/2.0/mlflow/experiments/create", {"name": "n"}),
        ("POST", "/nowhere", None),
        ("POST", "/auth/key", key),
        ("POST", "/auth/logout", None),
    ):
        assert_code(call(gateway, method, target, body, sent), 403)
    for target in ("/auth/key", "/auth/logout"):  # whatever else is sent along
        assert_native(call(gateway, "POST", target, key, page, locked.keys["admin"]), 403, "origin_not_allowed")
    assert me(gateway, admin)["user_id"] == "ann"  # still signed in


def assert_code(reply: Any, status: int) -> None:
    assert (reply.status, "set-cookie" in reply.headers) == (status, False), reply.body


@pytest.mark.parametrize(
    "headers",
    [
        EVIL,
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
    ids=str,
)
def test_pages_elsewhere_read_nothing_by_it(locked: Locked, admin: dict[str, str], headers: dict[str, str]) -> None:
    """The cookie counts for nothing there; a link that leads here is followed by the browser itself."""
    sent = {"Cookie": admin["Cookie"]} | headers
    assert call(locked.gateway, "GET", "/metrics", headers=sent).status == 401
    assert me(locked.gateway, sent) == SIGNED_OUT
    assert call(locked.gateway, "GET", "/metrics", headers={"Cookie": admin["Cookie"]}).status == 200
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert call(locked.gateway, "GET", "/metrics", headers={"Cookie": admin["Cookie"]} | link).status == 200


def test_cors_never_allows_credentials(locked: Locked, admin: dict[str, str]) -> None:
    """Not even to pages that may read."""
    page = {"Origin": "https://app.example"}
    wanted = page | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for method, headers in (("OPTIONS", wanted), ("GET", page), ("GET", admin | page)):
        found = call(locked.gateway, method, "/me", headers=headers).headers
        assert found["access-control-allow-origin"] == page["Origin"]
        assert "access-control-allow-credentials" not in found


@pytest.mark.parametrize("headers", NOT_OWN, ids=str)
async def test_sockets_of_pages_elsewhere(locked: Locked, admin: dict[str, str], headers: dict[str, str]) -> None:
    """A browser sends the cookie with each handshake; only a page of the gateway's own gets a socket by it."""
    page = {name: value.replace("{port}", str(locked.gateway.port)) for name, value in headers.items()}
    sent = {"Cookie": admin["Cookie"]} | page
    async with connect(socket_url(locked.gateway), additional_headers=sent) as ws:
        assert (await close_code(ws))[0] == 1008


async def test_a_socket_ends_with_the_sign_in(locked: Locked) -> None:
    """By cookie or by ticket, it is the person's, and is closed at the next frame after signing out."""
    gateway = locked.gateway
    ann = sign_in(gateway, locked.keys["review"], "ann")
    ticket, late = (call(gateway, "POST", "/chat/ws-ticket", headers=ann).json["ticket"] for _ in range(2))
    by_ticket = connect(f"{socket_url(gateway)}?ticket={ticket}", additional_headers=own(gateway))
    async with connect(socket_url(gateway), additional_headers=ann) as ws, by_ticket as other:
        for socket in (ws, other):
            await say(socket, type="chat", id="c", message="hi")
            trace = gateway.store.trace((await hear(socket))["trace_id"])
            assert (trace["user_id"], trace["metadata"]) == ("ann", {"gateway.caller": "review"})
        assert call(gateway, "POST", "/auth/logout", headers=ann).status == 204
        for socket in (ws, other):
            await say(socket, type="ping")
            assert (await close_code(socket))[0] == 1008
    async with connect(f"{socket_url(gateway)}?ticket={late}", additional_headers=own(gateway)) as ws:
        assert (await close_code(ws))[0] == 1008


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """A gateway behind a proxy that takes TLS off."""
    config = CONFIG | {
        "server": {"public_url": "https://gateway.example.com/chat/"},
        "auth": {"require_keys": "always"},
    }
    process = GatewayProcess(tmp_path_factory.mktemp("public"), config)
    key = make_key(process, "admin")
    with process:
        yield Locked(process, {"admin": key})


def test_behind_tls(public: Locked) -> None:
    """The page's Origin is that of `public_url`, and the cookie goes over TLS alone."""
    page = {"Origin": "https://gateway.example.com"}
    reply = call(public.gateway, "POST", "/auth/key", {"key": public.keys["admin"]}, page)
    assert reply.status == 204
    assert "; Secure" in reply.headers["set-cookie"]
    signed_in = page | {"Cookie": cookie(reply)}
    assert call(public.gateway, "POST", "/chat", {"message": "hi"}, signed_in).status == 200
    for other in ("http://gateway.example.com", "https://gateway.example.com.evil.example", "https://evil.example"):
        assert call(public.gateway, "POST", "/chat", {"message": "hi"}, signed_in | {"Origin": other}).status == 403


def test_tries_are_counted(tmp_path: Path) -> None:
    """Per address, whatever the configuration says of other requests."""
    with GatewayProcess(tmp_path / "g", CONFIG) as gateway:
        tries = (call(gateway, "POST", "/auth/key", {"key": "gw-sk-x"}, own(gateway)).status for _ in range(3_000))
        first_other = next(status for status in tries if status != 401)
        assert first_other == 429
        assert works(gateway)
