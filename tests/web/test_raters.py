"""Feedback tokens: whose rating it is, what a token opens, and what it does not."""

from __future__ import annotations

from typing import Any

from gateway.access.principal import KEYLESS
from gateway.access.tokens import Tokens
from gateway.domain import ids
from tests.conftest import StartGateway
from tests.support.http_client import ask, assert_native, by_token, call
from tests.support.wires import Reply
from tests.web.conftest import CONFIG, PAGE, Locked, until

GOOD = {"is_correct": True}


def raters(shop: Locked, trace_id: str) -> list[str]:
    return [row["source_id"] for row in shop.gateway.store.assessments(trace_id)]


def test_every_native_stream_brings_tokens(shop: Locked) -> None:
    """In `start`, in `done` and in the plain reply; each is all that rating takes."""
    reply = call(shop.gateway, "POST", "/chat/stream", {"message": "hi"}, key=shop.keys["chat"])
    start, done = reply.events[0], reply.events[-1]
    trace_id = start["trace_id"]
    for token in (start["feedback_token"], done["feedback_token"]):
        assert by_token(shop.gateway, "POST", f"/feedback?trace_id={trace_id}", GOOD, token).status == 200
    plain = ask(shop.gateway, key=shop.keys["chat"])
    assert (
        call(shop.gateway, "POST", "/feedback", GOOD, key=plain["feedback_token"]).json["trace_id"]
        == (plain["trace_id"])
    )
    assert raters(shop, plain["trace_id"]) == [f"anonymous:{plain['trace_id']}"]


def test_a_tokens_rater_beats_any_user_id(shop: Locked) -> None:
    """In the query, beside a secret key, and by dimensions."""
    asked = ask(shop.gateway, key=shop.keys["chat"], user_id="ada")
    trace_id, token = asked["trace_id"], asked["feedback_token"]
    target = f"feedback?trace_id={trace_id}&user_id=eve"
    assert by_token(shop.gateway, "POST", f"/{target}", GOOD, token).status == 200
    headers = {"X-Feedback-Token": token}
    assert call(shop.gateway, "POST", f"/{target}", GOOD, headers, key=shop.keys["admin"]).status == 200
    assert by_token(shop.gateway, "POST", f"/detailed-{target}&accuracy=4", None, token).status == 200
    assert set(raters(shop, trace_id)) == {"ada"}
    read = by_token(shop.gateway, "GET", f"/{target}", None, token).json["feedback"]
    assert {rating["name"] for rating in read} == {"user_feedback", "user_accuracy"}
    taken_back = by_token(shop.gateway, "DELETE", f"/{target}&name=user_accuracy", None, token)
    assert taken_back.json["retracted"] == 1


def test_a_token_opens_one_trace(shop: Locked) -> None:
    """Neither by another's ID nor by its client request ID, nor a chat; a trace that is unknown is another's, too."""
    asked = ask(shop.gateway, key=shop.keys["chat"], client_request_id="mine")
    other = ask(shop.gateway, key=shop.keys["chat"], client_request_id="theirs")
    token = asked["feedback_token"]
    for subject in (f"trace_id={other['trace_id']}", "client_request_id=theirs", "trace_id=tr-" + "0" * 32):
        assert_native(by_token(shop.gateway, "POST", f"/feedback?{subject}", GOOD, token), 403, "forbidden")
    assert by_token(shop.gateway, "POST", "/feedback?client_request_id=nobodys", GOOD, token).status == 404
    assert by_token(shop.gateway, "POST", "/feedback?client_request_id=mine", GOOD, token).status == 200
    assert call(shop.gateway, "POST", "/chat", {"message": "hi"}, key=token).status == 403
    assert raters(shop, other["trace_id"]) == []


