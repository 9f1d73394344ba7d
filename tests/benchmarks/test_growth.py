"""How growth is judged and drawn, without a gateway."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gateway.storage.sqlite.migrate import migrate
from tests.benchmarks.growth import Panel, Series, fill, slope, trace_id
from tests.benchmarks.growth_svg import draw


def series(power: float, *, total: bool = False) -> Series:
    return Series("it", "each", total, [(size, 3 * size**power) for size in (1, 10, 100, 1000)])


def test_the_exponent_of_a_power_law() -> None:
    """Exactly, where there is no noise."""
    assert slope(series(1.5).points) == pytest.approx(1.5)
    assert series(1).exponent == pytest.approx(1)
    assert series(0, total=True).exponent == pytest.approx(1)


@pytest.mark.parametrize(
    ("power", "total", "linear"), [(0, False, True), (1, False, True), (2, False, False), (0.5, True, False)]
)
def test_what_counts_as_linear(power: float, total: bool, linear: bool) -> None:
    """A cost per piece that rises with the number of pieces is more than linear."""
    assert series(power, total=total).linear is linear


def test_the_sentence_has_both_ends() -> None:
    """And the exponent."""
    assert (
        series(1).sentence()
        == "it: 3 µs each at 1, 3,000 µs at 1,000; the whole grows with the power 1.00 of the size."
    )


def test_the_drawing_is_xml_and_says_what_it_shows() -> None:
    """For those who can't see it, too."""
    root = ElementTree.fromstring(draw([Panel("T & t", "sizes", [series(1), series(0)])] * 3))  # noqa: S314 - our own
    texts = [element.text or "" for element in root.iter()]
    assert texts.count("T & t") == 3
    assert any("power 1.00" in text for text in texts)


def test_the_store_is_filled_as_the_gateway_would(tmp_path: Path) -> None:
    """Rows of the present schema; each third trace has a rating."""
    with sqlite3.connect(tmp_path / "x.db", isolation_level=None) as store:
        migrate(store)
    store.close()
    fill(tmp_path / "x.db", 10)
    with sqlite3.connect(tmp_path / "x.db") as store:
        assert store.execute("SELECT COUNT(*), MIN(trace_id) FROM traces").fetchone() == (10, trace_id(0))
        assert store.execute("SELECT COUNT(*) FROM assessments").fetchone() == (4,)
    store.close()
