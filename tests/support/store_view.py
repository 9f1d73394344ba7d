"""What a store file holds, for tests: plain SQL beside whoever owns the file. It writes nothing."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any


class StoreView:
    """What is in a store file, read beside whoever owns it. JSON columns come decoded."""

    _JSON = frozenset({"request", "response", "parts", "tags", "metadata", "attributes", "value"})

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return [
                {key: json.loads(row[key]) if key in self._JSON and row[key] else row[key] for key in row.keys()}  # noqa: SIM118
                for row in connection.execute(sql, values)
            ]

    def traces(self) -> list[dict[str, Any]]:
        return self.rows("SELECT * FROM traces ORDER BY request_time, trace_id")

    def trace(self, trace_id: str) -> dict[str, Any]:
        """The one row; fails where there is none."""
        (row,) = self.rows("SELECT * FROM traces WHERE trace_id = ?", trace_id)
        return row

    def ended(self, trace_id: str, timeout: float = 15) -> dict[str, Any]:
        """The row once it has an outcome."""
        deadline = time.monotonic() + timeout
        while True:
            row = self.trace(trace_id)
            if row["outcome"] is not None:
                return row
            assert time.monotonic() < deadline, f"{trace_id} had not ended after {timeout} s: {row}"
            time.sleep(0.02)

    def spans(self, trace_id: str) -> list[dict[str, Any]]:
        order = "parent_id IS NOT NULL, start_ms, end_ms, span_id"
        return self.rows(f"SELECT * FROM spans WHERE trace_id = ? ORDER BY {order}", trace_id)  # noqa: S608 - our own words

    def assessments(self, trace_id: str, *, valid: bool | None = None) -> list[dict[str, Any]]:
        """Its ratings, oldest first; all of them, or only the valid (invalid) ones."""
        found = self.rows("SELECT * FROM assessments WHERE trace_id = ? ORDER BY create_time, rowid", trace_id)
        return [row for row in found if valid is None or bool(row["valid"]) is valid]

    def integrity(self) -> str:
        """ "ok" where SQLite finds nothing wrong."""
        return str(self.rows("PRAGMA integrity_check")[0]["integrity_check"])
