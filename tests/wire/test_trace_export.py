"""Traces as files: lines, tables, and what a spreadsheet must not take for a formula."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import Any

import msgspec
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest

from gateway.errors import InvalidValue
from gateway.wire.trace_export import FORMATS, Writer, read_format, writer_of
from gateway.wire.traces import AssessmentItem, TraceItem, trace_item
from tests.support.rows import a_rating
from tests.wire.test_traces import found

COLUMNS = [("user_feedback", "feedback"), ("facts", "expectation")]


def items(count: int = 1) -> list[TraceItem]:
    """Chats with an older and a newer thumb, a judge that failed, and an expectation."""
    ratings = (
        a_rating(value=False),
        a_rating(value=True),
        a_rating(value=None, error={"error_code": "X"}),
        a_rating(name="facts", kind="expectation", value=["a", "b"]),
        a_rating(name="elsewhere", value="x"),
    )
    over: dict[str, Any] = {"request_preview": "=SUM(A1)", "tags": {"team": "a"}, "cost": 0.5}
    return [trace_item(found(assessments=ratings, request_time=1_000 + at, **over)) for at in range(count)]


def whole(writer: Writer, *pages: list[TraceItem]) -> bytes:
    return b"".join([*(writer.write(page) for page in pages), writer.end()])


def test_lines() -> None:
    """A trace a line, as the list has it."""
    made = items(3)
    lines = whole(writer_of("jsonl", []), made[:2], made[2:]).splitlines()
    assert [msgspec.json.decode(line, type=TraceItem) for line in lines] == made
    assert isinstance(made[0].assessments[0], AssessmentItem)
    assert whole(writer_of("jsonl", [])) == b""


def test_csv() -> None:
    """Times for people, a column a name, the newest value that isn't a failure, and no formula."""
    text = whole(writer_of("csv", COLUMNS), items(2), []).decode()
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["time"], first["time_utc"]) == ("1000", "1970-01-01T00:00:01.000Z")
    assert (first["feedback.user_feedback"], first["expectation.facts"]) == ("true", '["a","b"]')
    assert (first["request_preview"], first["tags"], first["provider"]) == ("'=SUM(A1)", '{"team":"a"}', "")
    assert second["time"] == "1001"
    assert "feedback.elsewhere" not in first
    empty = whole(writer_of("csv", COLUMNS)).decode()
    assert empty == text.splitlines(keepends=True)[0]


def test_parquet() -> None:
    """The same table with types, in groups of rows that come as soon as they are whole."""
    writer = writer_of("parquet", COLUMNS)
    made = items(6_000)
    pieces = [writer.write(made[at : at + 2_000]) for at in range(0, 6_000, 2_000)]
    assert len(pieces[1]) <= 4 < len(pieces[2])
    table = pyarrow.parquet.read_table(io.BytesIO(b"".join([*pieces, writer.end()])))
    assert table.num_rows == 6_000
    row = table.slice(5_999).to_pylist()[0]
    assert (row["time"], row["cost"], row["feedback.user_feedback"]) == (6_999, 0.5, "true")
    assert (row["request_preview"], row["provider"]) == ("=SUM(A1)", None)
    empty = pyarrow.parquet.read_table(io.BytesIO(whole(writer_of("parquet", COLUMNS))))
    assert empty.schema == table.schema


def test_parquet_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidValue, match=r"pip install 'feedback-gateway\[parquet\]'") as caught:
        writer_of("parquet", [])
    assert caught.value.code == "format_not_installed"


def test_formats() -> None:
    """By name, and no others."""
    assert [read_format(form) for form in FORMATS] == list(FORMATS)
    with pytest.raises(InvalidValue):
        read_format("xml")
    assert json.loads(whole(writer_of("jsonl", []), items()))["tags"] == {"team": "a"}