def test_nobody_catches_a_rating_by_its_client_request_id(shop: Locked) -> None:
    """A server rates, reads back, retracts and makes tokens for what it asked, whoever asked with the same ID later."""
    keys = shop.keys
    mine = ask(shop.gateway, key=keys["chat"], user_id="ada", client_request_id="order-1")
    ask(shop.gateway, key=keys["chat"], user_id="eve", client_request_id="order-1")
    body = {"message": "hi", "client_request_id": "order-1"}
    evil = call(shop.gateway, "POST", "/chat", body, {"Origin": PAGE}, key=keys["page"]).json
    subject = "client_request_id=order-1&user_id=ada"
    for key in (keys["chat"], keys["review"]):
        for method in ("POST", "GET"):
            sent = GOOD if method == "POST" else None
            reply = call(shop.gateway, method, f"/feedback?{subject}", sent, key=key)
            assert reply.json["trace_id"] == mine["trace_id"]
        made = call(shop.gateway, "POST", f"/feedback/token?{subject}", key=key)
        assert made.json["trace_id"] == mine["trace_id"]
    retracted = call(shop.gateway, "DELETE", f"/feedback?{subject}&name=user_feedback", key=keys["chat"])
    assert (retracted.json["trace_id"], retracted.json["retracted"]) == (mine["trace_id"], 1)
    assert raters(shop, evil["trace_id"]) == []


def test_a_tokens_own_trace_comes_first(shop: Locked) -> None:
    """Nobody who asks with its client request ID later keeps a page from rating by that."""
    asked = ask(shop.gateway, key=shop.keys["chat"], client_request_id="order-2")
    ask(shop.gateway, key=shop.keys["chat"], client_request_id="order-2")
    rated = by_token(shop.gateway, "POST", "/feedback?client_request_id=order-2", GOOD, asked["feedback_token"])
    assert rated.json["trace_id"] == asked["trace_id"]


def test_a_token_has_its_number_of_ratings(shop: Locked) -> None:
    """ratings_per_token, by trace and rater, so that a fresh token brings no more."""
    asked = ask(shop.gateway, key=shop.keys["chat"])
    target = f"/feedback?trace_id={asked['trace_id']}"
    made = call(shop.gateway, "POST", "/feedback/token", {"trace_id": asked["trace_id"]}, key=shop.keys["chat"]).json
    for token in (asked["feedback_token"], made["feedback_token"], asked["feedback_token"]):
        assert by_token(shop.gateway, "POST", target, GOOD, token).status == 200
    refused = by_token(shop.gateway, "POST", target, GOOD, made["feedback_token"])
    assert_native(refused, 429, "too_many_ratings")
    assert int(refused.headers["retry-after"]) > 0


def test_a_repeated_rating_is_none_of_a_token_s(shop: Locked) -> None:
    """A page whose reply was lost asks again by the same Idempotency-Key, also when its ratings are used up."""
    asked = ask(shop.gateway, key=shop.keys["chat"])
    target, token = f"/feedback?trace_id={asked['trace_id']}", asked["feedback_token"]

    def rate(key: str, body: Any = GOOD) -> Reply:
        return by_token(shop.gateway, "POST", target, body, token, **{"Idempotency-Key": key})

    first = [rate(key).json for key in ("one", "one", "one", "one", "two", "three")]  # three are allowed
    assert rate("four").status == 429
    assert rate("one").json == first[0] == first[3]
    assert rate("one", {"is_correct": False}).status == 422


def test_a_secret_key_makes_tokens(shop: Locked) -> None:
    """For the trace's own user or whom it names, by JSON or query, for the names it allows; not for another project."""
    asked = ask(shop.gateway, key=shop.keys["chat"], user_id="ada")
    body = {"trace_id": asked["trace_id"]}

    def make(body: Any, key: str = "review") -> Reply:
        return call(shop.gateway, "POST", "/feedback/token", body, key=shop.keys[key])

    own = make(body).json
    assert own["trace_id"] == asked["trace_id"]
    assert abs(own["expires_at"] - ids.now_ms() - 86_400_000) < 60_000
    desk = make(body | {"user_id": "desk", "names": ["user_feedback"]}).json
    for made in (own, desk):
        assert by_token(shop.gateway, "POST", "/feedback", GOOD, made["feedback_token"]).status == 200
    assert raters(shop, asked["trace_id"]) == ["ada", "desk"]
    other = by_token(shop.gateway, "POST", "/feedback", {"name": "tone", "value": 1}, desk["feedback_token"])
    assert_native(other, 403, "forbidden")
    assert make(body, "other").status == 404
    by_query = call(
        shop.gateway, "POST", f"/feedback/token?trace_id={asked['trace_id']}&user_id=bob", key=shop.keys["chat"]
    )
    assert by_token(shop.gateway, "POST", "/feedback", GOOD, by_query.json["feedback_token"]).status == 200
    assert raters(shop, asked["trace_id"]) == ["ada", "desk", "bob"]
    assert_native(make({}), 422, "invalid_value", "trace_id")
    assert_native(make(body | {"nmaes": []}), 422, "invalid_value", "nmaes")


