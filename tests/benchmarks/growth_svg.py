"""Draws the growth panels as one SVG file, plain enough to be read in any viewer, light or dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import ceil, floor, log10

from .growth import Panel

_WIDE, _HIGH = 460, 330  # of a panel
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 26, 64, 48
_COLOURS = ("#2a6fdb", "#c2570c", "#0f8a5f", "#8a4fc4")
_STYLE = (
    "svg{background:#fff}text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:14px;font-weight:600}"
    ".grid{stroke:#ddd}.axis{stroke:#888}"
    "@media(prefers-color-scheme:dark){svg{background:#16181d}text{fill:#ddd}.grid{stroke:#333}}"
)


def draw(panels: list[Panel]) -> str:
    """Two panels a row; both axes logarithmic; the cost in microseconds of CPU."""
    rows = ceil(len(panels) / 2)
    said = " ".join(series.sentence() for panel in panels for series in panel.series)
    body = "\n".join(
        f'<g transform="translate({index % 2 * _WIDE} {index // 2 * _HIGH})">\n' + "\n".join(_panel(panel)) + "\n</g>"
        for index, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * _WIDE} {rows * _HIGH}" role="img"'
        f' aria-labelledby="title desc">\n<title id="title">How the cost grows with the work</title>\n'
        f'<desc id="desc">{escape(said)}</desc>\n<style>{_STYLE}</style>\n{body}\n</svg>\n'
    )


def _panel(panel: Panel) -> Iterator[str]:
    points = [point for series in panel.series for point in series.points]
    x0, x1 = log10(min(x for x, _ in points)), log10(max(x for x, _ in points))
    y0, y1 = floor(log10(min(y for _, y in points))), ceil(log10(max(y for _, y in points)))
    y1 = max(y1, y0 + 1)

    def across(value: float) -> float:
        return _LEFT + (log10(value) - x0) / (x1 - x0) * (_WIDE - _LEFT - _RIGHT)

    def up(value: float) -> float:
        return _HIGH - _BOTTOM - (log10(value) - y0) / (y1 - y0) * (_HIGH - _TOP - _BOTTOM)

    yield f'<text class="title" x="{_LEFT}" y="20">{escape(panel.title)}</text>'
    for exponent in range(y0, y1 + 1):
        y = up(10.0**exponent)
        yield f'<line class="grid" x1="{_LEFT}" x2="{_WIDE - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**exponent:,.7g}</text>'
    bottom = _HIGH - _BOTTOM
    yield f'<line class="axis" x1="{_LEFT}" x2="{_WIDE - _RIGHT}" y1="{bottom}" y2="{bottom}"/>'
    for size in sorted({x for x, _ in points}):
        yield f'<text x="{across(size):.1f}" y="{bottom + 18}" text-anchor="middle">{_short(size)}</text>'
    yield f'<text x="{(_LEFT + _WIDE - _RIGHT) / 2}" y="{_HIGH - 10}" text-anchor="middle">{escape(panel.axis)}</text>'
    unit = panel.series[0].unit
    yield f'<text x="14" y="{(_TOP + bottom) / 2}" text-anchor="middle" transform="rotate(-90 14 {(_TOP + bottom) / 2})">µs of CPU {escape(unit)}</text>'  # noqa: E501
    for number, series in enumerate(panel.series):
        colour = _COLOURS[number]
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in series.points)
        yield f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{path}"/>'
        for x, y in series.points:
            yield f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{colour}"/>'
        left, top = _LEFT + number % 2 * 190, 38 + number // 2 * 15
        yield f'<rect x="{left}" y="{top - 8}" width="10" height="4" fill="{colour}"/>'
        yield f'<text x="{left + 15}" y="{top}">{escape(series.name)}</text>'


def _short(size: float) -> str:
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit and size % unit == 0:
            return f"{size / unit:g} {name}"
    return f"{size:,g}"
