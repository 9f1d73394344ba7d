"""Sign-in by OpenID Connect, at a real provider in a process of its own."""

from __future__ import annotations

import http.client
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from tests.support.http_client import assert_native, call
from tests.support.servers import GatewayProcess, ServerProcess
from tests.support.wires import Reply
from tests.web.conftest import CONFIG, make_key, until

PEOPLE = {"admins": ["ann@x.com"], "leads": ["*@x.com"]}


class Provider(ServerProcess):
    """The mock provider of PyPI, which speaks the whole protocol and lets anybody in who names themselves."""

    name = "provider"
    ready_path = "/.well-known/openid-configuration"

    def command(self) -> list[str]:
        return [sys.executable, "-m", "oidc_provider_mock", "--port", str(self.port), "--require-nonce", "true"]

    @property
    def issuer(self) -> str:
        return self.url

    def knows(self, sub: str, **claims: Any) -> None:
        """Tell it what it says of a person."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        body = json.dumps(claims)
        connection.request("PUT", f"/users/{quote(sub)}", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 204
        connection.close()

    def agrees(self, url: str, sub: str) -> str:
        """A person who signs in there; where the browser is sent then."""
        parts = urlsplit(url)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", f"{parts.path}?{parts.query}", urlencode({"sub": sub}), form)
        reply = connection.getresponse()
        assert reply.status == 302, reply.read()
        place = reply.getheader("location")
        connection.close()
        assert place is not None
        return place


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with Provider(tmp_path_factory.mktemp("provider")) as process:
        yield process


def config(provider: Provider, gateway_url: str = "", **people: Any) -> dict[str, Any]:
    oidc = {"issuer": provider.issuer, "client_id": "gateway", "client_secret": "a client's secret"}
    return CONFIG | {
        "server": CONFIG["server"] | {"public_url": gateway_url},
        "auth": {"require_keys": "always", "people": people or PEOPLE, "oidc": oidc},
    }


@pytest.fixture(scope="module")
def gateway(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path_factory.mktemp("oidc"), config(provider, "http://127.0.0.1:1"))
    process.write_config(config(provider, process.url))
    make_key(process, "admin")
    with process:
        yield process


def cookies(reply: Reply) -> dict[str, str]:
    """Those that a reply gives; our client joins several headers of one name, the last of which counts there."""
    return dict(pair.split("=", 1) for pair in re.findall(r"(gw_\w+=[^;,]*)", reply.headers.get("set-cookie", "")))


def begin(gateway: GatewayProcess, then: str = "#/traces") -> tuple[str, dict[str, str]]:
    """The provider's address, and the browser's cookie."""
    reply = call(gateway, "GET", f"/auth/oidc?next={quote(then, safe='')}")
    assert reply.status == 302, reply.body
    return reply.headers["location"], {"Cookie": f"gw_oidc={cookies(reply)['gw_oidc']}"}


def come_back(gateway: GatewayProcess, place: str, cookie: dict[str, str]) -> tuple[Reply, list[str]]:
    """What the browser gets from the callback, and all of its cookies."""
    parts = urlsplit(place)
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    connection.request("GET", f"{parts.path}?{parts.query}", headers=cookie)
    answer = connection.getresponse()
    reply = Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    given = [value for name, value in answer.getheaders() if name.lower() == "set-cookie"]
    connection.close()
    return reply, given


def signed_in(gateway: GatewayProcess, provider: Provider, sub: str) -> tuple[Reply, dict[str, str]]:
    """The whole way of a person."""
    url, cookie = begin(gateway)
    reply, given = come_back(gateway, provider.agrees(url, sub), cookie)
    found = [value.partition(";")[0] for value in given if value.startswith("gw_session=")]
    return reply, {"Cookie": found[0]} if found else {}


def me(gateway: GatewayProcess, headers: dict[str, str]) -> Any:
    found = call(gateway, "GET", "/me", headers=headers).json
    return found["user_id"], found["role"]


def test_the_way_there(gateway: GatewayProcess, provider: Provider) -> None:
    """Authorization code, with PKCE, state and nonce, new each time; the browser keeps what they were, signed."""
    (first, _), (second, _) = begin(gateway), begin(gateway)
    asked, again = (parse_qs(urlsplit(url).query) for url in (first, second))
    assert first.startswith(f"{provider.issuer}/oauth2/authorize?")
    assert asked["response_type"] == ["code"]
    assert asked["client_id"] == ["gateway"]
    assert asked["redirect_uri"] == [f"{gateway.url}/auth/oidc/callback"]
    assert set(asked["scope"][0].split()) == {"openid", "email"}
    assert asked["code_challenge_method"] == ["S256"]
    for name in ("state", "nonce", "code_challenge"):
        assert asked[name] != again[name]


@pytest.mark.parametrize(("sub", "role"), [("ann", "admin"), ("ben", "lead")])
def test_a_person_comes_in(gateway: GatewayProcess, provider: Provider, sub: str, role: str) -> None:
    """By the verified e-mail, with the role that the configuration gives, and goes on to where they wanted."""
    provider.knows(sub, email=f"{sub.capitalize()}@X.com", email_verified=True)
    reply, cookie = signed_in(gateway, provider, sub)
    assert (reply.status, reply.headers["location"]) == (302, f"{gateway.url}/#/traces")
    assert me(gateway, cookie) == (f"{sub}@x.com", role)
    assert call(gateway, "POST", "/auth/logout", headers=cookie | {"Origin": gateway.url}).status == 204
    assert me(gateway, cookie) == (None, None)


@pytest.mark.parametrize(
    ("sub", "claims"),
    [
        ("unverified", {"email": "ann@x.com", "email_verified": False}),
        ("unsaid", {"email": "ann@x.com"}),
        ("text", {"email": "ann@x.com", "email_verified": "true"}),
        ("nameless", {"email_verified": True}),
        ("stranger", {"email": "eve@y.com", "email_verified": True}),
        ("odd", {"email": ["ann@x.com"], "email_verified": True}),
    ],
)
def test_who_does_not(gateway: GatewayProcess, provider: Provider, sub: str, claims: dict[str, Any]) -> None:
    """Whose e-mail isn't verified, and whom the configuration doesn't name."""
    provider.knows(sub, **claims)
    reply, cookie = signed_in(gateway, provider, sub)
    assert (reply.status, cookie) == (403, {})
    assert reply.json["code"] == "no_role"


def test_another_browsers_code(gateway: GatewayProcess, provider: Provider) -> None:
    """Signs nobody in: neither without the cookie, nor with that of another sign-in, nor a changed one."""
    provider.knows("ann", email="ann@x.com", email_verified=True)
    url, cookie = begin(gateway)
    _, other = begin(gateway)
    place = provider.agrees(url, "ann")
    for sent in ({}, other, {"Cookie": cookie["Cookie"][:-1]}, {"Cookie": "gw_oidc=x"}):
        reply, given = come_back(gateway, place, sent)
        assert_native(reply, 401, "oidc_failed")
        assert not [value for value in given if value.startswith("gw_session")]
    reply, _ = come_back(gateway, place, cookie)
    assert reply.status == 302
    reply, _ = come_back(gateway, place, cookie)  # the provider gives nothing for a code a second time
    assert_native(reply, 401, "oidc_failed")


def test_what_the_provider_refuses(gateway: GatewayProcess, provider: Provider) -> None:
    """A code that isn't one, and a person who says no."""
    url, cookie = begin(gateway)
    state = parse_qs(urlsplit(url).query)["state"][0]
    for said in ("code=none&state={}", "error=access_denied&state={}", "code=none", "state={}x&code=c"):
        query = said.format(state)
        reply, given = come_back(gateway, f"/auth/oidc/callback?{query}", cookie)
        assert_native(reply, 401, "oidc_failed")
        assert not [value for value in given if value.startswith("gw_session")]


