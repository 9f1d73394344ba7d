"""How one chat and one rating look: as a JSON line, and as an aligned line for people.

Foreign text (names of models, users, comments, previews) never gets out raw: a line stays one line, and nothing in
it moves a terminal's cursor. The log and `gateway tail` use it; it writes nowhere.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.cells import cell_len, set_cell_size

from gateway.domain.trace import ChatRecord, Outcome, RatingRecord

Record = ChatRecord | RatingRecord

# outcome → (in words, ANSI colour)
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
_WIDE = 120  # columns of a terminal, from which on trace IDs are shown whole
_MIN_TEXT = 20  # columns for what was asked, said or commented, before others find room
_encoder = msgspec.json.Encoder()


def printable(text: str) -> str:
    """The text with every control, bidi, separator and lone surrogate character shown as its escape."""
    if text.isprintable():
        return text
    # A zero-width joiner holds many an emoji together and does no harm.
    return "".join(c if c.isprintable() or c == "\u200d" else ascii(c)[1:-1] for c in text)


def json_line(value: Any) -> str:
    """One line of JSON; where the text isn't plain ASCII it is escaped, so that no control character is in it."""
    try:
        data = _encoder.encode(value)
    except UnicodeEncodeError:  # a lone surrogate
        data = b"\x7f"
    if data.isascii() and b"\x7f" not in data:
        return data.decode("ascii")
    return json.dumps(msgspec.to_builtins(value), separators=(",", ":"))


def clock(time_ms: int) -> str:
    """The time of day where the reader is."""
    return datetime.fromtimestamp(time_ms / 1000).strftime("%H:%M:%S")


def rfc3339(time_ms: int) -> str:
    """UTC, with milliseconds."""
    return f"{_second(time_ms // 1000)}.{time_ms % 1000:03d}Z"


@functools.lru_cache(maxsize=8)
def _second(time_s: int) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def pretty_line(record: Record, *, width: int | None, colour: bool) -> str:
    """One aligned line. On a narrow terminal the less telling columns go; `width` None: nothing is cut."""
    if isinstance(record, ChatRecord):
        word, paint = OUTCOMES.get(record.outcome, (record.outcome, "0"))  # type: ignore[call-overload]
        if record.attempts > 1 and len(word) <= 4:
            word += f", {record.attempts} tries"
        subject, where = record.model, record.route
        first, took = _took(record.first_token_ms), _took(record.duration_ms)
        tokens = "" if record.tokens is None else f"{record.tokens} tok"
        tail = record.preview or ""
        if record.error:
            tail = f"{record.error}: {tail}" if tail else record.error
    else:
        word, paint = record.score or _rating(record.value), "36"
        subject, where = record.name, record.source_id.partition(":tr-")[0]
        first = took = tokens = ""
        tail = record.comment or ""
    # text, cells, right-aligned, ANSI style, rank: the highest goes first where there is no room
    narrow = width is not None and width < _WIDE
    columns = [
        (clock(record.time), 8, False, "2", 0),
        (word, 15, False, paint, 0),
        (subject, 16, False, "1", 1),
        (where, 20, False, "", 3),
        (first, 8, True, "2", 4),
        (took, 8, True, "", 2),
        (tokens, 10, True, "2", 5),
        (f"tr-…{record.trace_id[-8:]}" if narrow else record.trace_id, 12 if narrow else 35, False, "2", 0),
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
    """A row of a table; what is too long for its column is cut."""
    return "  ".join(_fit(printable(text), cells) for text, cells in zip(texts, widths, strict=True)).rstrip()


def _cells(columns: list[tuple[str, int, bool, str, int]]) -> int:
    return sum(cells + 2 for _, cells, *_ in columns) - 2


def _fit(text: str, cells: int, right: bool = False) -> str:
    """Exactly that many columns of a terminal, cut with … where it is longer."""
    size = cell_len(text)
    if size > cells:
        return set_cell_size(text, cells - 1) + "…"
    return " " * (cells - size) + text if right else text + " " * (cells - size)


def _paint(text: str, style: str, colour: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if colour and style and not text.isspace() else text


def _took(ms: int | None) -> str:
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
