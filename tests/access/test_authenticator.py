"""The authenticator: tickets and their time, keys that end, and the order in which credentials count."""

from __future__ import annotations

import jwt
import pytest

from gateway.access.authenticator import MOST_TICKETS, TICKET_S, Authenticator
from gateway.access.keys import KeyRing, new_key
from gateway.access.principal import KEYLESS, Principal
from gateway.access.tokens import Tokens
from gateway.config.current import Current
from gateway.config.schema import Auth, Config
from gateway.domain import ids
from gateway.errors import Forbidden, InvalidValue, Unauthorized, Unavailable
from tests.support.callers import authenticator_of

HERE = [(b"host", b"localhost:8000")]
PAGE = (b"origin", b"https://shop.example")


def make(*records: object, auth: Auth | None = None) -> Authenticator:
    return authenticator_of(KeyRing(records), Tokens(("stored",), 60), Current(Config(auth=auth or Auth())))  # type: ignore[arg-type]


def bearer(key: str) -> tuple[bytes, bytes]:
    return b"authorization", b"Bearer " + key.encode()


def test_a_ticket_is_over_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute; those before it are forgotten when the next one is made."""
    authenticator, now = make(), 1000.0
    monkeypatch.setattr("gateway.access.authenticator.time.monotonic", lambda: now)
    early, late = authenticator.issue_ticket(KEYLESS, HERE), authenticator.issue_ticket(KEYLESS, HERE)
    now += TICKET_S - 1
    assert authenticator.authenticate_socket(HERE, None, early) is KEYLESS
    now += 1
    with pytest.raises(Unauthorized):
        authenticator.authenticate_socket(HERE, None, late)
    for _ in range(MOST_TICKETS):
        authenticator.issue_ticket(KEYLESS, HERE)
    with pytest.raises(Unavailable):
        authenticator.issue_ticket(KEYLESS, HERE)
    now += TICKET_S
    assert authenticator.issue_ticket(KEYLESS, HERE)


def test_a_ticket_ends_with_its_key() -> None:
    """A key that was revoked meanwhile opens no socket."""
    secret, record = new_key("chat")
    authenticator = make(record)
    ticket = authenticator.issue_ticket(authenticator.authenticate([bearer(secret)], None), HERE)
    authenticator.keys.refresh([])
    with pytest.raises(Unauthorized):
        authenticator.authenticate_socket(HERE, None, ticket)


def test_a_key_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """And with it the feedback tokens of its chats."""
    now = ids.now_ms()
    secret, record = new_key("chat", expires=now + 5000)
    authenticator = make(record)
    token = authenticator.tokens.issue(authenticator.keys.find(secret), "tr-" + "a" * 32, "ada").text
    assert authenticator.authenticate([bearer(secret)], None).key_id == record.key_id
    assert authenticator.authenticate([bearer(token)], None).user_id == "ada"
    monkeypatch.setattr("gateway.access.keys.now_ms", lambda: now + 5000)
    for said in (secret, token):
        with pytest.raises(Unauthorized):
            authenticator.authenticate([bearer(said)], None)


def test_a_token_counts_where_it_is_good_for_something() -> None:
    """In its own header beside a key on a route that takes tokens; on others it says who an earlier visitor was."""
    secret, record = new_key("chat", origins=["https://shop.example"])
    authenticator = make(record)
    token = authenticator.tokens.issue(authenticator.keys.find(secret), "tr-" + "a" * 32, "ada").text
    headers = [bearer(secret), PAGE, (b"x-feedback-token", token.encode())]
    assert authenticator.authenticate(headers, None, ("chat", "token")).role == "token"
    chatting = authenticator.authenticate(headers, None, ("chat", "publishable"))
    assert (chatting.role, chatting.user_id, chatting.token) == ("publishable", "ada", None)
    assert authenticator.authenticate([*HERE, headers[2]], None, ("chat",)) is KEYLESS


def test_a_publishable_key_is_bound_to_origins() -> None:
    """Exactly those: no other scheme, port, subdomain or case."""
    secret, record = new_key("chat", origins=["https://shop.example"])
    authenticator = make(record)
    for origin in (
        None, "http://shop.example", "https://shop.example:443", "https://a.shop.example", "https://shop.example.evil",
        "HTTPS://SHOP.EXAMPLE", "null", "", "https://shop.example, https://evil.example",
    ):  # fmt: skip
        headers = [bearer(secret), *([(b"origin", origin.encode())] if origin is not None else [])]
        with pytest.raises(Forbidden):
            authenticator.authenticate(headers, None, ("publishable",))
    with pytest.raises(Forbidden):
        authenticator.authenticate(
            [bearer(secret), (b"origin", b"https://evil.example"), PAGE][:2], None, ("publishable",)
        )


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "shop.example", "https://shop.example/", "https://Shop.example", "https://*.example", "", "https://"],
)
def test_origins_are_written_as_browsers_do(origin: str) -> None:
    """Anything else would never match, or match too much."""
    with pytest.raises(InvalidValue):
        new_key("chat", origins=[origin])


@pytest.mark.parametrize("origin", ["https://a.example", "http://localhost:3000", "https://[::1]:8", "http://10.0.0.1"])
def test_good_origins(origin: str) -> None:
    """With ports, addresses and all."""
    secret, record = new_key("chat", origins=[origin])
    assert secret.startswith("gw-pk-")
    assert (record.origins, record.publishable) == ((origin,), True)


def test_a_publishable_key_only_chats() -> None:
    """There is no admin's key for a web page."""
    with pytest.raises(InvalidValue, match="must have the role chat"):
        new_key("admin", origins=["https://a.example"])


