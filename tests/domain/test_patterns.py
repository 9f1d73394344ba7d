"""Patterns that callers give: what they find, and that nothing makes them backtrack."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.patterns import MAX_PROGRAM, compile_regex, like, regex_matches


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("", "", True),
        ("%", "", True),
        ("a%", "abc", True),
        ("%c", "abc", True),
        ("a%a", "a", False),
        ("_b_", "abc", True),
        ("%_b%", "b", False),
        ("%b_%d", "abcd", True),
        ("%__%", "a", False),
        ("%a_c%", "xxa\ncx", True),
        ("%.%", "abc", False),
        ("A%", "abc", False),
        ("%e_f%", "é eéf", True),
    ],
)
def test_like(pattern: str, text: str, found: bool) -> None:
    """`%` is any text, `_` one character, and case counts."""
    assert like(pattern).matches(text) is found


@given(st.text("ab%_", max_size=8), st.text("ab\n", max_size=12))
def test_like_finds_what_a_regular_expression_finds(pattern: str, text: str) -> None:
    """Whatever the pattern and the text."""
    meaning = "".join({"%": ".*", "_": "."}.get(each, each) for each in pattern)
    assert like(pattern).matches(text) is (re.fullmatch(meaning, text, re.DOTALL) is not None)


def test_like_with_many_wildcards_over_a_long_text() -> None:
    """It ends, where a pattern that backtracks would take longer than the world is old."""
    assert not like("%a" * 2_000 + "%b").matches("a" * 500_000)
    assert not like("%" + "a_" * 50 + "b%").matches("a" * 300_000)


def test_a_place_beyond_the_first_piece_is_found() -> None:
    """Where the pattern's text lies across two pieces, too."""
    text = "x" * 65_530 + "a-c-e-g-i-k" + "x" * 10
    assert like("%a_c_e_g_i_k%").matches(text)


def test_a_match_can_be_ended() -> None:
    """The check is asked before each part, and what it raises ends the match."""

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        like("%a%").matches("a", stop)


def test_regular_expressions() -> None:
    """They find a part of the text, in RE2's syntax."""
    assert regex_matches("^a+$", "aaa")
    assert not regex_matches("(a*)*b", "a" * 100_000)


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "(?=a)", "a{1000}{1000}", r"\pL{20}", "\ud800"])
def test_refused_regular_expressions(pattern: str) -> None:
    """What RE2 doesn't know, and what would be too large a program."""
    with pytest.raises(ValueError, match="regular expression"):
        compile_regex(pattern)


def test_the_bound_of_a_regular_expression() -> None:
    """A program has some instructions for each character, and only so many."""
    compile_regex("a" * (MAX_PROGRAM - 100))
    with pytest.raises(ValueError, match="too large"):
        compile_regex("a" * MAX_PROGRAM)
