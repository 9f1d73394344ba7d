"""Conversations: continued by session and message, read back, kept apart; and what is stored of their content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.chaos import ChaosProcess
from tests.support.http_client import ask, assert_native, assert_openai, call, dialled
from tests.support.servers import GatewayProcess

TEXT = "Grüße, Welt 🌍! It still works."
SECRET = "sk-secret-of-the-provider"


def config(upstream: ChaosProcess, content: str) -> dict[str, Any]:
    models = ("ok", "error-after-3", "status-500", "lorem-200-20ms", "tools", "status-401")
    return {
        "capture": {"content": content},
        "providers": {"chaos": {"kind": "openai", "base_url": upstream.url + "/v1", "api_key": SECRET}},
        "models": {name: {"targets": [f"chaos/{name}"], "retries": 0} for name in models},
        "streaming": {"disconnect_grace_s": 0.1},
    }


@pytest.fixture(scope="module", params=["full"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: ChaosProcess
) -> Iterator[GatewayProcess]:
    """In front of a provider that tells what it got. Other modes of capture: parametrize it indirectly."""
    with GatewayProcess(tmp_path_factory.mktemp("sessions"), config(upstream, request.param)) as process:
        yield process


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def said(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def turns(gateway: GatewayProcess, session: str, **query: str) -> list[dict[str, Any]]:
    more = "&".join(f"{name}={quote(value)}" for name, value in query.items())
    reply = call(gateway, "GET", f"/sessions/{quote(session, safe='')}?{more}")
    assert reply.status == 200, reply.body
    assert reply.json["session_id"] == session
    found: list[dict[str, Any]] = reply.json["turns"]
    return found


def test_a_conversation(gateway: GatewayProcess, upstream: ChaosProcess) -> None:
    """An unknown session starts one; each further message comes after the stored turns."""
    ask(gateway, session_id="talk", message="one", model="ok")
    assert upstream.last_body()["messages"] == [user("one")]
    ask(gateway, session_id="talk", message="two", model="ok")
    assert upstream.last_body()["messages"] == [user("one"), said(TEXT), user("two")]
    ask(gateway, session_id="talk", message="three", model="ok", temperature=0.5)
    body = upstream.last_body()
    assert body["messages"] == [user("one"), said(TEXT), user("two"), said(TEXT), user("three")]
    assert body["temperature"] == 0.5
    assert {"session_id", "message", "tags", "user_id"}.isdisjoint(body)
    assert [(turn["message"], turn["response"]) for turn in turns(gateway, "talk")] == [
        (text, TEXT) for text in ("one", "two", "three")
    ]


def test_messages_start_anew(gateway: GatewayProcess, upstream: ChaosProcess) -> None:
    """Who sends the whole list means it; the trace belongs to the session all the same."""
    ask(gateway, session_id="list", message="one", model="ok")
    whole = {"messages": [user("a"), said("b"), user("c")], "session_id": "list", "model": "ok"}
    assert call(gateway, "POST", "/chat", whole).status == 200
    assert upstream.last_body()["messages"] == whole["messages"]
    assert [turn["message"] for turn in turns(gateway, "list")] == ["one", "c"]


def test_a_session_without_a_name(gateway: GatewayProcess) -> None:
    """It gets one, and goes on by it."""
    first = ask(gateway, message="one", model="ok")
    second = ask(gateway, message="two", model="ok", session_id=first["session_id"])
    assert second["session_id"] == first["session_id"]
    assert len(turns(gateway, first["session_id"])) == 2


def test_after_an_answer_that_failed(gateway: GatewayProcess, upstream: ChaosProcess) -> None:
    """What there was of it is in the conversation; a question without any answer is left out."""
    assert call(gateway, "POST", "/chat", {"message": "one", "session_id": "err", "model": "status-500"}).status == 502
    call(gateway, "POST", "/chat/stream", {"message": "two", "session_id": "err", "model": "error-after-3"})
    assert upstream.last_body()["messages"] == [user("two")]
    ask(gateway, session_id="err", message="three", model="ok")
    assert upstream.last_body()["messages"] == [user("two"), said("lorem ipsum dolor"), user("three")]
    found = turns(gateway, "err")
    assert [(turn["state"], turn["outcome"], turn["response"]) for turn in found] == [
        ("ERROR", "upstream_error", ""),
        ("ERROR", "upstream_error", "lorem ipsum dolor"),
        ("OK", "complete", TEXT),
    ]
    assert [bool(turn["error"]) for turn in found] == [True, True, False]


def test_after_a_stop(gateway: GatewayProcess, upstream: ChaosProcess) -> None:
    """The text so far is the answer."""
    body = b'{"message": "go", "session_id": "stop", "model": "lorem-200-20ms"}'
    with dialled(gateway) as connection:
        head = f"POST /chat/stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        connection.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        got = b""
        while b'"token"' not in got:
            got += connection.recv(4096)
        trace_id = got[got.index(b"tr-") :][:35].decode()
        assert call(gateway, "POST", f"/chat/stream/{trace_id}/stop").json["outcome"] == "stopped"
    text = turns(gateway, "stop")[0]["response"]
    assert text.startswith("lorem")
    ask(gateway, session_id="stop", message="on", model="ok")
    assert upstream.last_body()["messages"] == [user("go"), said(text), user("on")]
    assert [turn["outcome"] for turn in turns(gateway, "stop")] == ["stopped", "complete"]


@pytest.mark.parametrize("form", ["message", "messages", "stream", "openai"])
def test_somebody_elses_session(gateway: GatewayProcess, form: str) -> None:
    """404 for another user and for nobody, in every form, and nothing is stored."""
    if not gateway.store.rows("SELECT 1 FROM sessions WHERE session_id = 'anns'"):
        ask(gateway, session_id="anns", user_id="ann", message="mine", model="ok")
    before = len(gateway.store.traces())
    for name in ("bob", None):
        body: dict[str, Any] = {"session_id": "anns", "user_id": name, "model": "ok", "message": "whose?"}
        if form == "openai":
            headers = {"X-Session-Id": "anns"} | ({"X-User-Id": name} if name else {})
            reply = call(gateway, "POST", "/v1/chat/completions", {"messages": [user("x")], "model": "ok"}, headers)
            assert_openai(reply, 404, "not_found")
            continue
        if form == "messages":
            body["messages"] = [user(body.pop("message"))]
        path = "/chat/stream" if form == "stream" else "/chat"
        reply = call(gateway, "POST", path, body)
        assert_native(reply, 404, "not_found")
        assert "x-trace-id" not in reply.headers
    assert len(gateway.store.traces()) == before
    for query in ("", "?user_id=bob"):
        assert_native(call(gateway, "GET", "/sessions/anns" + query), 404, "not_found")
    assert [turn["message"] for turn in turns(gateway, "anns", user_id="ann")] == ["mine"]


def test_an_unknown_session(gateway: GatewayProcess) -> None:
    """There is nothing to read of it."""
    assert_native(call(gateway, "GET", "/sessions/never"), 404, "not_found")


def test_ratings_of_this_rater(gateway: GatewayProcess) -> None:
    """A reopened page shows one's own, and nobody else's."""
    first = ask(gateway, session_id="rated", message="one", model="ok")["trace_id"]
    ask(gateway, session_id="rated", message="two", model="ok")
    for rater, good in (("ann", True), ("bob", False)):
        target = f"/feedback?trace_id={first}&user_id={rater}"
        assert call(gateway, "POST", target, {"is_correct": good, "comment": rater}).status == 200
    assert call(gateway, "POST", f"/feedback?trace_id={first}", {"is_correct": True}).status == 200

    def seen(**query: str) -> list[list[tuple[Any, ...]]]:
        found = [turn["feedback"] for turn in turns(gateway, "rated", **query)]
        return [[(item["name"], item["value"], item["rationale"]) for item in items] for items in found]

    assert seen(user_id="ann") == [[("user_feedback", True, "ann")], []]
    assert seen(user_id="bob") == [[("user_feedback", False, "bob")], []]
    assert seen() == [[("user_feedback", True, None)], []]


@pytest.mark.parametrize(
    "session", ["a/b", "../x", "a b?c#d&e=f%41", "日本語 🌍", "\x1b[31m\nred", "' OR 1=1 --", "<b>", "."]
)
def test_odd_session_ids(gateway: GatewayProcess, session: str) -> None:
    """Any string is kept as it is, goes on, and can be read back by its escaped form."""
    for text in ("one", "two"):
        assert ask(gateway, session_id=session, message=text, model="ok")["session_id"] == session
    assert [turn["message"] for turn in turns(gateway, session)] == ["one", "two"]
    row = gateway.store.rows("SELECT session_id FROM sessions WHERE session_id = ?", session)
    assert row == [{"session_id": session}]


# What is stored of the content


def stored(gateway: GatewayProcess) -> dict[str, Any]:
    reply = ask(gateway, message="the question", model="ok", session_id="s", tags={"t": "v"})
    assert reply["response"] == TEXT
    return gateway.store.trace(reply["trace_id"])


def test_full(gateway: GatewayProcess) -> None:
    """Everything that was said."""
    row = stored(gateway)
    assert row["request"] == [user("the question")]
    assert row["response"][0]["content"] == TEXT
    assert (row["request_preview"], row["response_preview"]) == ("the question", TEXT)


@pytest.mark.parametrize("gateway", ["preview", "none"], indirect=True)
def test_less_than_full(gateway: GatewayProcess) -> None:
    """Previews or nothing are stored; the numbers always are, and a conversation can't go on from them."""
    row = stored(gateway)
    assert (row["request"], row["response"], row["parts"]) == (None, None, None)
    preview = row["request_preview"] is not None
    assert (row["request_preview"], row["response_preview"]) == (("the question", TEXT) if preview else (None, None))
    assert (row["outcome"], row["tags"], row["completion_tokens"] > 0) == ("complete", {"t": "v"}, True)

    before = len(gateway.store.traces())
    again = {"message": "and then?", "session_id": "s", "model": "ok"}
    for path in ("/chat", "/chat/stream"):
        assert_native(call(gateway, "POST", path, again), 422, "content_not_stored")
    assert len(gateway.store.traces()) == before
    (turn,) = turns(gateway, "s")
    assert (turn["message"], turn["response"]) == (("the question", TEXT) if preview else (None, None))
    assert call(gateway, "POST", f"/feedback?trace_id={row['trace_id']}", {"is_correct": True}).status == 200

    files = b"".join(path.read_bytes() for path in gateway.directory.glob("gateway*"))
    assert (b"the question" in files) is preview
    assert (b"still works" in files) is preview


def test_no_secret_anywhere(gateway: GatewayProcess) -> None:
    """A provider's key and address are in no reply, no log and no file of the store, whatever the provider says."""
    replies = [
        call(gateway, "POST", path, {"messages": [user("x")], "model": model})
        for path in ("/chat", "/chat/stream", "/v1/chat/completions")
        for model in ("status-401", "status-500", "error-after-3")
    ]
    for data in (*(reply.body for reply in replies), *(p.read_bytes() for p in gateway.directory.glob("gateway*"))):
        assert SECRET.encode() not in data
