"""Who may call what: a row for every route of the table, tried with every kind of credential."""

from __future__ import annotations

import http.client
import json
import re
from typing import Any

import pytest
from websockets.asyncio.client import connect

from gateway.access.principal import KEYLESS
from gateway.access.tokens import Tokens
from gateway.mlflow.routes import ENDPOINTS, Endpoint
from gateway.web.routes import ROUTES
from tests.support.http_client import ask, call, close_code, hear, say, socket_url
from tests.web.conftest import Locked, invited, make_key, sign_in, until, works

# `other`: admin of another project. `page`: a publishable key, from its own page, another's, and no page at all.
# `token`: of the trace that is asked for, of another one, one whose time is over, one whose key was revoked.
# `person`: signed in with a key of that role, on a page of the gateway's own; signed out; with a key that was revoked;
# by an invitation as a reviewer, and by one that was revoked.
CALLERS = (
    "none", "bad", "expired", "revoked", "chat", "review", "admin", "other",
    "page", "page elsewhere", "page nowhere", "token", "token elsewhere", "token expired", "token revoked",
    "person chat", "person lead", "person admin", "person out", "person revoked", "person reviewer", "person uninvited",
)  # fmt: skip
STRANGERS = (
    "none", "bad", "expired", "revoked", "token expired", "token revoked", "person out", "person revoked",
    "person uninvited",
)  # fmt: skip
PEOPLE = tuple(caller for caller in CALLERS if caller.startswith("person"))
PAGE = "https://shop.example"
HI = {"messages": [{"role": "user", "content": "hi"}]}
GOOD = {"is_correct": True}
UI = {"id": "ui", "messages": [{"id": "m", "role": "user", "parts": [{"type": "text", "text": "hi"}]}]}


def row(status: int = 200, **others: int) -> dict[str, int]:
    """What each caller gets; strangers 401, whoever isn't named 403."""
    named = {name.replace("_", " "): found for name, found in others.items()}
    assert set(named) <= set(CALLERS)
    admins = {"admin": status, "person admin": status}
    return dict.fromkeys(CALLERS, 403) | dict.fromkeys(STRANGERS, 401) | admins | named


OPEN = dict.fromkeys(CALLERS, 200)
ASKS = row(chat=200, other=200, page=200, person_chat=200, person_lead=200)
CHATS = row(chat=200, other=200, person_chat=200)
ADMINS = row(other=200)
# The trace is none of the other project's.
RATES = row(chat=200, review=200, other=404, token=200, person_chat=200, person_lead=200)
OWNS = row(404, chat=200, other=404, token=200, person_chat=404, person_lead=404)  # a stream is its key's own
# Nothing runs there.
STOPS = row(200, chat=200, other=200, token=200, token_elsewhere=200, page=200, person_chat=200, person_lead=200)
QUIET = {caller: 204 if status == 200 else status for caller, status in STOPS.items()}
READS = RATES | {"token elsewhere": 404}
VIEWS = row(review=200, other=200, person_lead=200)
SHOWS = row(review=200, other=404, person_lead=200)
VOUCHES = row(chat=200, review=200, other=404, person_chat=200, person_lead=200)
GONE = row(404, review=404, other=404, person_lead=404)
SIGNS_IN = dict.fromkeys(CALLERS, 403) | dict.fromkeys(PEOPLE, 401)  # the key is nobody's; others have no Origin
SIGNS_OUT = dict.fromkeys(CALLERS, 403) | dict.fromkeys(PEOPLE, 204)