def test_one_origin_at_a_time() -> None:
    """Of two headers with different ones, the last would decide; browsers send one."""
    secret, record = new_key("chat", origins=["https://shop.example"])
    evil = (b"origin", b"https://evil.example")
    for headers in ([bearer(secret), evil, PAGE], [bearer(secret), PAGE, evil]):
        with pytest.raises(Forbidden):
            make(record).authenticate(headers, None, ("publishable",))


def test_principals_compare() -> None:
    """Whoever came by a key has what the key has."""
    secret, record = new_key("review", "shop", "desk", requests_per_minute=7)
    assert make(record).authenticate([bearer(secret)], None) == Principal(record.key_id, "review", "shop", "desk", 7)


def test_who_has_nothing_hears_what_opens_the_route() -> None:
    """A page that rates has a feedback token, not a key."""
    authenticator = make(new_key("chat")[1])
    with pytest.raises(Unauthorized, match="X-Feedback-Token"):
        authenticator.authenticate([], "203.0.113.9", roles=("chat", "token"))
    with pytest.raises(Unauthorized, match=r"gw-sk-….$"):
        authenticator.authenticate([], "203.0.113.9")


# what a credential makes

TRACE = "tr-" + "a" * 32
FORWARDED = (b"x-forwarded-for", b"203.0.113.9")


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ([*HERE, FORWARDED], "127.0.0.1"),
        ([*HERE, (b"forwarded", b"for=203.0.113.9")], "127.0.0.1"),
        ([*HERE, (b"x-real-ip", b"203.0.113.9")], None),
        (HERE, "203.0.113.9"),
        ([(b"host", b"gateway.example")], "127.0.0.1"),
        ([], "127.0.0.1"),
    ],
)
def test_what_was_made_without_a_key_is_this_machines(headers: list[tuple[bytes, bytes]], host: str | None) -> None:
    """A ticket or a token of a caller without a key opens nothing through a proxy, where no key is no way in."""
    authenticator = make()
    token = authenticator.tokens.issue(KEYLESS, TRACE, "ada").text
    ticket = authenticator.issue_ticket(KEYLESS, HERE)
    with pytest.raises(Unauthorized):
        authenticator.authenticate_socket(headers, host, ticket)
    with pytest.raises(Unauthorized, match="made without a key") as caught:
        authenticator.authenticate([*headers, bearer(token)], host)
    assert caught.value.code == "invalid_feedback_token"
    assert authenticator.authenticate([*HERE, bearer(token)], "127.0.0.1").user_id == "ada"


