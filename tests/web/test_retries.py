"""A reader that retries its own POST after a cut, by `Last-Event-ID`: it goes on where it was, and nothing is asked."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import StartGateway
from tests.support.http_client import assert_native, call, dialled
from tests.support.servers import GatewayProcess
from tests.support.wires import Reply, text_of
from tests.web.conftest import CONFIG, PAGE, Locked
from tests.web.test_streams import Opened, stop

ASKED = {"message": "tell me", "client_request_id": "r-1"}


def post(gateway: GatewayProcess, body: Any, after: Any, key: str | None = None, **headers: str) -> Reply:
    """The same POST once more, as such a reader sends it."""
    return call(gateway, "POST", "/chat/stream", body, {"Last-Event-ID": str(after)} | headers, key=key)


def cut(gateway: GatewayProcess, body: dict[str, Any]) -> tuple[str, bytes]:
    """Ask, and hang up after the first token. Return the trace and what came."""
    with dialled(gateway) as connection:
        first = Opened(connection, "/chat/stream", body)
        return first.trace_id, first.until(b'"token"')


@pytest.fixture
def gateway(start_gateway: StartGateway) -> GatewayProcess:
    return start_gateway(CONFIG | {"streaming": {"disconnect_grace_s": 20}})


def traces_of(gateway: GatewayProcess, client_request_id: str) -> list[str]:
    rows = gateway.store.rows("SELECT trace_id FROM traces WHERE client_request_id = ?", client_request_id)
    return [row["trace_id"] for row in rows]


def test_a_stream_goes_on_where_it_was_cut(gateway: GatewayProcess) -> None:
    """While it runs: what follows, live, of the same answer; the provider isn't asked again."""
    body = {**ASKED, "model": "slow"}
    trace_id, _ = cut(gateway, body)
    with dialled(gateway) as connection:
        second = Opened(connection, "/chat/stream", body, {"Last-Event-ID": "1"})
        assert second.trace_id == trace_id
        assert b'"start"' not in second.until(b'"token"')
        stop(gateway, trace_id)
        second.until(b'"finish_reason":"stopped"')
    assert traces_of(gateway, "r-1") == [trace_id]


def test_who_has_had_all_gets_the_end_again(gateway: GatewayProcess) -> None:
    """A 204 would mean nothing to a reader of a POST. From the middle it gets the middle."""
    first = call(gateway, "POST", "/chat/stream", ASKED)
    last = first.events[-1]
    for after in (19, 999_999):
        again = post(gateway, ASKED, after)
        assert (again.status, again.events) == (200, [last])
    assert text_of(post(gateway, ASKED, 6).events) == text_of(first.events)[5:]
    assert traces_of(gateway, "r-1") == [last["trace_id"]]


def test_another_body_is_refused(gateway: GatewayProcess) -> None:
    """By any difference; and so is a position that can't be one."""
    call(gateway, "POST", "/chat/stream", ASKED)
    for more in ({"temperature": 1}, {"message": "something else"}, {"user_id": "eve"}):
        assert_native(post(gateway, ASKED | more, 3), 409, "conflict")
    assert_native(post(gateway, ASKED, "x"), 422, "invalid_value", "after")
    assert len(traces_of(gateway, "r-1")) == 1


def test_what_was_never_asked_is_a_new_chat(gateway: GatewayProcess) -> None:
    """An unknown ID for the request, none at all, or one of a chat without a stream."""
    call(gateway, "POST", "/chat", ASKED)
    for body in (ASKED, {"message": "tell me"}, ASKED | {"client_request_id": "r-2"}):
        assert post(gateway, body, 3).events[0]["type"] == "start"


def test_after_a_restart_it_comes_from_the_store(gateway: GatewayProcess) -> None:
    """What the store has is compared, then. The answer that was cut off by the kill ends in its error."""
    first = call(gateway, "POST", "/chat/stream", ASKED)
    followed = {"message": "go on", "session_id": first.events[0]["session_id"], "client_request_id": "r-2"}
    second = call(gateway, "POST", "/chat/stream", followed)
    running, _ = cut(gateway, {"message": "tell me", "client_request_id": "r-3", "model": "slow"})
    gateway.kill()
    gateway.start()
    assert text_of(post(gateway, ASKED, 6).events) == text_of(first.events)[5:]
    assert text_of(post(gateway, followed, 6).events) == text_of(second.events)[5:]
    ended = post(gateway, {"message": "tell me", "client_request_id": "r-3", "model": "slow"}, 2).events[-1]
    assert (ended["type"], ended["code"], ended["trace_id"]) == ("error", "server_shutdown", running)
    for other in ({"message": "no"}, {"model": "slow"}, {"session_id": "s"}):
        assert_native(post(gateway, ASKED | other, 6), 409, "conflict")


def test_a_visitor_needs_the_raters_token(shop: Locked) -> None:
    """Behind a publishable key all pages have one key: without the token it is somebody else's stream."""
    page = shop.keys["page"]
    first = call(shop.gateway, "POST", "/chat/stream", ASKED, {"Origin": PAGE}, key=page)
    start = first.events[0]
    assert_native(post(shop.gateway, ASKED, 1, page, Origin=PAGE), 409, "conflict")
    again = post(shop.gateway, ASKED, 1, page, Origin=PAGE, **{"X-Feedback-Token": start["feedback_token"]})
    assert again.events == first.events[1:]
    assert post(shop.gateway, ASKED, 1, shop.keys["chat"]).events[0]["type"] == "start"  # another key: another chat
