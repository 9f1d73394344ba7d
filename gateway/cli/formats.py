"""Rows of the store as lines of JSON or CSV. It writes nowhere; export.py does.

JSON loses nothing: content is in it as it was stored, and what isn't printable is an escape, so that a record is a
line to every reader and no terminal is moved. CSV is for spreadsheets: a cell that one would take for a formula gets
an apostrophe before it (OWASP, "CSV injection"), control characters are shown as escapes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from gateway.observability.lines import printable, rfc3339
from gateway.storage.engine import Row
from gateway.storage.scripts.export import COLUMNS, What
from gateway.wire.cells import cell

_JSON = frozenset({"tags", "metadata", "request", "response", "parts", "value"})
_TIMES = frozenset({"request_time", "end_time", "create_time", "last_update_time", "retracted"})
_TRUTH = frozenset({"usage_estimated", "valid"})
_BLANK = str.maketrans("\t\n\r", "   ")  # between the words of JSON; inside its strings they are escapes already


def one_line(text: str) -> str:
    """JSON text as one printable line that means the same."""
    text = text.translate(_BLANK)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def json_row(what: What, row: Row) -> str:
    """Return one record as JSON, without its newline."""
    fields = {name: _field(name, row[name]) for name in COLUMNS[what]}
    return one_line(msgspec.json.encode(fields).decode())


def _field(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _JSON:
        return msgspec.Raw(value.encode())
    if name in _TIMES:
        return rfc3339(value)
    return bool(value) if name in _TRUTH else value


def csv_rows(what: What, *, terminal: bool) -> tuple[str, Callable[[Row], str]]:
    """Return the head line, and a function that writes a row as a line. `terminal`: escape control characters."""
    columns = COLUMNS[what]

    def line(cells: Iterable[str | float]) -> str:
        buffer = io.StringIO()
        csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC).writerow(cells)
        text = buffer.getvalue()
        return printable(text.removesuffix("\r\n")) + "\n" if terminal else text

    return line(columns), lambda row: line(cell(_plain(name, row[name])) for name in columns)


def _plain(name: str, value: Any) -> Any:
    """Return the value as `_field` does, but a text without quotes."""
    if name == "value" and value is not None:
        decoded = msgspec.json.decode(value)
        return decoded if not isinstance(decoded, list) else one_line(value)
    return one_line(value) if name in _JSON and value is not None else _field(name, value)
