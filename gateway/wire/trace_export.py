"""Traces as files: JSON Lines, CSV and Parquet, a piece at a time. Sans-I/O; called by web/trace_export.py.

Tables have a column for each name of assessments, with the value of a trace's newest valid one. Parquet is written by
pyarrow, which is an extra of the package and imported on first use.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, get_args

import msgspec

from gateway.errors import InvalidValue
from gateway.wire.cells import cell
from gateway.wire.traces import TraceItem

Format = Literal["jsonl", "csv", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
Column = tuple[str, str]  # name and kind of assessments
MEDIA: dict[Format, str] = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
_WHOLE = ("time", "duration_ms", "first_token_ms", "tokens")
_FIELDS = tuple(name for name in TraceItem.__struct_fields__ if name not in ("tags", "assessments"))
_GROUP = 5_000  # rows that Parquet keeps together


class Writer(Protocol):
    """Writes one file. `write` returns what is ready of it, and `end` the rest."""

    def write(self, items: Sequence[TraceItem]) -> bytes: ...
    def end(self) -> bytes: ...


class JsonLines:
    """A line for each trace, as GET /traces has it."""

    def write(self, items: Sequence[TraceItem]) -> bytes:
        return b"".join(msgspec.json.encode(item) + b"\n" for item in items)

    def end(self) -> bytes:
        return b""


class Csv:
    """A table for spreadsheets."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._head: list[str] = _names(columns)

    def write(self, items: Sequence[TraceItem]) -> bytes:
        buffer = io.StringIO()
        writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC)
        if self._head:
            writer.writerow(self._head)
            self._head = []
        writer.writerows([cell(value) for value in _row(item, self._columns)] for item in items)
        return buffer.getvalue().encode()

    def end(self) -> bytes:
        return self.write(())  # the head of an empty table


class Parquet:
    """A table for analysis. Raise InvalidValue (`format_not_installed`) where pyarrow is missing."""

    def __init__(self, columns: Sequence[Column]) -> None:
        try:
            import pyarrow  # type: ignore[import-untyped]
            from pyarrow import parquet
        except ImportError:
            problem = "is written by pyarrow, which isn't installed: pip install 'feedback-gateway[parquet]'"
            raise InvalidValue(
                f"format: parquet {problem}", code="format_not_installed", details=[("format", problem)]
            ) from None
        types = dict.fromkeys(_WHOLE, pyarrow.int64()) | {"cost": pyarrow.float64()}
        self._names = _names(columns)
        self._schema = pyarrow.schema([(name, types.get(name, pyarrow.string())) for name in self._names])
        self._columns, self._rows = columns, list[dict[str, Any]]()
        self._table, self._sink = pyarrow.Table, _Sink()
        self._writer = parquet.ParquetWriter(self._sink, self._schema)

    def write(self, items: Sequence[TraceItem]) -> bytes:
        self._rows += [dict(zip(self._names, _row(item, self._columns), strict=True)) for item in items]
        if len(self._rows) >= _GROUP:
            self._flush()
        return self._sink.take()

    def end(self) -> bytes:
        if self._rows:
            self._flush()
        self._writer.close()
        return self._sink.take()

    def _flush(self) -> None:
        self._writer.write_table(self._table.from_pylist(self._rows, schema=self._schema))
        self._rows = []


class _Sink(io.RawIOBase):
    """A file that can be taken away from its beginning while it is written."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        return len(piece)

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def writer_of(form: Format, columns: Sequence[Column]) -> Writer:
    """Return what writes this format. Raise InvalidValue (`format_not_installed`)."""
    if form == "jsonl":
        return JsonLines()
    return Csv(columns) if form == "csv" else Parquet(columns)


def read_format(text: str) -> Format:
    """Return the format of a name. Raise InvalidValue."""
    found = next((form for form in FORMATS if form == text), None)
    if found is None:
        raise InvalidValue(f"must be one of {', '.join(FORMATS)}")
    return found


def _names(columns: Sequence[Column]) -> list[str]:
    return [*_FIELDS, "time_utc", "tags", *(f"{kind}.{name}" for name, kind in columns)]


def _row(item: TraceItem, columns: Sequence[Column]) -> list[Any]:
    newest = {(one.name, one.kind): one.value for one in item.assessments if one.error is None}
    time = datetime.fromtimestamp(item.time / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = [getattr(item, name) for name in _FIELDS]
    return [*fields, time, _text(item.tags or None), *(_text(newest.get(column)) for column in columns)]


def _text(value: Any) -> str | None:
    """Return a text as it is, and any other value as JSON."""
    return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
