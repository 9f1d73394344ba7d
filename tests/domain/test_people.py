"""People's names and roles, and how long a sign-in lasts."""

from __future__ import annotations

import pytest

from gateway.domain.people import SESSION_MS, SLIDE_MS, is_listed, outranks, person_id, prolonged


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Ann@X.com", "ann@x.com"),
        ("  Ännchen \n", "ännchen"),
        ("a b", "a b"),
        ("x" * 250, "x" * 250),
        ("x" * 251, None),
        ("", None),
        (" \t", None),
        ("a\nb", None),
        ("a\x1bb", None),
        ("\ud800", None),
        ("İ" * 126, None),  # grows in lower case
    ],
)
def test_names(text: str, name: str | None) -> None:
    """Trimmed, in lower case, and nothing that moves a terminal."""
    assert person_id(text) == name


def test_roles_have_an_order() -> None:
    """Each opens what the one before does, and more."""
    roles = ["chat", "reviewer", "lead", "admin"]
    for at, role in enumerate(roles):
        assert [outranks(other, role) for other in roles] == [each > at for each in range(4)]


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        (["ann@x.com"], True),
        ([" Ann@X.COM "], True),
        (["*@x.com"], True),
        (["*"], True),
        (["ben@x.com", "*@y.com", "ann@x.co", "ann"], False),
        (["*ann@x.com"], False),  # the * stands for something
        (["x.com", "@x.com", ""], False),
        ([], False),
    ],
)
def test_lists(names: list[str], listed: bool) -> None:
    """By name, or by the end of it."""
    assert is_listed("ann@x.com", names) is listed


def test_a_sign_in_slides() -> None:
    """By seven days from its use, and not at each use."""
    now = 1_000_000_000_000
    assert prolonged(0, now) == now + SESSION_MS
    assert prolonged(now + SESSION_MS - SLIDE_MS + 1, now) is None
    assert prolonged(now + SESSION_MS - SLIDE_MS, now) == now + SESSION_MS
