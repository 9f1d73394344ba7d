"""Transaction scripts over attachments: the large data in messages, such as pictures. See traces.py for scripts.

Each turn of a conversation has all messages before it, pictures too. So each picture is stored once for a project, by
its digest, and a trace's `request` has a mark in its place. Nobody but these scripts sees marks: who reads a request
gets it whole. It goes with the last trace that has it. Called by the scripts that write, read and delete traces.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from gateway.storage.engine import Row, Script

LEAST = 4096  # characters of data that are worth a row of their own
_MARK = '"gateway-attachment:'
_MARKS = re.compile(r'"gateway-attachment:([0-9a-f]{64})"')
_LONG = re.compile(rf'"([^"]{{{LEAST},}})"')
_DATA = re.compile(r"[A-Za-z0-9+/=_:;,.%\\-]*")  # base64, with or without the beginning of a `data:` address
_LOOKED_AT = 200  # characters at either end of a text by which data is known
# With a table of attachments `a` that a trace `t` has.
OF_TRACE = (
    "trace_attachments ta JOIN attachments a ON a.project = ta.project AND a.digest = ta.digest WHERE ta.trace_id"
)


def detach(request: str) -> tuple[str, dict[str, str]]:
    """Return messages, as JSON, with marks in place of their data, and the data by its digest."""
    found: dict[str, str] = {}

    def mark(match: re.Match[str]) -> str:
        data = match[1]
        known = data.isascii() and " " not in data and "\\u" not in data
        if not known or not _DATA.fullmatch(data[:_LOOKED_AT]) or not _DATA.fullmatch(data[-_LOOKED_AT:]):
            return match[0]
        digest = hashlib.sha256(data.encode()).hexdigest()
        found[digest] = data
        return f'{_MARK}{digest}"'

    return _LONG.sub(mark, request), found


def attach(request: str, data: Mapping[str, str]) -> str:
    """Return messages with their data again."""
    return _MARKS.sub(lambda match: f'"{data[match[1]]}"' if match[1] in data else match[0], request)


def save_attachments(trace_id: str, project: str, data: Mapping[str, str]) -> Script[None]:
    """Store the data that a trace's request has."""
    for digest, text in data.items():
        there = yield "SELECT 1 FROM attachments WHERE project = $1 AND digest = $2", (project, digest)
        if not there:
            yield (
                "INSERT INTO attachments (project, digest, data) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                (project, digest, text),
            )
        yield (
            "INSERT INTO trace_attachments (trace_id, project, digest) VALUES ($1, $2, $3)",
            (trace_id, project, digest),
        )


def whole_request(row: Row) -> Script[str | None]:
    """Return the `request` of a row of `traces`, whole."""
    request: str | None = row["request"]
    if request is None or _MARK not in request:
        return request
    rows = yield f"SELECT a.digest, a.data FROM {OF_TRACE} = $1", (row["trace_id"],)  # noqa: S608  a constant
    return attach(request, {each["digest"]: each["data"] for each in rows})


def drop_attachments(trace_id: str) -> Script[None]:
    """Delete what a trace has, where no other one has it, too."""
    rows = yield "SELECT project, digest FROM trace_attachments WHERE trace_id = $1", (trace_id,)
    if not rows:
        return
    yield "DELETE FROM trace_attachments WHERE trace_id = $1", (trace_id,)
    for row in rows:
        yield (
            "DELETE FROM attachments WHERE project = $1 AND digest = $2 AND NOT EXISTS"
            " (SELECT 1 FROM trace_attachments WHERE project = $1 AND digest = $2)",
            (row["project"], row["digest"]),
        )