def test_a_token_stops_and_resumes_its_stream(shop: Locked) -> None:
    """Also beside a publishable key, and after the record is only in the store."""
    asked = ask(shop.gateway, key=shop.keys["chat"])
    target, token = f"/chat/stream/{asked['trace_id']}", asked["feedback_token"]
    assert by_token(shop.gateway, "GET", target, None, token).status == 200
    beside = {"X-Feedback-Token": token, "Origin": PAGE}
    assert call(shop.gateway, "POST", f"{target}/stop", None, beside, key=shop.keys["page"]).status == 200
    assert call(shop.gateway, "POST", f"{target}/stop", None, {"Origin": PAGE}, key=shop.keys["page"]).status == 403


def test_a_token_reads_its_session(shop: Locked) -> None:
    """With a fresh token for each turn, of the same rater; another user's session is unknown to it."""
    first = ask(shop.gateway, key=shop.keys["chat"], user_id="ada", session_id="ada's")
    second = ask(shop.gateway, key=shop.keys["chat"], user_id="ada", session_id="ada's")
    by_token(shop.gateway, "POST", "/feedback", GOOD, first["feedback_token"])
    turns = by_token(shop.gateway, "GET", "/sessions/ada's", None, second["feedback_token"]).json["turns"]
    assert [turn["trace_id"] for turn in turns] == [first["trace_id"], second["trace_id"]]
    assert [len(turn["feedback"]) for turn in turns] == [1, 0]
    for turn in turns:
        assert by_token(shop.gateway, "POST", "/feedback", GOOD, turn["feedback_token"]).status == 200
    assert set(raters(shop, first["trace_id"]) + raters(shop, second["trace_id"])) == {"ada"}
    body = {"trace_id": first["trace_id"], "user_id": "eve"}
    eve = call(shop.gateway, "POST", "/feedback/token", body, key=shop.keys["chat"]).json["feedback_token"]
    assert by_token(shop.gateway, "GET", "/sessions/ada's", None, eve).status == 404


def test_an_anonymous_conversation_has_a_rater_a_turn(shop: Locked) -> None:
    """Its tokens don't make a turn's anonymous rater that of another one, nor a user of somebody else."""
    first = ask(shop.gateway, key=shop.keys["chat"], session_id="nobody's")
    second = ask(shop.gateway, key=shop.keys["chat"], session_id="nobody's", user_id="ada")
    turns = by_token(shop.gateway, "GET", "/sessions/nobody's", None, first["feedback_token"]).json["turns"]
    for turn in turns:
        by_token(shop.gateway, "POST", "/feedback", GOOD, turn["feedback_token"])
    assert raters(shop, first["trace_id"]) == [f"anonymous:{first['trace_id']}"]
    assert raters(shop, second["trace_id"]) == [f"anonymous:{second['trace_id']}"]


def test_tokens_outlive_a_restart_and_a_rotation(start_gateway: StartGateway) -> None:
    """The stored key signs until one is configured; then a file that names new and old keys takes both's tokens."""
    gateway = start_gateway(CONFIG)
    asked = ask(gateway)
    gateway.restart()

    def takes(token: str) -> bool:
        return by_token(gateway, "GET", "/feedback", None, token).status == 200

    assert takes(asked["feedback_token"])
    old, new = "an-old-key-of-some-length", "a-new-key-of-some-length"
    by_old, by_new = (Tokens([key], 60).issue(KEYLESS, asked["trace_id"], "u").text for key in (old, new))
    gateway.write_config(CONFIG | {"auth": {"signing_keys": [old]}})
    until(lambda: takes(by_old), 5)
    assert not takes(asked["feedback_token"])
    gateway.write_config(CONFIG | {"auth": {"signing_keys": [new, old]}})
    until(lambda: takes(by_new), 5)
    assert takes(by_old)
