"""Makes the answers of two servers comparable: IDs become numbers in the order they come up, times and places words.

Called by mlflow_servers.py.
"""

from __future__ import annotations

import json
import re
from typing import Any

_ID = re.compile(
    r"(?P<kind>tr-|a-|dr-|d-)[0-9a-f]{32}\b|\b[0-9a-f]{32}\b|\b[0-9a-f]{16}\b|(?<=\")[A-Za-z0-9+/]{22}==|[A-Za-z0-9+/]{11}=(?=\")"
)
_TIMES = re.compile(r"time|timestamp|duration|_ms$|nano")
# keys whose values depend on the machine, the checkout or the server's disk
_PLACES = re.compile(
    r"artifact|mlflow\.source\.|mlflow\.user|sizeBytes|sizeStats|run_name|digest|Digest|stacktrace|exception\.stack"
)


def alike(answers: list[list[Any]]) -> list[list[Any]]:
    """Return the same answers without what differs from run to run."""
    seen: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return seen.setdefault(match[0], f"<id {len(seen) + 1}>")

    text = _ID.sub(number, json.dumps(_plain(answers), ensure_ascii=False, sort_keys=True))
    found: list[list[Any]] = json.loads(text)
    return found


def _plain(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _plain(each, name) for name, each in value.items()}
    if isinstance(value, list):
        if len(value) == 2 and isinstance(value[0], str) and _PLACES.search(value[0]):
            return [value[0], "<place>"]
        return [_plain(each, key) for each in value]
    if _PLACES.search(key):
        return "<place>"
    if isinstance(value, (int, float)) and not isinstance(value, bool) and _TIMES.search(key):
        return "<time>"
    if isinstance(value, str):
        if _TIMES.search(key) and value:
            return "<time>"
        if value[:1] in "{[" and value[-1:] in "}]":
            try:
                return _plain(json.loads(value), key)
            except ValueError:
                return value
    return value
