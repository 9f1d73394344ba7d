"""Bodies that sign somebody in: every bad field is named."""

from __future__ import annotations

import pytest

from gateway.errors import BadRequest, InvalidValue
from gateway.wire.people import InviteSignIn, KeySignIn, NewInvite, decode, named


def test_good_bodies() -> None:
    """What may be left out has its default."""
    assert decode(b'{"key":"k"}', KeySignIn) == KeySignIn("k")
    assert decode(b'{"key":"k","name":null}', KeySignIn) == KeySignIn("k")
    assert decode(b'{"invite":"i","look":true}', InviteSignIn) == InviteSignIn("i", look=True)
    assert decode(b'{"user_id":"a","role":"lead","expires_days":0.5}', NewInvite) == NewInvite("a", "lead", [], 0.5)
    assert named(" Ann ", "name") == "ann"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"{}", ["key"]),
        (b'{"name":"a","x":1,"y":2}', ["x", "y", "key"]),
        (b'{"key":""}', ["key"]),
        (b'{"key":1}', ["key"]),
        (b'{"key":"k","name":1}', ["name"]),
        (b'{"key":"' + b"k" * 100_000 + b'"}', []),
    ],
)
def test_bad_bodies(body: bytes, fields: list[str]) -> None:
    """By its field, and a body that is too long by its length."""
    with pytest.raises(InvalidValue) as caught:
        decode(body, KeySignIn)
    assert [field for field, _ in caught.value.details or ()] == fields


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_what_is_no_object(body: bytes) -> None:
    """Is refused as a whole."""
    with pytest.raises((BadRequest, InvalidValue)):
        decode(body, KeySignIn)


def test_what_is_no_name() -> None:
    """Is refused by its field."""
    with pytest.raises(InvalidValue) as caught:
        named(" ", "user_id")
    assert [field for field, _ in caught.value.details or ()] == ["user_id"]
