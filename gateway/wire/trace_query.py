"""The query of GET /traces and of the routes beside it: parameters in, a TraceQuery out. Sans-I/O; called by web/.

Every bad parameter is named at once, and an unknown one is refused: a typo must not widen what is shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TypeVar, get_args

import re2

from gateway.domain.search import Expression, LeftOut, Order, TraceQuery
from gateway.errors import InvalidValue
from gateway.wire.rating_body import Problems, once, refuse
from gateway.wire.trace_filter import parse_expression, parse_trace_order

T = TypeVar("T")
QUERY = ("filter", "q", "from", "to", "experiment", "include")  # which traces
PAGE = ("order_by", "limit", "page_token")  # in which order, and how many of them
LEFT_OUT: frozenset[LeftOut] = frozenset(get_args(LeftOut))
_LIMIT, _MAX_LIMIT = 50, 500
_TESTED = 30_000  # traces of a page whose previews are read; it takes a fifth of a second
_MAX_TEXT, _MAX_EXPERIMENTS = 250, 500
_MAX_TIME = 253_402_300_800_000  # the end of the year 9999
_BETWEEN = re.compile(r",(?=(?:[^`]*`[^`]*`)*[^`]*\Z)")  # a comma that isn't within a name in backticks
_TIMES = {"from": "since", "to": "until"}


def read_trace_query(given: Iterable[tuple[str, str]], project: str, known: tuple[str, ...] = QUERY) -> TraceQuery:
    """Return the search that a query asks for. Raise InvalidValue that names every bad parameter of it."""
    problems: Problems = []
    pairs = once(given, problems)
    problems += [(name, "is no parameter of this route") for name in pairs if name not in known]

    def read(name: str, decode: Callable[[str], T], default: T) -> T:
        if name not in pairs:
            return default
        try:
            return decode(pairs[name])
        except InvalidValue as error:
            problems.append((name, error.message))
        return default

    clauses: tuple[Expression, ...] = read("filter", parse_expression, ())
    orders: tuple[Order, ...] = read("order_by", lambda text: parse_trace_order(_listed(text, _BETWEEN)), ())
    query = TraceQuery(
        project=project,
        experiment_ids=read("experiment", _experiments, None),
        clauses=clauses,
        orders=orders,
        since=read("from", read_when, None),
        until=read("to", read_when, None),
        text=read("q", _pattern, None),
        left_out=read("include", _left_out, LEFT_OUT),
        tested=_TESTED if pairs.get("q") else 3 * _TESTED,
        limit=read("limit", _limit, _LIMIT),
        page_token=pairs.get("page_token") or None,
    )
    if problems:
        refuse(problems)
    return query


def read_when(text: str) -> int | None:
    """Return a time in milliseconds: it is given so, or as RFC 3339. None for an empty text. Raise InvalidValue."""
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,15}", text):
        return min(int(text), _MAX_TIME)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None:
        raise InvalidValue("must be milliseconds UTC, or a time such as 2026-11-27T21:00:00Z")
    return max(0, round(when.timestamp() * 1000))


def read_flag(text: str) -> bool:
    """Return whether a parameter says yes. Raise InvalidValue."""
    if text not in ("0", "1", "true", "false", ""):
        raise InvalidValue("must be 1 or 0")
    return text in ("1", "true")


def _listed(text: str, comma: str | re.Pattern[str] = ",") -> list[str]:
    return [part.strip() for part in re.split(comma, text) if part.strip()]


def _experiments(text: str) -> tuple[str, ...] | None:
    found = tuple(dict.fromkeys(_listed(text)))
    if len(found) > _MAX_EXPERIMENTS:
        raise InvalidValue(f"must name at most {_MAX_EXPERIMENTS} experiments")
    return found or None


def _left_out(text: str) -> frozenset[LeftOut]:
    asked = set(_listed(text))
    if unknown := asked - LEFT_OUT:
        raise InvalidValue(f"must be of {', '.join(sorted(LEFT_OUT))}; {min(unknown)!r} is not")
    return LEFT_OUT - asked


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", text) or not 1 <= int(text) <= _MAX_LIMIT:
        raise InvalidValue(f"must be a whole number from 1 to {_MAX_LIMIT}")
    return int(text)


def _pattern(text: str) -> str | None:
    """Return a regular expression of a text as it stands, in any case of its letters."""
    if len(text) > _MAX_TEXT or "\0" in text:
        raise InvalidValue(f"must have at most {_MAX_TEXT} characters, and no NUL")
    return "(?i)" + re2.escape(text) if text else None
