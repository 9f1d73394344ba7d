"""The id of a WebSocket's frame, by which its sender knows the answer. Called by socket.py."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from gateway.errors import InvalidValue

_MAX_REFUSED = 65_536  # characters of a frame that is looked at for its id only


def given_id(frame: str) -> dict[str, Any]:
    """Return the id of a frame that was not understood, so that its sender needn't wait for an answer."""
    try:
        found = json.loads(frame[:_MAX_REFUSED])["id"]
        msgspec.json.encode(found)  # ValueError for half of a surrogate pair
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return {"id": found} if isinstance(found, str | int) else {}


def required_id(answers: dict[str, Any]) -> str:
    """Return the id that a frame gave. Raise InvalidValue where it has none."""
    if "id" not in answers:
        raise InvalidValue("id: is required", details=[("id", "is required")])
    found: str = answers["id"]
    return found
