"""Text patterns that callers give: LIKE with `%` and `_`, and regular expressions in RE2's syntax. No I/O.

Neither backtracks: the time grows with the text times the pattern, and both have a bound. Who searches in a thread
gives a `check`, which is called between pieces and may raise to end a match. Used by the store's engines and by the
codecs of filters.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import re2

LIKE_CHARS = 1_000_000  # of a text, at most, that LIKE looks at
RLIKE_CHARS = 100_000  # likewise, for a small regular expression
MAX_PROGRAM = 5_000  # instructions of a regular expression, which has a handful for each of its characters
_WORK = 100_000_000  # instructions times characters of one match: a third of a second
_PIECE = 65_536
Check = Callable[[], None]


def no_check() -> None:
    """Let a match go on."""


def compile_regex(pattern: str) -> re2._Regexp:
    """Return a regular expression. Raise ValueError, in words that follow "The pattern", for one that can't be had."""
    options = re2.Options()
    options.max_mem = 1 << 20
    options.log_errors = False
    options.never_capture = True
    try:
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError):
        raise ValueError("is not a regular expression in RE2's syntax, or too large a one") from None
    if compiled.programsize > MAX_PROGRAM:
        raise ValueError("is too large a regular expression")
    return compiled


@functools.lru_cache(maxsize=128)
def _regex(pattern: str) -> re2._Regexp:
    return compile_regex(pattern)


def regex_matches(pattern: str, text: str) -> bool:
    """Tell whether a part of the text is what the regular expression describes. Raise ValueError as `compile_regex`.

    A large expression is shown less of a text than RLIKE_CHARS, but 20,000 characters at least.
    """
    regex = _regex(pattern)
    return regex.search(text[: min(RLIKE_CHARS, _WORK // max(1, regex.programsize))]) is not None


class Like:
    """A LIKE pattern: `%` stands for any characters, `_` for one. There is no way to escape them."""

    def __init__(self, pattern: str) -> None:
        self._parts = [_Part(text) for text in pattern.split("%")]

    def matches(self, text: str, check: Check = no_check) -> bool:
        """Tell whether the whole text is what the pattern describes."""
        first, *rest = self._parts
        if not rest:
            return len(text) == first.length and first.is_at(text, 0)
        last = rest.pop()
        at, end = first.length, len(text) - last.length
        if at > end or not first.is_at(text, 0) or not last.is_at(text, end):
            return False
        for part in rest:  # the leftmost place of each part leaves the most room for those that follow
            found = part.find(text, at, end, check)
            if found < 0:
                return False
            at = found + part.length
        return True


class _Part:
    """What stands between two `%`: as many characters as it has, of which `_` may be any."""

    def __init__(self, text: str) -> None:
        self.length = len(text)
        self._text = text
        self._literals: list[tuple[int, str]] = []  # what stands between two `_`, with its place
        at = 0
        for literal in text.split("_"):
            if literal:
                self._literals.append((at, literal))
            at += len(literal) + 1

    def is_at(self, text: str, at: int) -> bool:
        """Tell whether the part is there, where there is room for it."""
        return all(text.startswith(literal, at + place) for place, literal in self._literals)

    def find(self, text: str, begin: int, end: int, check: Check) -> int:
        """Return the first place of the part between the two, or -1."""
        check()
        if not self._literals:
            return begin if begin + self.length <= end else -1
        if "_" not in self._text:
            return text.find(self._text, begin, end)
        step = max(_PIECE, 2 * self.length)
        for at in range(begin, end, step):  # pieces that overlap, as what is looked for has a fixed length
            check()
            piece = text[at : min(at + step + self.length, end)]
            if (found := self._regex.search(piece)) is not None:
                return at + int(found.start())
        return -1

    @functools.cached_property
    def _regex(self) -> re2._Regexp:
        options = re2.Options()
        options.dot_nl = True
        options.log_errors = False
        return re2.compile(".".join(re2.escape(literal) for literal in self._text.split("_")), options)


@functools.lru_cache(maxsize=128)
def like(pattern: str) -> Like:
    """Return the LIKE pattern, made once."""
    return Like(pattern)
