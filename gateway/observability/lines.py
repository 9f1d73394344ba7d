"""Formats one chat or one rating: as a JSON line, and as an aligned line for people. It doesn't write them.

Text from outside (names of models, users, comments, previews) is never shown raw: a line stays one line, and nothing
in it moves a terminal's cursor. Used by logs.py and the CLI.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.cells import cell_len, set_cell_size

from gateway.domain.activity import Activity, ChatActivity
from gateway.domain.trace import Outcome

# outcome → (its words, its ANSI colour)
OUTCOMES = {
    Outcome.COMPLETE: ("ok", "32"),
    Outcome.DRAINED: ("ok, nobody left", "32"),
    Outcome.STOPPED: ("stopped", "33"),
    Outcome.DISCONNECTED: ("client left", "33"),
    Outcome.UPSTREAM_ERROR: ("provider failed", "31"),
    Outcome.TIMEOUT: ("timed out", "31"),
    Outcome.TOO_LONG: ("too long", "31"),
    Outcome.INTERRUPTED: ("interrupted", "35"),
}
_WIDE = 120  # columns of a terminal that shows trace IDs in full
_MIN_TEXT = 20  # columns that the preview or comment gets before less important columns
_encoder = msgspec.json.Encoder()


def printable(text: str) -> str:
    """Return the text with every control, bidi, separator and lone surrogate character shown as its escape."""
    if text.isprintable():
        return text
    # The zero-width joiner is part of many emoji, and harmless.
    return "".join(c if c.isprintable() or c == "\u200d" else ascii(c)[1:-1] for c in text)


def json_line(value: Any) -> str:
    """Return the value as one line of JSON. Text that isn't plain ASCII is escaped, so it has no control characters."""
    try:
        data = _encoder.encode(value)
    except UnicodeEncodeError:  # a lone surrogate
        data = b"\x7f"
    if data.isascii() and b"\x7f" not in data:
        return data.decode("ascii")
    return json.dumps(msgspec.to_builtins(value), separators=(",", ":"))


def clock(time_ms: int) -> str:
    """Return the local time of day, as HH:MM:SS."""
    return datetime.fromtimestamp(time_ms / 1000).strftime("%H:%M:%S")


def rfc3339(time_ms: int) -> str:
    """Return the time in UTC with milliseconds (RFC 3339)."""
    return f"{_second(time_ms // 1000)}.{time_ms % 1000:03d}Z"


@functools.lru_cache(maxsize=8)
def _second(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def pretty_line(activity: Activity, *, width: int | None, colour: bool) -> str:
    """Return one aligned line of at most `width` columns; None cuts nothing.

    On a narrow terminal the less important columns are left out.
    """
    if isinstance(activity, ChatActivity):
        word, paint = OUTCOMES.get(activity.outcome, (activity.outcome, "0"))  # type: ignore[call-overload]
        if activity.attempts > 1 and len(word) <= 4:
            word += f", {activity.attempts} tries"
        subject, where = activity.model, activity.route
        first, took = _duration(activity.first_token_ms), _duration(activity.duration_ms)
        tokens = "" if activity.tokens is None else f"{activity.tokens} tok"
        tail = activity.preview or ""
        if activity.error:
            tail = f"{activity.error}: {tail}" if tail else activity.error
    else:
        word, paint = activity.score or _rating(activity.value), "36"
        subject, where = activity.name, activity.source_id.partition(":tr-")[0]
        first = took = tokens = ""
        tail = activity.comment or ""
    # text, columns, right-aligned, ANSI style, rank: where there is no room the highest rank is left out first
    narrow = width is not None and width < _WIDE
    columns = [
        (clock(activity.time), 8, False, "2", 0),
        (word, 15, False, paint, 0),
        (subject, 16, False, "1", 1),
        (where, 20, False, "", 3),
        (first, 8, True, "2", 4),
        (took, 8, True, "", 2),
        (tokens, 10, True, "2", 5),
        (f"tr-…{activity.trace_id[-8:]}" if narrow else activity.trace_id, 12 if narrow else 35, False, "2", 0),
    ]
    if width is not None:
        text = min(len(tail), _MIN_TEXT)
        while _cells(columns) + 2 + text > width and (least := max(rank for *_, rank in columns)):
            columns = [column for column in columns if column[4] != least]
        room = width - _cells(columns) - 2
        tail = _fit(printable(tail), room).rstrip() if room >= 8 else ""
    parts = [_paint(_fit(printable(text), cells, right), style, colour) for text, cells, right, style, _ in columns]
    return "  ".join([*parts, printable(tail)]).rstrip()


def pretty_row(texts: Sequence[str], widths: Sequence[int]) -> str:
    """Return a row of a table. A text that is too long for its column is cut."""
    return "  ".join(_fit(printable(text), cells) for text, cells in zip(texts, widths, strict=True)).rstrip()


def _cells(columns: list[tuple[str, int, bool, str, int]]) -> int:
    return sum(cells + 2 for _, cells, *_ in columns) - 2


def _fit(text: str, cells: int, right: bool = False) -> str:
    """Return the text in exactly that many columns, cut with … if it is longer."""
    size = cell_len(text)
    if size > cells:
        return set_cell_size(text, cells - 1) + "…"
    return " " * (cells - size) + text if right else text + " " * (cells - size)


def _paint(text: str, style: str, colour: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if colour and style and not text.isspace() else text


def _duration(ms: int | None) -> str:
    if ms is None:
        return "-"
    return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.2f} s" if ms < 100_000 else f"{ms / 60_000:.0f} min"


def _rating(value: Any) -> str:
    match value:
        case None:
            return "retracted"
        case bool():
            return "👍" if value else "👎"
        case float():
            return f"{value:g}"
        case list():
            return ", ".join(str(each) for each in value)
    return str(value)
