"""Feedback tokens and user assertions: what is taken, and that nothing else is."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import string
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.principal import KEYLESS, FeedbackToken, Principal
from gateway.access.tokens import MAX_CHARS, Tokens, asserted_user
from gateway.domain import ids
from gateway.errors import Unauthorized

TRACE = "tr-" + "a" * 32
SECRET = "s" * 32
LETTERS = string.ascii_letters + string.digits + "-_.="


def issued(tokens: Tokens, rater: str = "u", **fields: Any) -> str:
    principal = msgspec.structs.replace(KEYLESS, key_id=fields.get("key_id"))
    return tokens.issue(principal, TRACE, rater, fields.get("names", ())).text


def taken(tokens: Tokens, text: str) -> bool:
    try:
        tokens.read(text)
    except Unauthorized:
        return False
    return True


@given(st.text(min_size=1, max_size=250), st.lists(st.text(max_size=20), max_size=3), st.none() | st.just("key-1"))
def test_a_token_says_what_was_put_in(rater: str, names: list[str], key_id: str | None) -> None:
    """Whatever a rater is called, and it fits into a header."""
    try:
        rater.encode()
    except UnicodeEncodeError:
        return
    tokens = Tokens(["k"], 60)
    text = issued(tokens, rater, key_id=key_id, names=tuple(names))
    found = tokens.read(text)
    assert (found.project, found.trace_id, found.rater) == ("default", TRACE, rater)
    assert (found.names, found.key_id) == (tuple(names), key_id)
    assert len(text) < MAX_CHARS
    assert text.isascii()


def test_no_mutation_of_a_token_is_taken() -> None:
    """Every single letter changed, dropped, doubled or swapped, and thousands of random changes."""
    tokens, dice = Tokens(["k"], 60), random.Random(4)
    good = issued(tokens)
    tried = {good[:at] + letter + good[at + 1 :] for at in range(len(good)) for letter in LETTERS}
    tried |= {good[:at] + good[at + 1 :] for at in range(len(good))}
    tried |= {good[:at] + letter + good[at:] for at in range(len(good) + 1) for letter in "aA0=.-"}
    tried |= {good + "=", good + "==", f" {good}", good + "\n", good.upper(), good * 2, ""}
    while len(tried) < 20_000:
        changed = list(good)
        for _ in range(dice.randint(1, 6)):
            changed[dice.randrange(len(changed))] = dice.choice(LETTERS)
        tried.add("".join(changed))
    tried.discard(good)
    assert len(tried) > 10_000
    assert [text for text in tried if taken(tokens, text)] == []
    assert taken(tokens, good)


def test_no_forgery_is_taken() -> None:
    """Other claims under a good signature, a guessed key, none, another hash, another's signature."""
    tokens = Tokens(["k"], 60)
    claims, signature = issued(tokens).removeprefix("gw-ft-").split(".")
    other = json.dumps(["default", TRACE, "somebody-else", [], 0, None]).encode()
    body = base64.urlsafe_b64encode(other).rstrip(b"=")

    def signed(key: bytes, digest: str) -> str:
        seal = hmac.new(key, body, digest).digest()[:32]
        return f"gw-ft-{body.decode()}.{base64.urlsafe_b64encode(seal).rstrip(b'=').decode()}"

    forged = [f"gw-ft-{body.decode()}.{signature}", f"gw-ft-{claims}.{'A' * 43}", f"gw-ft-{body.decode()}."]
    keys = [b"", b"k", b"K", hashlib.sha256(b"k").digest(), hashlib.sha256(b"feedback-token:").digest(), b"None"]
    forged += [signed(key, digest) for key in keys for digest in ("sha256", "sha512", "sha3_256")]
    forged.append(issued(Tokens(["another"], 60)))
    forged.append(signed(hashlib.sha256(b"feedback-token:k").digest(), "sha512"))
    assert [text for text in forged if taken(tokens, text)] == []
    assert taken(tokens, signed(hashlib.sha256(b"feedback-token:k").digest(), "sha256"))  # the key itself signs


def test_what_is_signed_but_makes_no_sense_is_refused() -> None:
    """A signature by an older version, say, of other claims."""
    tokens = Tokens(["k"], 60)
    for said in (b"[]", b"{}", b"nonsense", b'["default"]', b"\xff"):
        sealed = tokens._signer.sign(base64.urlsafe_b64encode(said).rstrip(b"=")).decode()
        assert not taken(tokens, f"gw-ft-{sealed}")


def test_a_token_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time; with 0, never. The clock is the wall's, as it outlives the process."""
    now = ids.now_ms()
    brief, endless = issued(Tokens(["k"], 60)), issued(Tokens(["k"], 0))
    monkeypatch.setattr("gateway.access.tokens.now_ms", lambda: now + 59_000)
    assert taken(Tokens(["k"], 60), brief)
    monkeypatch.setattr("gateway.access.tokens.now_ms", lambda: now + 61_000)
    with pytest.raises(Unauthorized) as caught:
        Tokens(["k"], 60).read(brief)
    assert caught.value.code == "feedback_token_expired"
    assert taken(Tokens(["k"], 0), endless)


