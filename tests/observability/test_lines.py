"""How activities look, and that text from outside is never shown raw."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from gateway.domain.trace import Value
from gateway.observability.lines import json_line, pretty_line, pretty_row, printable, rfc3339
from tests.support.activities import TRACE, chat, rating

HOSTILE = "a\nb\x1b[31mc\x9bd\u202ee\u2028f\x7fg\ud800"


def clean(text: str) -> bool:
    return all(c == "\u200d" or unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in text)


def test_printable_shows_escapes() -> None:
    """Line ends, terminal escapes, bidi characters and lone surrogates are escaped; harmless text stays."""
    assert printable(HOSTILE) == r"a\nb\x1b[31mc\x9bd\u202ee\u2028f\x7fg\ud800"
    assert printable("Grüße, 世界 👨\u200d👩") == "Grüße, 世界 👨\u200d👩"


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_nothing_gets_through_printable(text: str) -> None:
    """Any text becomes printable."""
    assert clean(printable(text))


@given(st.text(alphabet=st.characters(exclude_categories=[])))
@example(HOSTILE)
def test_a_json_line_is_one_line_and_loses_nothing(text: str) -> None:
    """A JSON line gives back any preview exactly."""
    line = json_line(chat(preview=text))
    assert clean(line)
    assert line.isascii()
    # JSON pairs surrogates up; Python's strings may hold the halves apart.
    back = json.loads(line)["preview"]
    assert back.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")


def test_a_chat_line_says_how_it_went() -> None:
    """A line has the outcome in words, model, route, times, tokens, trace and preview."""
    line = pretty_line(chat(), width=None, colour=False)
    assert line[8:] == (
        "  ok               default           /chat/stream            420 ms    1.92 s      57 tok"
        f"  {TRACE}  What is the capital of France?"
    )


def test_a_failed_chat_shows_its_error_before_the_preview() -> None:
    """A missing first token is shown as -."""
    record = chat(outcome="upstream_error", first_token_ms=None, tokens=None, error="upstream_error")
    line = pretty_line(record, width=None, colour=True)
    assert "\x1b[31mprovider failed" in line
    assert "upstream_error: What is" in line
    assert " -" in line


def test_an_error_without_a_preview_and_an_unknown_outcome() -> None:
    """A missing preview is left out, and an unknown outcome is shown as it is."""
    line = pretty_line(chat(outcome="novel", error="boom", preview=None), width=None, colour=False)
    assert "  novel  " in line
    assert line.endswith("  boom")


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (True, "👍"),
        (False, "👎"),
        (0.8, "0.8"),
        (4, "4"),
        ("right", "right"),
        (["a", "b"], "a, b"),
        (None, "retracted"),
    ],
)
def test_a_rating_line_says_who_said_what(value: Value | None, word: str) -> None:
    """True and false are shown as thumbs, all other values as text."""
    line = pretty_line(rating(value), width=None, colour=False)
    assert line[8:].startswith(f"  {word} ")
    assert "user_feedback" in line
    assert "mia" in line
    assert line.endswith(f"{TRACE}  Good!")


def test_an_anonymous_rater_is_not_named_by_the_trace_twice() -> None:
    """An anonymous rater's ID has the trace in it, which is left out because the line has it already."""
    line = pretty_line(rating(rater=f"anonymous:{TRACE}", comment=None), width=None, colour=False)
    assert line.count(TRACE) == 1
    assert "anonymous " in line


@pytest.mark.parametrize("width", [70, 80, 100, 120, 160, 200])
@pytest.mark.parametrize("preview", ["x" * 500, "世界" * 300, HOSTILE * 20, None])
def test_a_line_fits_the_terminal(width: int, preview: str | None) -> None:
    """Wide characters count twice, and a narrow terminal gets a shortened trace ID."""
    line = pretty_line(chat(preview=preview, model="世" * 50), width=width, colour=False)
    assert cell_len(line) <= width
    assert (TRACE if width >= 120 else f"tr-…{TRACE[-8:]}") in line
    assert "世" in line or width < 80
    assert clean(line)


def test_a_rating_keeps_its_name_and_comment_on_80_columns() -> None:
    """On 80 columns a rating shows its score, its name and its comment."""
    line = pretty_line(replace(rating(0.8, comment="too long for this"), score="4/5"), width=80, colour=False)
    assert "4/5" in line
    assert "user_" in line
    assert line.endswith("too long for this")


def test_a_fallback_shows() -> None:
    """An answer that took several attempts says how many."""
    assert "ok, 2 tries" in pretty_line(replace(chat(), attempts=2), width=80, colour=False)


def test_columns_stay_aligned() -> None:
    """Chats and ratings have the trace in the same column."""
    lines = [pretty_line(r, width=None, colour=False) for r in (chat(model="m" * 40), rating("yes"))]
    assert len({line.index(TRACE) for line in lines}) == 1


@pytest.mark.parametrize(("ms", "text"), [(0, "0 ms"), (999, "999 ms"), (61_000, "61.00 s"), (600_000, "10 min")])
def test_durations(ms: int, text: str) -> None:
    """A duration is short at any length."""
    assert f" {text} " in pretty_line(chat(duration_ms=ms), width=None, colour=False)


def test_colour_is_only_around_the_text() -> None:
    """A coloured line is the plain line with escapes added."""
    import re

    coloured = pretty_line(chat(), width=None, colour=True)
    assert re.sub(r"\x1b\[\d+m", "", coloured) == pretty_line(chat(), width=None, colour=False)


def test_a_row_of_a_table() -> None:
    """A row's texts are cut, padded and escaped."""
    assert pretty_row(("a\n", "bcdef"), (4, 4)) == "a\\n   bcd…"


def test_times_are_rfc_3339() -> None:
    """Times are in UTC, with milliseconds."""
    assert rfc3339(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"
