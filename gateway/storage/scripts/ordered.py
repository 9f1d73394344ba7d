"""The transaction script of a page in the order of a rating: value by value, each with the newest first.

For each value an index says which traces have it, so a page needs no look at all of them. Those with none of the values
come last. A name with more values than VALUES is sorted as other orders are. Called by listing.py.
"""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from gateway.domain.search import Clause, Expression, Negation, TraceQuery
from gateway.errors import InvalidValue
from gateway.storage.engine import Script
from gateway.storage.scripts.clauses import INDEXED
from gateway.storage.scripts.feedback import read_value
from gateway.storage.scripts.search import find_page

VALUES = 50  # of one name
_DIGITS = "-0123456789"  # with which a number begins


class _Place(msgspec.Struct, frozen=True):
    """Where a page ended: at a value, or beyond all of them (None), and the token of the page there."""

    value: str | None
    token: str | None


def find_in_order(query: TraceQuery) -> Script[tuple[list[str], str | None]]:
    """Return the IDs of a page of traces, and the next page's token or None. Raise InvalidValue for a bad token."""
    if len(query.orders) != 1 or query.orders[0].kind not in ("feedback", "expectation"):
        return (yield from find_page(query))
    order = query.orders[0]
    values = yield from _values(query.project, order.key)
    if values is None:
        return (yield from find_page(query))
    numbers = sorted((text for text in values if text[0] in _DIGITS), key=float, reverse=not order.ascending)
    texts = sorted((text for text in values if text[0] not in _DIGITS), reverse=not order.ascending)
    groups = [*dict.fromkeys(map(_plain, numbers + texts)), None]
    place = _read(query.page_token)
    at = groups.index(place.value) if place.value in groups else 0
    token, ids = place.token, list[str]()
    for here in range(at, len(groups)):
        before = [Negation(Clause(order.kind, order.key, "=", value)) for value in groups[:here] if value is not None]
        value = groups[here]
        own: list[Expression] = [] if value is None else [Clause(order.kind, order.key, "=", value)]
        part = msgspec.structs.replace(
            query,
            orders=(),
            clauses=(*query.clauses, *own, *before),
            limit=query.limit - len(ids),
            page_token=token,
        )
        found, token = yield from find_page(part)
        ids += found
        if token is not None:
            return ids, _write(_Place(value, token))
        if len(ids) == query.limit and value is not None:
            return ids, _write(_Place(groups[here + 1], None))
    return ids, None


def _values(project: str, name: str) -> Script[list[str] | None]:
    """Return the values of a name, as JSON texts; None where there are too many."""
    found: list[str] = []
    last = ""
    while len(found) <= VALUES:
        rows = yield (
            "SELECT MIN(value) AS next FROM assessments WHERE project = $1 AND name = $2 AND value > $3"  # noqa: S608
            f" AND {INDEXED}",
            (project, name, last),
        )
        last = rows[0]["next"]
        if last is None:
            return found
        found.append(last)
    return None


def _plain(text: str) -> str:
    """Return a value as filters write it."""
    value: Any = read_value(text)
    return value if isinstance(value, str) else text


def _write(place: _Place) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode()


def _read(token: str | None) -> _Place:
    if not token:
        return _Place("", None)
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token), type=_Place)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidValue("Invalid page token, could not be decoded.") from None
