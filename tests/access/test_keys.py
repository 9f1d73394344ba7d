"""Keys, the authenticator for keyless callers, roles."""

from __future__ import annotations

import hashlib
import re

import pytest

from gateway.access.address import is_loopback
from gateway.access.keys import KeyRing, new_key
from gateway.access.local import keys_required, origin_allowed
from gateway.access.principal import KEYLESS, Principal, require
from gateway.access.tokens import Tokens
from gateway.config.current import Current
from gateway.config.schema import Auth, Config, Server
from gateway.errors import Forbidden, InvalidValue, Unauthorized
from tests.support.callers import authenticator_of

EVERYWHERE = "0.0.0.0"  # noqa: S104 - nothing is bound here
LOCAL = [(b"host", b"localhost:8000")]


def caller(
    headers: list[tuple[bytes, bytes]],
    *,
    ring: KeyRing | None = None,
    auth: Auth | None = None,
    bound: str = "127.0.0.1",
    client: str | None = "127.0.0.1",
) -> Principal:
    config = Config(auth=auth or Auth(), server=Server(host=bound))
    return authenticator_of(ring or KeyRing(), Tokens(("k",), 60), Current(config)).authenticate(headers, client)


def bearer(token: str) -> tuple[bytes, bytes]:
    return b"authorization", b"Bearer " + token.encode()


def test_a_new_key_has_the_documented_form() -> None:
    """gw-sk- and 43 URL-safe characters; the record has the hash only, and a name is made up."""
    secret, record = new_key("chat", now=5)
    assert re.fullmatch(r"gw-sk-[A-Za-z0-9_-]{43}", secret)
    assert record.key_hash == hashlib.sha256(secret.encode()).hexdigest()
    assert secret.startswith(record.hint)
    assert len(record.hint) < 12
    assert record.name.startswith("chat-")
    assert (record.created, record.project, record.revoked) == (5, "default", None)


@pytest.mark.parametrize(("project", "name"), [("", "n"), ("p", ""), ("p", "a\nb"), ("p" * 101, "n")])
def test_bad_names_are_refused(project: str, name: str) -> None:
    """Empty, too long, or not printable."""
    with pytest.raises(InvalidValue):
        new_key("chat", project, name)


def test_a_key_opens_the_door_from_anywhere() -> None:
    """Role, project and name are the record's, and the use is noted once taken."""
    secret, record = new_key("review", "shop", "desk")
    ring = KeyRing([record])
    found = caller([bearer(secret), (b"host", b"example.com")], ring=ring, bound=EVERYWHERE, client="8.8.8.8")
    assert found == Principal(record.key_id, "review", "shop", "desk")
    assert list(ring.take_used()) == [record.key_id]
    assert ring.take_used() == {}


def test_a_revoked_key_is_forgotten_at_the_refresh() -> None:
    """And those known before are replaced."""
    secret, record = new_key("chat")
    ring = KeyRing([record])
    assert len(ring) == 1
    ring.refresh([type(record)(**{f: getattr(record, f) for f in record.__struct_fields__} | {"revoked": 1})])
    assert len(ring) == 0
    with pytest.raises(Unauthorized, match="not valid"):
        caller([bearer(secret), *LOCAL], ring=ring)


@pytest.mark.parametrize("scheme", [b"bearer", b"BEARER", b"Bearer "])
def test_the_scheme_is_read_in_any_case(scheme: bytes) -> None:
    """RFC 9110 has it so."""
    secret, record = new_key("chat")
    headers = [(b"authorization", scheme + b" " + secret.encode())]
    assert caller(headers, ring=KeyRing([record])).key_id == record.key_id


@pytest.mark.parametrize(
    "host", [b"localhost", b"LOCALHOST:1", b"127.0.0.1:8000", b"127.8.8.8", b"[::1]:8000", b"[::1]"]
)
def test_keyless_callers_of_this_machine_come_in(host: bytes) -> None:
    """auto, bound to loopback, a local Host, no proxy: admin of the default project."""
    assert caller([(b"user-agent", b"curl"), (b"host", host), (b"accept", b"*/*")]) is KEYLESS
    assert (KEYLESS.role, KEYLESS.project, KEYLESS.key_id) == ("admin", "default", None)


@pytest.mark.parametrize(
    "host", [b"example.com", b"localhost.example.com", b"127.0.0.1.nip.io", b"10.0.0.1", b"", b"localhost:x", b"::1"]
)
def test_another_host_keeps_the_door_closed(host: bytes) -> None:
    """A page whose name was pointed at 127.0.0.1 does not get in."""
    with pytest.raises(Unauthorized):
        caller([(b"host", host)])


@pytest.mark.parametrize("headers", [[], [*LOCAL, (b"host", b"example.com")]])
def test_no_host_or_two_keep_it_closed(headers: list[tuple[bytes, bytes]]) -> None:
    """Whoever looks at only one of two would see another one than the proxy did."""
    with pytest.raises(Unauthorized):
        caller(headers)


