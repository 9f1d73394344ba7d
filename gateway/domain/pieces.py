"""Puts together what comes in pieces: fields of deltas that have a shape of their own, such as audio or thinking.

While it grows, a text is a list of its pieces, so that the work is linear; `closed` ends that. Called by answer.py.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# Within a field, only these texts come in pieces; any other, such as an ID or a type, is replaced.
_TEXTS = frozenset(("arguments", "content", "data", "input", "reasoning", "summary", "text", "thinking", "transcript"))
# Elements of a list that come in pieces themselves, while they have no signature.
_GROWING = ("text", "thinking", "reasoning", "reasoning.text", "reasoning.summary", "summary_text")
_SNAPSHOTS = frozenset(("citations", "search_results", "related_questions"))  # come as a whole each time


class _Text(list[str]):
    """The pieces of a text."""


def added(fields: dict[str, Any], delta: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields, which this may change, with one more delta's."""
    for name, value in delta.items():
        if isinstance(value, str):
            fields[name] = _joined(fields.get(name), _Text([value]))
        else:
            fields[name] = _opened(value) if name in _SNAPSHOTS else _joined(fields.get(name), _opened(value))
    return fields


def closed(value: Any, key: str = "") -> Any:
    """Return a value with its texts whole."""
    if isinstance(value, _Text):
        return joined_base64(value) if key == "data" else "".join(value)
    if isinstance(value, dict):
        return {name: closed(each, name) for name, each in value.items()}
    return [closed(each) for each in value] if isinstance(value, list) else value


def text_parts(content: Iterable[Any]) -> list[Any]:
    """Return a content of texts and parts as parts alone, those that belong together as one."""
    parts: list[Any] = []
    for each in content:
        _append(parts, _opened({"type": "text", "text": each} if isinstance(each, str) else each))
    return [closed(part) for part in parts]


def _opened(value: Any, key: str = "") -> Any:
    if isinstance(value, str):
        return _Text([value]) if key in _TEXTS else value
    if isinstance(value, dict):
        return {name: _opened(each, name) for name, each in value.items()}
    if isinstance(value, list):
        out: list[Any] = []
        for each in value:
            _append(out, _opened(each))
        return out
    return value


def _joined(old: Any, new: Any) -> Any:
    """Return a value with what came after it."""
    if isinstance(old, _Text) and isinstance(new, _Text):
        old.extend(new)
    elif isinstance(old, dict) and isinstance(new, dict):
        for name, each in new.items():
            old[name] = _joined(old.get(name), each)
    elif type(old) is list and type(new) is list:  # and neither is a text
        for each in new:
            _append(old, each)
    else:
        return new if new or not old else old
    return old


def _append(items: list[Any], item: Any) -> None:
    if items and _goes_on(items[-1], item):
        _joined(items[-1], item)
    else:
        items.append(item)


def _goes_on(last: Any, item: Any) -> bool:
    if not isinstance(last, dict) or not isinstance(item, dict) or last.get("signature"):
        return False
    kind = item.get("type")
    return kind in _GROWING and last.get("type") == kind and last.get("index") == item.get("index")


def joined_base64(pieces: Sequence[str]) -> str:
    """Return data that was encoded piece by piece as one text."""
    if not any(piece.endswith("=") for piece in pieces[:-1]):
        return "".join(pieces)
    try:
        return base64.b64encode(b"".join(base64.b64decode(piece, validate=True) for piece in pieces)).decode()
    except (binascii.Error, ValueError):
        return "".join(pieces)
