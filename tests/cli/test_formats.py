"""Cells and lines: nothing forged, nothing lost."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.formats import one_line
from gateway.wire.cells import cell
from tests.support.hostile_text import NASTIES

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
TRIGGERS = "=+-@\t\r"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("=1+1", "'=1+1"),
        ("+1+1", "'+1+1"),
        ("-1+1", "'-1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("＝1", "'＝1"),  # noqa: RUF001
        ("-1.5", "-1.5"),
        ("+1e-7", "+1e-7"),
        ("-", "'-"),
        ("a=1", "a=1"),
        ("", ""),
        (None, ""),
        (True, "true"),
        (False, "false"),
        (-3, -3),
        (-0.25, -0.25),
        ("a\nb\tc", "a\nb\tc"),
        ("a\x1b[0mb\x00\x9b\u2028", r"a\x1b[0mb\x00\x9b\u2028"),
    ],
)
def test_a_cell(value: str | float | None, wanted: str | float) -> None:
    """Formulas get an apostrophe, numbers stay numbers, controls show as escapes."""
    assert cell(value) == wanted
    assert type(cell(value)) is type(wanted)


@given(ANY_TEXT)
def test_no_cell_begins_a_formula(text: str) -> None:
    """But for numbers; and a row of cells is read back as it was."""
    made = cell(text)
    assert isinstance(made, str)
    if made.startswith(tuple(TRIGGERS)):
        float(made)
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC).writerow([made, "next"])
    assert list(csv.reader(io.StringIO(buffer.getvalue(), newline=""))) == [[made, "next"]]


@given(st.recursive(ANY_TEXT | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner)))
def test_json_on_one_line_means_the_same(value: object) -> None:
    """However it was written."""
    for text in (json.dumps(value, ensure_ascii=False, indent=1), json.dumps(value)):
        line = one_line(text)
        assert line.isprintable()
        assert json.loads(line) == value


def test_numbers_that_no_decoder_takes_stay() -> None:
    """And halves of surrogates, which were escapes already."""
    assert one_line('[1e999,\r\n\t"\\ud800"]') == '[1e999,   "\\ud800"]'


@pytest.mark.parametrize("nasty", NASTIES.values(), ids=NASTIES)
def test_nothing_nasty_gets_into_a_line(nasty: str) -> None:
    """A line of JSON stays one to every reader."""
    line = one_line(json.dumps({"text": nasty}, ensure_ascii=False))
    assert len(line.splitlines()) == 1
    assert json.loads(line) == {"text": nasty}
