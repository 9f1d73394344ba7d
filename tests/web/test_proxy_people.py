"""People whom a proxy knows: whose header is believed, what they may do, and which pages act for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.support.http_client import assert_native, call, close_code, hear, say, socket_url
from tests.support.servers import GatewayProcess
from tests.web.conftest import CONFIG, Locked, make_key, own, sign_in, until

HEADER = "X-Forwarded-Email"
PEOPLE = {"admins": ["Ann@x.com"], "leads": ["*@x.com"], "reviewers": ["rita@y.com", "*@z.com"]}


def config(trusted: str = "127.0.0.1", **auth: Any) -> dict[str, Any]:
    return CONFIG | {
        "server": CONFIG["server"] | {"trusted_proxies": [trusted]},
        "auth": {"require_keys": "always", "user_header": HEADER, "people": PEOPLE} | auth,
    }


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """A gateway that trusts a proxy on this machine."""
    process = GatewayProcess(tmp_path_factory.mktemp("proxied"), config())
    keys = {role: make_key(process, role) for role in ("chat", "review", "admin")}
    with process:
        yield Locked(process, keys)


def by(name: str, gateway: GatewayProcess | None = None) -> dict[str, str]:
    return {HEADER: name} | (own(gateway) if gateway is not None else {})


def me(gateway: GatewayProcess, headers: dict[str, str], key: str | None = None) -> Any:
    found = call(gateway, "GET", "/me", headers=headers, key=key).json
    return found["user_id"], found["role"]


@pytest.mark.parametrize(
    ("name", "user_id", "role"),
    [
        ("ann@x.com", "ann@x.com", "admin"),
        (" ANN@X.com", "ann@x.com", "admin"),
        ("ben@x.com", "ben@x.com", "lead"),
        ("rita@y.com", "rita@y.com", "reviewer"),
        ("any@z.com", "any@z.com", "reviewer"),
        ("eve@y.com", None, None),
        ("@x.com", None, None),
        ("ann@x.com.evil.example", None, None),
        ("", None, None),
        ("x" * 251, None, None),
    ],
)
def test_who_comes_by_it(proxied: Locked, name: str, user_id: str | None, role: str | None) -> None:
    """Whom the configuration gives a role, the highest of several; and nobody else."""
    assert me(proxied.gateway, by(name)) == (user_id, role)


def test_what_they_may(proxied: Locked) -> None:
    """As their role has it; what they write bears their name, and they are seen."""
    gateway = proxied.gateway
    for name, status in (("ann@x.com", 200), ("ben@x.com", 403), ("rita@y.com", 403)):
        assert call(gateway, "GET", "/metrics", headers=by(name)).status == status
    assert_native(call(gateway, "GET", "/metrics", headers=by("eve@y.com")), 403, "no_role")
    asked = call(gateway, "POST", "/chat", {"message": "hi"}, by("Ben@x.com", gateway)).json
    trace = gateway.store.trace(asked["trace_id"])
    assert (trace["user_id"], trace["metadata"]) == ("ben@x.com", {"gateway.caller": "review"})
    until(lambda: ("ben@x.com", "lead", "proxy") in seen(gateway), seconds=5)
    roles = {each["user_id"]: each["role"] for each in people(gateway)}
    assert (roles["ann@x.com"], roles["rita@y.com"]) == ("admin", "reviewer")


def people(gateway: GatewayProcess) -> Any:
    return call(gateway, "GET", "/people", headers=by("ann@x.com")).json["people"]


def seen(gateway: GatewayProcess) -> list[tuple[str, str, str]]:
    return [(each["user_id"], each["role"], each["way"]) for each in people(gateway)]


def test_only_a_trusted_proxy_is_believed(tmp_path: Path) -> None:
    """Whoever else sends the header is nobody, and gets in by no open door either."""
    for auth in ({}, {"require_keys": "auto"}, {"require_keys": "never"}):
        made = {"user_header": "X-Person"} | auth  # a name that closes no door by itself
        process = GatewayProcess(tmp_path / auth.get("require_keys", "always"), config("203.0.113.9", **made))
        make_key(process, "chat")
        with process as gateway:
            for name in ("ann@x.com", "", "eve@y.com"):
                assert call(gateway, "GET", "/metrics", headers={"X-Person": name}).status == 401
            forged = {"X-Person": "ann@x.com", "X-Forwarded-For": "203.0.113.9"}
            assert call(gateway, "GET", "/metrics", headers=forged).status == 401


def test_what_counts_more(proxied: Locked) -> None:
    """Authorization beats it, and it beats the cookie; one that isn't good is nobody."""
    gateway, keys = proxied.gateway, proxied.keys
    assert me(gateway, by("ann@x.com"), keys["review"]) == ("review-default", "lead")
    assert me(gateway, by("ann@x.com"), "gw-sk-nobody's") == (None, None)
    cookie = sign_in(gateway, keys["admin"], "carl")
    assert me(gateway, cookie) == ("carl", "admin")
    assert me(gateway, cookie | by("rita@y.com")) == ("rita@y.com", "reviewer")
    assert me(gateway, cookie | by("eve@y.com")) == (None, None)
    assert me(gateway, cookie | by("")) == ("carl", "admin")  # the proxy names nobody
    assert me(gateway, by("ann@x.com") | {"X-User-Id": "eve"}) == ("ann@x.com", "admin")


@pytest.mark.parametrize("page", [{}, {"Origin": "https://evil.example"}, {"Origin": "null"}], ids=str)
async def test_pages_elsewhere(proxied: Locked, page: dict[str, str]) -> None:
    """The proxy adds the header whatever page asks: such a page changes nothing, reads nothing, opens no socket."""
    gateway, sent = proxied.gateway, by("ann@x.com") | page
    for method, target, body in (("POST", "/chat", {"message": "hi"}), ("DELETE", "/users/ann", None)):
        assert_native(call(gateway, method, target, body, sent), 403, "origin_not_allowed")
    async with connect(socket_url(gateway), additional_headers=sent) as ws:
        assert (await close_code(ws))[0] == 1008
    if page:
        assert call(gateway, "GET", "/metrics", headers=sent).status == 401
    else:
        elsewhere = sent | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        assert call(gateway, "GET", "/metrics", headers=elsewhere).status == 401


def test_who_has_a_role_is_not_invited(proxied: Locked) -> None:
    """By name or by address, over HTTP or by the command."""
    for name in ("ann@x.com", "NEW@X.COM", "rita@y.com"):
        body = {"user_id": name, "role": "lead"}
        assert_native(
            call(proxied.gateway, "POST", "/people/invites", body, key=proxied.keys["admin"]), 409, "conflict"
        )
        assert proxied.gateway.run("invite", name).returncode == 1


async def test_a_role_changes_meanwhile(tmp_path: Path) -> None:
    """At the next request; a socket of the old role is closed at its next frame."""
    process = GatewayProcess(tmp_path / "g", config())
    make_key(process, "chat")
    with process as gateway:
        async with connect(socket_url(gateway), additional_headers=by("ann@x.com", gateway)) as ws:
            await say(ws, type="ping")
            assert await hear(ws) == {"type": "pong"}
            gateway.write_config(config(people={"leads": ["ann@x.com"]}))
            until(lambda: me(gateway, by("ann@x.com")) == ("ann@x.com", "lead"), seconds=10)
            await say(ws, type="ping")
            assert (await close_code(ws))[0] == 1008