@pytest.mark.parametrize(
    "name",
    ["forwarded", "x-forwarded-for", "x-forwarded-some", "x-real-ip", "via", "cf-connecting-ip", "true-client-ip"],
)
def test_a_proxy_on_the_same_machine_keeps_it_closed(name: str) -> None:
    """Any forwarding header says that the caller may be anywhere."""
    with pytest.raises(Unauthorized):
        caller([*LOCAL, (name.encode(), b"x")])


@pytest.mark.parametrize(
    ("auth", "bound", "client"),
    [
        (Auth(require_keys="always"), "127.0.0.1", "127.0.0.1"),
        (Auth(), EVERYWHERE, "127.0.0.1"),
        (Auth(), "127.0.0.1", "10.0.0.9"),
    ],
)
def test_keys_are_required_elsewhere(auth: Auth, bound: str, client: str) -> None:
    """always; another address; a client that isn't on this machine."""
    with pytest.raises(Unauthorized, match="required"):
        caller(LOCAL, auth=auth, bound=bound, client=client)


def test_never_lets_everybody_in() -> None:
    """It had to be written out."""
    assert caller([(b"host", b"x"), (b"via", b"y")], auth=Auth(require_keys="never"), bound=EVERYWHERE) is KEYLESS


def test_a_socket_without_an_address_is_local() -> None:
    """A Unix socket has no client address."""
    assert caller(LOCAL, client=None) is KEYLESS


@pytest.mark.parametrize("token", ["sk-anything", "none", ""])
def test_what_openai_clients_must_send_is_ignored(token: str) -> None:
    """A bearer that isn't one of ours neither opens nor closes."""
    assert caller([bearer(token), *LOCAL]) is KEYLESS
    with pytest.raises(Unauthorized):
        caller([bearer(token), *LOCAL], auth=Auth(require_keys="always"))


def test_basic_is_no_bearer() -> None:
    """Another scheme is as good as none."""
    assert caller([(b"authorization", b"Basic Z3ctc2s="), *LOCAL]) is KEYLESS


@pytest.mark.parametrize("token", ["gw-sk-wrong", "gw-", "gw-sk-\xe9"])
def test_a_wrong_key_is_refused_even_here(token: str) -> None:
    """Who shows a key means it."""
    with pytest.raises(Unauthorized) as caught:
        caller([bearer(token), *LOCAL])
    assert caught.value.code == "invalid_api_key"


def test_two_keys_are_refused() -> None:
    """Nobody knows which one was meant."""
    with pytest.raises(Unauthorized, match="Send one Authorization"):
        caller([bearer("a"), bearer("b"), *LOCAL])


@pytest.mark.parametrize(
    ("setting", "bound", "required"),
    [
        ("auto", "127.0.0.1", False),
        ("auto", EVERYWHERE, True),
        ("always", "localhost", True),
        ("never", EVERYWHERE, False),
    ],
)
def test_whether_keys_are_required_at_all(setting: str, bound: str, required: bool) -> None:
    """What the start needs to know."""
    auth = Auth(require_keys=setting)  # type: ignore[arg-type]
    assert keys_required(Config(auth=auth, server=Server(host=bound))) is required


def test_roles() -> None:
    """The named ones pass, admin always, others are told which are needed."""
    chat = Principal("k", "chat", "p", "n")
    require(chat, "chat", "review")
    require(KEYLESS, "review")
    with pytest.raises(Forbidden, match="review or admin"):
        require(chat, "review", "admin")
    with pytest.raises(Forbidden, match="role admin"):
        require(chat)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (None, True),
        (b"http://localhost:8000", True),
        (b"https://app.example", True),
        (b"http://localhost:5173", True),
        (b"http://[::1]:3000", True),
        (b"https://evil.example", False),
        (b"https://localhost.evil.example", False),
        (b"null", False),
    ],
)
def test_origins_of_web_sockets(origin: bytes | None, allowed: bool) -> None:
    """This server's own page, a listed one, one of this machine's, or no browser."""
    headers = LOCAL + ([(b"origin", origin)] if origin else [])
    assert origin_allowed(headers, ["https://app.example"]) is allowed


def test_loopback_names() -> None:
    """What a server may be bound to without keys."""
    assert is_loopback("::1")
    assert not is_loopback("")
    assert not is_loopback("::")


@pytest.mark.parametrize(
    "origin", ["https://app.example", "http://[::1]:8080", "chrome-extension://abc", "capacitor://localhost"]
)
def test_origins_that_browsers_send(origin: str) -> None:
    """Web pages, extensions, and apps that show pages of their own."""
    assert new_key("chat", origins=[origin])[1].origins == (origin,)


@pytest.mark.parametrize(
    "origin", ["https://A.example", "https://a:443", "http://a:80", "https://a/", "a", "*", "null"]
)
def test_origins_that_no_browser_sends(origin: str) -> None:
    """A key for one of them would never open: the port that a scheme implies is left out, for one."""
    with pytest.raises(InvalidValue, match="as a browser does"):
        new_key("chat", origins=[origin])