def test_what_was_made_without_a_key_ends_when_keys_are_required() -> None:
    """By a reload, or after a restart with another configuration."""
    current = Current(Config())
    authenticator = authenticator_of(KeyRing(), Tokens(("stored",), 60), current)
    token = authenticator.tokens.issue(KEYLESS, TRACE, "ada").text
    ticket = authenticator.issue_ticket(KEYLESS, HERE)
    assert authenticator.ended(KEYLESS) is None
    current.replace(Config(auth=Auth(require_keys="always")))
    assert authenticator.ended(KEYLESS) is not None  # a socket or a live feed that was open before
    with pytest.raises(Unauthorized):
        authenticator.authenticate_socket(HERE, "127.0.0.1", ticket)
    with pytest.raises(Unauthorized):
        authenticator.authenticate([*HERE, bearer(token)], "127.0.0.1")
    current.replace(Config(auth=Auth(require_keys="never")))
    assert authenticator.authenticate([FORWARDED, bearer(token)], "203.0.113.9").user_id == "ada"


def test_a_foreign_page_has_no_use_for_what_was_made_without_a_key() -> None:
    """It couldn't make it either."""
    authenticator = make()
    token = authenticator.tokens.issue(KEYLESS, TRACE, "ada").text
    with pytest.raises(Forbidden):
        authenticator.authenticate([*HERE, PAGE, bearer(token)], "127.0.0.1")
    with pytest.raises(Forbidden):
        authenticator.authenticate_socket([*HERE, PAGE], "127.0.0.1", authenticator.issue_ticket(KEYLESS, HERE))


def test_a_pages_token_is_for_its_keys_origins() -> None:
    """Another page can't use it; a request without an Origin is of no page, or of this server's own."""
    secret, record = new_key("chat", origins=["https://shop.example"])
    authenticator = make(record)
    token = authenticator.tokens.issue(authenticator.keys.find(secret), TRACE, "ada").text
    assert authenticator.authenticate([PAGE, bearer(token)], "203.0.113.9").user_id == "ada"
    assert authenticator.authenticate([bearer(token)], "203.0.113.9").user_id == "ada"
    evil = (b"origin", b"https://evil.example")
    for headers in ([evil, bearer(token)], [evil, bearer(secret), (b"x-feedback-token", token.encode())]):
        with pytest.raises(Forbidden) as caught:
            authenticator.authenticate(headers, "203.0.113.9", ("token",))
        assert caught.value.code == "origin_not_allowed"


def test_a_token_and_a_ticket_have_their_keys_rate() -> None:
    """What a key may do in a minute, all that came of it may do together."""
    secret, record = new_key("chat", requests_per_minute=7)
    authenticator = make(record)
    key = authenticator.keys.find(secret)
    token = authenticator.tokens.issue(key, TRACE, "ada").text
    for principal in (
        authenticator.authenticate([bearer(token)], None),
        authenticator.authenticate_socket(HERE, None, authenticator.issue_ticket(key, HERE)),
    ):
        assert (principal.key_id, principal.requests_per_minute) == (record.key_id, 7)


def test_a_ticket_speaks_for_its_user_as_long_as_that_was_vouched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an assertion, or by an earlier token: the socket ends after that. One that is somebody new goes on."""
    now = ids.now_ms()
    secret, record = new_key("chat", origins=["https://shop.example"])
    auth = Auth(user_assertion_key="a-secret-of-the-shop-that-is-long")
    authenticator = make(record, auth=auth)
    claims = {"sub": "ada", "exp": now // 1000 + 30}
    earlier = authenticator.tokens.issue(authenticator.keys.find(secret), TRACE, "ada").text
    sockets = []
    for said in (
        [(b"x-user-assertion", jwt.encode(claims, auth.user_assertion_key, "HS256").encode())],
        [(b"x-feedback-token", earlier.encode())],
        [],
    ):
        asked = authenticator.authenticate([bearer(secret), PAGE, *said], None, ("publishable",))
        ticket = authenticator.issue_ticket(asked, [PAGE])
        sockets.append(authenticator.authenticate_socket([PAGE], None, ticket))
    assert [authenticator.ended(each) for each in sockets] == [None] * 3
    monkeypatch.setattr("gateway.access.authenticator.now_ms", lambda: now + 31_000)
    assert [authenticator.ended(each) is None for each in sockets] == [False, True, True]
    monkeypatch.setattr("gateway.access.authenticator.now_ms", lambda: now + 61_000)
    assert [authenticator.ended(each) is None for each in sockets] == [False, False, True]
    authenticator.keys.refresh([])
    assert None not in [authenticator.ended(each) for each in sockets]