# (method, path) -> target, body, what each caller gets
TABLE: dict[tuple[str, str], tuple[str, Any, dict[str, int]]] = {
    ("POST", "/v1/chat/completions"): ("/v1/chat/completions", HI, ASKS),
    ("POST", "/gateway/mlflow/v1/chat/completions"): (
        "/gateway/mlflow/v1/chat/completions",
        HI | {"model": "judge"},
        row(chat=200, review=200, other=200, person_chat=200, person_lead=200),
    ),
    ("POST", "/chat/stream"): ("/chat/stream", HI, ASKS),
    ("POST", "/chat"): ("/chat", HI, ASKS),
    ("POST", "/chat/ws-ticket"): ("/chat/ws-ticket", None, ASKS),
    ("POST", "/feedback"): ("/feedback?trace_id={t}", GOOD, RATES),
    ("GET", "/feedback"): ("/feedback?trace_id={t}", None, RATES),
    ("DELETE", "/feedback"): ("/feedback?trace_id={t}&name=none", None, RATES),
    ("POST", "/feedback/token"): ("/feedback/token", {"trace_id": "{t}"}, VOUCHES),
    ("POST", "/detailed-feedback"): ("/detailed-feedback?trace_id={t}&accuracy=4", None, RATES),
    ("GET", "/chat/stream/{trace_id}"): ("/chat/stream/{t}", None, OWNS),
    ("POST", "/chat/stream/{trace_id}/stop"): ("/chat/stream/{t}/stop", None, OWNS),
    ("GET", "/sessions/{session_id}"): ("/sessions/{s}", None, READS),
    ("GET", "/traces"): ("/traces", None, VIEWS),
    ("GET", "/traces/count"): ("/traces/count", None, VIEWS),
    ("GET", "/traces/export"): ("/traces/export", None, VIEWS),
    ("GET", "/traces/facets"): ("/traces/facets", None, VIEWS),
    ("GET", "/traces/{trace_id}"): ("/traces/{t}", None, SHOWS),
    ("GET", "/traces/{trace_id}/spans/{span_id}"): ("/traces/{t}/spans/{p}", None, SHOWS),
    ("DELETE", "/users/{user_id}"): ("/users/nobody/at%2Fall", None, ADMINS),
    ("POST", "/v1/completions"): ("/v1/completions", {"prompt": "hi"}, ASKS),
    ("GET", "/v1/models"): ("/v1/models", None, CHATS),
    ("GET", "/v1/models/{model_id}"): ("/v1/models/default", None, CHATS),
    ("POST", "/v1/embeddings"): ("/v1/embeddings", {"input": "x", "model": "default"}, CHATS),
    ("GET", "/metrics"): ("/metrics", None, ADMINS),
    ("GET", "/events"): ("/events", None, ADMINS),
    ("GET", "/me"): ("/me", None, OPEN),
    ("POST", "/auth/key"): ("/auth/key", {"key": "gw-sk-nobody's"}, SIGNS_IN),
    ("POST", "/auth/invite"): ("/auth/invite", {"invite": "gw-in-nobody's"}, SIGNS_IN),
    ("GET", "/auth/oidc"): ("/auth/oidc", None, dict.fromkeys(CALLERS, 404)),  # not set up here
    ("GET", "/auth/oidc/callback"): ("/auth/oidc/callback", None, dict.fromkeys(CALLERS, 401)),  # begun nowhere
    ("GET", "/people"): ("/people", None, VIEWS),
    ("POST", "/people/invites"): ("/people/invites", {"user_id": "somebody", "role": "reviewer"}, VIEWS),
    ("GET", "/people/invites"): ("/people/invites", None, VIEWS),
    ("DELETE", "/people/invites/{invite_id}"): ("/people/invites/in-none", None, GONE),
    ("POST", "/auth/logout"): ("/auth/logout", None, SIGNS_OUT),
    ("GET", "/config"): ("/config", None, OPEN),
    ("GET", "/healthz"): ("/healthz", None, OPEN),
    ("GET", "/readyz"): ("/readyz", None, OPEN),
    ("GET", "/openapi.json"): ("/openapi.json", None, OPEN),
    ("GET", "/docs"): ("/docs", None, OPEN),
    ("GET", "/docs/{name}"): ("/docs/docs.js", None, OPEN),
    ("GET", "/"): ("/", None, OPEN),
    ("GET", "/assets/{name}"): ("/assets/none.js", None, dict.fromkeys(CALLERS, 404)),  # not 401
    ("POST", "/api/chat"): ("/api/chat", UI, ASKS),
    ("GET", "/api/chat/{session_id}/stream"): ("/api/chat/none/stream", None, QUIET),
    ("POST", "/api/chat/{session_id}/stop"): ("/api/chat/none/stop", None, STOPS),
}
PERSONS = {"person chat": "chat", "person lead": "review", "person admin": "admin"}  # what a key signs one in as
SOCKET = {
    "open": ("admin", "chat", "other", "page", "person chat", "person lead", "person admin")
}  # every other caller is closed with 1008


