"""`[server] id_headers`: who asks, and in which chat, in the words of Open WebUI and others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.http_client import assert_openai, call
from tests.support.servers import GatewayProcess
from tests.web.conftest import CONFIG, Locked, make_key

ORIGIN = "https://shop.example"
HEADERS = {
    "X-OpenWebUI-User-Id": "user_id",
    "X-OpenWebUI-User-Email": "user_id",
    "X-OpenWebUI-Chat-Id": "session_id",
    "X-OpenWebUI-Message-Id": "client_request_id",
}
SENT = {"X-OpenWebUI-User-Id": "ann", "X-OpenWebUI-Chat-Id": "chat-1", "X-OpenWebUI-Message-Id": "m-1"}
HI = [{"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """It lets callers of this machine in without a key, too."""
    process = GatewayProcess(tmp_path_factory.mktemp("ids"), CONFIG | {"server": {"id_headers": HEADERS}})
    keys = {"chat": make_key(process, "chat"), "admin": make_key(process, "admin")}
    keys["page"] = make_key(process, "chat", "--publishable", "--origins", ORIGIN, name="page")
    with process:
        yield Locked(process, keys)


def ids_of(
    gateway: Locked, headers: dict[str, str], key: str | None = "chat", path: str = "/v1/chat/completions", **body: Any
) -> tuple[str | None, str | None, str | None]:
    """The user, session and own ID that the trace of a chat has."""
    asked = {"id": "ui-1", "messages": [{"role": "user", "parts": [{"type": "text", "text": "Hi"}]}]}
    body = (
        asked if path == "/api/chat" else {"prompt": "Hi"} if path == "/v1/completions" else {"messages": HI}
    ) | body
    reply = call(gateway.gateway, "POST", path, body, headers, key=gateway.keys[key] if key else None)
    assert reply.status == 200, reply.body
    trace = gateway.gateway.store.ended(reply.headers["x-trace-id"])
    return trace["user_id"], trace["session_id"], trace["client_request_id"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/chat", "/chat/stream"])
@pytest.mark.parametrize("key", ["chat", "admin"])
def test_a_secret_key_is_believed(gateway: Locked, path: str, key: str) -> None:
    """On every route of chats."""
    assert ids_of(gateway, SENT, key, path) == ("ann", "chat-1", "m-1")


def test_the_ai_sdk_has_a_session_of_its_own(gateway: Locked) -> None:
    """The chat's id in the body counts; the user comes from the header."""
    assert ids_of(gateway, SENT, path="/api/chat")[:2] == ("ann", "ui-1")


def test_what_the_request_says_itself_counts_more(gateway: Locked) -> None:
    """In the gateway's headers, in OpenAI's field, in the body."""
    assert ids_of(gateway, SENT | {"X-User-Id": "bob", "X-Session-Id": "s-2"})[:2] == ("bob", "s-2")
    user = {"X-OpenWebUI-User-Id": "ann"}
    assert ids_of(gateway, user, user="cid")[0] == "cid"
    assert ids_of(gateway, user, path="/chat", user_id="dan")[0] == "dan"


def test_the_first_header_that_is_there_counts(gateway: Locked) -> None:
    """In the order of the configuration; an empty one isn't there."""
    email = {"X-OpenWebUI-User-Email": "ann@example.com"}
    assert ids_of(gateway, email)[0] == "ann@example.com"
    assert ids_of(gateway, email | {"X-OpenWebUI-User-Id": "ann"})[0] == "ann"
    assert ids_of(gateway, email | {"X-OpenWebUI-User-Id": " "})[0] == "ann@example.com"


def test_a_page_cannot_claim_another_user(gateway: Locked) -> None:
    """A publishable key speaks for its own rater, in a session of its own, whatever headers it sends."""
    user, session, own = ids_of(gateway, SENT | {"Origin": ORIGIN}, "page")
    assert user is not None
    assert user.startswith("visitor-")
    assert session != "chat-1"
    assert own is None


def test_without_a_key_nobody_is_believed(gateway: Locked) -> None:
    """What needs no key is no witness of who asks."""
    user, session, own = ids_of(gateway, SENT, None)
    assert (user, session == "chat-1", own) == (None, False, None)


def test_somebody_elses_chat(gateway: Locked) -> None:
    """A session belongs to its user, however both were named."""
    ids_of(gateway, {"X-OpenWebUI-User-Id": "ann", "X-OpenWebUI-Chat-Id": "of-ann"})
    headers = {"X-OpenWebUI-User-Id": "bob", "X-OpenWebUI-Chat-Id": "of-ann"}
    reply = call(gateway.gateway, "POST", "/v1/chat/completions", {"messages": HI}, headers, key=gateway.keys["chat"])
    assert_openai(reply, 404, "not_found")


def test_a_header_that_can_be_no_id(gateway: Locked) -> None:
    """It is refused by its name."""
    headers = {"X-OpenWebUI-User-Id": "x" * 251}
    reply = call(gateway.gateway, "POST", "/v1/chat/completions", {"messages": HI}, headers, key=gateway.keys["chat"])
    assert_openai(reply, 400, "invalid_value")
    assert reply.json["error"]["param"] == "x-openwebui-user-id"


def test_its_person_is_erased(gateway: Locked) -> None:
    """Who was named so is a user as any other."""
    ids_of(gateway, {"X-OpenWebUI-User-Id": "eve"})
    erased = call(gateway.gateway, "DELETE", "/users/eve", key=gateway.keys["admin"])
    assert (erased.status, erased.json["traces"]) == (200, 1)
    assert not gateway.gateway.store.rows("SELECT * FROM traces WHERE user_id = 'eve'")