def test_a_token_that_a_token_gets_ends_no_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """As those of a session's turns: else whoever has one could go on for ever."""
    now = ids.now_ms()
    brief, longer, endless = Tokens(["k"], 60), Tokens(["k"], 600), Tokens(["k"], 0)
    first = brief.read(issued(brief))
    caller = Principal(None, "token", "default", "feedback token", user_id="ada", ends=first.expires, token=first)
    for tokens in (brief, longer, endless):
        monkeypatch.setattr("gateway.access.tokens.now_ms", lambda: now + 30_000)
        assert tokens.issue(caller, TRACE, "ada").expires == first.expires
    forever = msgspec.structs.replace(caller, token=msgspec.structs.replace(first, expires=0))
    assert brief.issue(forever, TRACE, "ada").expires == now + 90_000
    assert endless.issue(forever, TRACE, "ada").expires == 0


def test_signing_keys_rotate() -> None:
    """The first signs and all verify: a new one is put first, the old one goes when its tokens have ended."""
    old, both, new = Tokens(["old"], 60), Tokens(["new", "old"], 60), Tokens(["new"], 60)
    assert taken(both, issued(old))
    assert taken(both, issued(both))
    assert taken(new, issued(both))
    assert not taken(old, issued(both))
    assert not taken(new, issued(old))


def test_tokens_are_compared_as_they_are_read() -> None:
    """The struct is a tuple on the wire: short."""
    found = Tokens(["k"], 60).read(issued(Tokens(["k"], 60), key_id="key-1"))
    assert isinstance(found, FeedbackToken)
    assert len(issued(Tokens(["k"], 60), "anonymous:" + TRACE, key_id="key-" + "0" * 16)) < 300


def test_a_token_says_when_it_ends() -> None:
    """What issues it tells the same as what reads it; without an end it is 0."""
    for ttl_s in (60, 0):
        tokens = Tokens(["k"], ttl_s)
        token = tokens.issue(KEYLESS, TRACE, "u")
        assert token.expires == tokens.read(token.text).expires
        assert bool(token.expires) == bool(ttl_s)


def test_a_token_for_nobody_is_for_the_anonymous_rater() -> None:
    """Of its trace, so that two of them never meet."""
    tokens = Tokens(["k"], 60)
    assert tokens.read(tokens.issue(KEYLESS, TRACE, None).text).rater == f"anonymous:{TRACE}"


def test_a_token_given_for_a_token_opens_no_more_names() -> None:
    """Else the one could be exchanged for a better one."""
    tokens = Tokens(["k"], 60)
    narrow = tokens.read(issued(tokens, names=("tone",)))
    rater = msgspec.structs.replace(KEYLESS, role="token", token=narrow)
    assert tokens.read(tokens.issue(rater, TRACE, "u").text).names == ("tone",)


# user assertions


def assertion(key: str = SECRET, algorithm: str = "HS256", **claims: Any) -> str:
    said = {"sub": "ada", "exp": ids.now_ms() // 1000 + 60} | claims
    return jwt.encode({name: value for name, value in said.items() if value is not None}, key, algorithm)


def test_an_assertion_names_the_user() -> None:
    """`sub`, as the product's server signed it."""
    assert asserted_user(assertion(), SECRET).user_id == "ada"
    assert asserted_user(assertion(iat=ids.now_ms() // 1000 + 5, name="Ada"), SECRET).user_id == "ada"


def unsigned(header: dict[str, str]) -> str:
    parts = [header, {"sub": "ada", "exp": 4_000_000_000}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


@pytest.mark.parametrize(
    "text",
    [
        assertion("w" * 32),
        assertion(algorithm="HS512", key="s" * 64),
        assertion(exp=None),
        assertion(sub=None),
        assertion(exp=1),
        assertion(exp=ids.now_ms() // 1000 - 1),
        assertion(exp=str(ids.now_ms())),
        assertion(sub=""),
        assertion(sub="x" * 251),
        assertion(nbf=ids.now_ms() // 1000 + 600),
        assertion()[:-1],
        assertion() + "A" * 9000,
        unsigned({"alg": "none"}),
        unsigned({"alg": "HS256"}),
        "a.b.c",
        "",
        "é",
    ],
    ids=range(17),
)
def test_other_assertions_are_refused(text: str) -> None:
    """Another key or algorithm, none at all, missing or bad claims, over, not yet, cut off, too long, nonsense."""
    with pytest.raises(Unauthorized) as caught:
        asserted_user(text, SECRET)
    assert caught.value.code == "invalid_user_assertion"


def test_assertions_without_a_key_are_refused() -> None:
    """An empty key would take what anybody signs with nothing."""
    with pytest.raises(Unauthorized, match="not set up"):
        asserted_user(assertion(), "")