@pytest.mark.parametrize("then", ["https://evil.example", "//evil.example", "/x", "#x", "#/\r\nX: y", "#/ x"])
def test_next_is_a_page_of_ours(gateway: GatewayProcess, then: str) -> None:
    """And no other place, so that no link of ours leads elsewhere."""
    reply = call(gateway, "GET", f"/auth/oidc?next={quote(then, safe='')}")
    assert_native(reply, 422, "invalid_value", "next")


def test_a_provider_that_is_down(provider: Provider, tmp_path: Path) -> None:
    """Or that is another than the configured one: nobody is sent there."""
    gone = Provider(tmp_path / "gone")
    process = GatewayProcess(tmp_path / "g", config(gone, "http://127.0.0.1:1"))
    make_key(process, "admin")
    with process:
        assert call(process, "GET", "/auth/oidc").status == 503
        assert call(process, "GET", "/me").json["ways"] == ["key", "invite", "oidc"]


def test_a_role_changes_meanwhile(provider: Provider, tmp_path: Path) -> None:
    """The sign-in of the old role ends."""
    process = GatewayProcess(tmp_path / "g", config(provider, "http://127.0.0.1:1"))
    process.write_config(config(provider, process.url))
    make_key(process, "admin")
    provider.knows("ann", email="ann@x.com", email_verified=True)
    with process:
        _, cookie = signed_in(process, provider, "ann")
        assert me(process, cookie) == ("ann@x.com", "admin")
        process.write_config(config(provider, process.url, leads=["ann@x.com"]))
        until(lambda: me(process, cookie) == (None, None), seconds=10)
        _, again = signed_in(process, provider, "ann")
        assert me(process, again) == ("ann@x.com", "lead")