class Callers:
    """One credential of each kind, as request headers; and the trace that they are tried on."""

    def __init__(self, locked: Locked) -> None:
        self.gateway = gateway = locked.gateway
        self.keys = keys = {name: locked.keys[name] for name in ("chat", "review", "admin", "other")}
        keys["bad"] = "gw-sk-nobody's"
        keys["expired"] = make_key(gateway, "admin", "--expires", "1s", name="brief")
        keys["revoked"] = make_key(gateway, "chat", name="gone")
        keys["page"] = make_key(gateway, "chat", "--publishable", "--origins", PAGE, name="page")
        until(lambda: works(gateway, keys["revoked"]))
        self.signed_in = {caller: sign_in(gateway, keys[key]) for caller, key in PERSONS.items()}
        self.signed_in["person out"] = out = sign_in(gateway, keys["chat"])
        self.signed_in["person revoked"] = sign_in(gateway, keys["revoked"])
        assert call(gateway, "POST", "/auth/logout", headers=out).status == 204
        self.signed_in["person reviewer"], _ = invited(gateway, keys["admin"], "rita")
        self.signed_in["person uninvited"], invite_id = invited(gateway, keys["admin"], "uwe")
        assert call(gateway, "DELETE", f"/people/invites/{invite_id}", key=keys["admin"]).status == 204
        asked = ask(gateway, key=keys["chat"])
        self.names = {"t": asked["trace_id"], "s": asked["session_id"]}
        spans = gateway.store.rows("SELECT span_id AS p FROM spans WHERE trace_id = ?", self.names["t"])
        self.names["p"] = spans[0]["p"]
        keys["token"] = asked["feedback_token"]
        keys["token elsewhere"] = ask(gateway, key=keys["chat"])["feedback_token"]
        keys["token revoked"] = ask(gateway, key=keys["revoked"])["feedback_token"]
        secret = gateway.store.rows("SELECT value AS k FROM meta WHERE name = 'signing_key'")[0]["k"]
        keys["token expired"] = Tokens([secret], 0.001).issue(KEYLESS, self.names["t"], "u").text
        assert gateway.run("keys", "revoke", "gone").returncode == 0
        until(lambda: not works(gateway, keys["revoked"]) and not works(gateway, keys["expired"]))
        self.headers = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()} | {"none": {}}
        self.headers |= self.signed_in
        self.headers["page nowhere"] = self.headers["page"]
        self.headers["page elsewhere"] = self.headers["page"] | {"Origin": "https://evil.example"}
        self.headers["page"] = self.headers["page"] | {"Origin": PAGE}

    def status(self, method: str, target: str, body: Any, caller: str) -> int:
        """Only the status: a stream may not end."""
        headers = self.headers[caller]
        if target == "/auth/logout" and caller in PERSONS:
            headers = sign_in(self.gateway, self.keys[PERSONS[caller]])  # the others still need theirs
        if target == "/auth/logout" and caller == "person reviewer":
            headers, _ = invited(self.gateway, self.keys["admin"], "rolf")
        headers = headers | ({"Content-Type": "application/json"} if body is not None else {})
        data = None if body is None else json.dumps(body).replace("{t}", self.names["t"])
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=20)
        try:
            connection.request(method, target.format(**self.names), data, headers)
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture(scope="module")
def callers(locked: Locked) -> Callers:
    return Callers(locked)


def test_the_table_is_whole() -> None:
    """A new route needs a row here."""
    assert {(route.method, route.path) for route in ROUTES} == set(TABLE)


@pytest.mark.parametrize("route", TABLE, ids=lambda route: " ".join(route))
def test_roles(callers: Callers, route: tuple[str, str]) -> None:
    """Each caller gets what the table says, and a refused one changes nothing."""
    target, body, expected = TABLE[route]
    assert {caller: callers.status(route[0], target, body, caller) for caller in CALLERS} == expected


@pytest.mark.parametrize("route", ENDPOINTS, ids=lambda route: f"{route.method} {route.path}")
def test_roles_of_mlflows_routes(callers: Callers, route: Endpoint) -> None:
    """A reviewer's key, or none where the route is open; what they make of the request is another matter."""
    target = re.sub(r"{\w+}", "x", route.path)
    found = {caller: callers.status(route.method, target, {}, caller) for caller in CALLERS}
    if route.open:
        assert set(found.values()) == {200}
        return
    for caller, status in found.items():
        if caller in STRANGERS:
            assert status == 401, caller
        elif caller in ("review", "admin", "other", "person lead", "person admin"):
            assert status not in (401, 403), caller
        else:
            assert status == 403, caller


@pytest.mark.parametrize("caller", CALLERS)
async def test_who_may_open_a_socket(callers: Callers, caller: str) -> None:
    """By the same headers; a browser, which can't send them, by a ticket that was asked for with them."""
    async with connect(socket_url(callers.gateway), additional_headers=callers.headers[caller]) as ws:
        if caller in SOCKET["open"]:
            await say(ws, type="ping")
            assert await hear(ws) == {"type": "pong"}
        else:
            assert (await close_code(ws))[0] == 1008


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/nowhere", "/chat/stream/tr-1/x", "/v1/nowhere", "/api/2.0/mlflow/traces", "/static/x"]
)
def test_401_comes_before_404(callers: Callers, method: str, path: str) -> None:
    """A stranger doesn't learn what there is; known paths with another method included."""
    assert callers.status(method, path, None, "none") == 401
    assert callers.status(method, path, None, "bad") == 401
    assert callers.status(method, path, None, "review") == 404
    assert callers.status("PATCH", "/feedback", None, "none") == 401
    assert callers.status("PATCH", "/feedback", None, "chat") == 405
    assert callers.status("GET", "/version", None, "none") == 200  # open: MLflow's clients ask it first


def test_bad_bodies_of_strangers_are_not_read(locked: Locked) -> None:
    """The key comes first: neither the body nor the ID is looked at."""
    assert call(locked.gateway, "POST", "/chat", b"{").status == 401
    assert call(locked.gateway, "GET", "/chat/stream/nonsense").status == 401
    assert call(locked.gateway, "POST", "/chat", b"{", key=locked.keys["review"]).status == 403


def test_projects_are_apart(locked: Locked) -> None:
    """Another project's ratings, sessions and client request IDs are unknown there."""
    mine, other = locked.keys["admin"], locked.keys["other"]
    asked = ask(locked.gateway, key=mine, session_id="shared-name", client_request_id="r-1")
    again = ask(locked.gateway, key=other, session_id="shared-name")
    assert asked["session_id"] == again["session_id"]
    turns = call(locked.gateway, "GET", "/sessions/shared-name", key=other).json["turns"]
    assert [turn["trace_id"] for turn in turns] == [again["trace_id"]]
    assert call(locked.gateway, "POST", "/feedback?client_request_id=r-1", GOOD, key=other).status == 404
    assert call(locked.gateway, "POST", "/feedback?client_request_id=r-1", GOOD, key=mine).status == 200


def test_a_trace_knows_its_key(locked: Locked) -> None:
    """By its ID, and the secret is in no file of the store."""
    key = locked.keys["chat"]
    trace = locked.gateway.store.trace(ask(locked.gateway, key=key)["trace_id"])
    (row,) = locked.gateway.store.rows("SELECT * FROM keys WHERE key_id = ?", trace["key_id"])
    assert row["role"] == "chat"
    for path in locked.gateway.directory.iterdir():
        assert key.encode() not in path.read_bytes()


def test_keys_come_and_go_while_it_runs(locked: Locked) -> None:
    """A new key works at once, and a revoked one is refused when the command is done; on each kind of route."""
    for path in ("/v1/models", "/sessions/none", "/no/such/path"):
        key = make_key(locked.gateway, "chat", name="passing")
        assert call(locked.gateway, "GET", path, key=key).status in (200, 404)
        assert locked.gateway.run("keys", "revoke", "passing").returncode == 0
        assert call(locked.gateway, "GET", path, key=key).status == 401
    key = make_key(locked.gateway, "chat", name="passing")
    assert call(locked.gateway, "POST", "/chat", {"message": "hi"}, key=key).status == 200  # a direct route
    assert locked.gateway.run("keys", "revoke", "passing").returncode == 0


def test_a_new_page_may_ask_at_once(locked: Locked) -> None:
    """Its preflight request has no key, only the origin."""
    page = "https://new.example"
    options = ("--publishable", "--origins", page)
    key = make_key(locked.gateway, "chat", *options, name="new-page")
    wanted = {"Origin": page, "Access-Control-Request-Method": "POST"}
    assert call(locked.gateway, "OPTIONS", "/chat", headers=wanted).headers["access-control-allow-origin"] == page
    assert call(locked.gateway, "POST", "/chat", {"message": "hi"}, key=key, headers={"Origin": page}).status == 200
