"""The filter and ordering of GET /traces: the grammar of filter.py with OR, NOT, parentheses and names of its own.

AND binds before OR. NOT is the complement: it holds also for traces that lack what the condition is about.
Sans-I/O; called by trace_query.py.
"""

from __future__ import annotations

from typing import Literal

from gateway.domain.names import OUTCOME, TRACE_SESSION, TRACE_USER
from gateway.domain.search import Expression, Group, Kind, Negation, Order
from gateway.wire.filter import KEYS, MAX_CLAUSES, ORDER_KEYS, Tokens, check_clause, invalid, parse_orders, read_clause
from gateway.wire.filter import identify as identify_mlflows

_NUMBERS = frozenset({"first_token_ms", "tokens"})
_NAMES: dict[str, tuple[Kind, str]] = {
    "session": ("metadata", TRACE_SESSION),
    "user": ("metadata", TRACE_USER),
    "outcome": ("metadata", OUTCOME),
    "model": ("metadata", "gateway.model"),
    "provider": ("metadata", "gateway.provider"),
    "route": ("metadata", "gateway.route"),
    "error_code": ("metadata", "gateway.error_code"),
}
_KEYS = KEYS | _NUMBERS | frozenset(_NAMES)
_ORDER_KEYS = ORDER_KEYS | _NUMBERS | frozenset(_NAMES)
_ORDERED: tuple[Kind, ...] = ("attribute", "tag", "metadata", "feedback", "expectation")
_LISTED = ("tag", "metadata", "feedback", "expectation")
_COMPARED = ("=", "!=", ">", ">=", "<", "<=")
_MAX_DEPTH = 50


def parse_expression(text: str) -> tuple[Expression, ...]:
    """Return the conditions, which must all hold. Raise InvalidValue."""
    tokens = Tokens(text)
    if not tokens.more():
        return ()
    parser = _Parser(tokens)
    whole = parser.either(0)
    if tokens.more():
        tokens.refuse(tokens.peek())
    return whole.parts if isinstance(whole, Group) and whole.op == "AND" else (whole,)


def parse_trace_order(items: list[str]) -> tuple[Order, ...]:
    """Return the orders, the most significant first. Raise InvalidValue."""
    return parse_orders(items, lambda name: _identify(name, _ORDER_KEYS), _ORDERED)


class _Parser:
    """One descent through a filter, and how many clauses it has met."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._clauses = 0

    def either(self, depth: int) -> Expression:
        """Return what stands here, joined by OR."""
        parts = [self._both(depth)]
        while self._follows("OR"):
            parts.append(self._both(depth))
        return _joined("OR", parts)

    def _both(self, depth: int) -> Expression:
        parts = [self._one(depth)]
        while self._follows("AND"):
            if not self._tokens.more():  # a trailing AND passes in MLflow
                break
            parts.append(self._one(depth))
        return _joined("AND", parts)

    def _one(self, depth: int) -> Expression:
        if depth > _MAX_DEPTH:
            invalid(f"A filter has at most {_MAX_DEPTH} conditions within each other.")
        if self._follows("NOT"):
            return Negation(self._one(depth + 1))
        if self._follows("("):
            inner = self.either(depth + 1)
            self._tokens.expect(")")
            return inner
        self._clauses += 1
        if self._clauses > MAX_CLAUSES:
            invalid(f"A filter has at most {MAX_CLAUSES} clauses.")
        return read_clause(self._tokens, lambda name: _identify(name, _KEYS), _check)

    def _follows(self, word: str) -> bool:
        """Take the word, if it comes next."""
        token = self._tokens.peek()
        found = token.kind in ("word", "mark", "name") and token.text.upper() == word
        if found:
            self._tokens.next()
        return found


def _joined(op: Literal["AND", "OR"], parts: list[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else Group(op, tuple(parts))


def _identify(text: str, known: frozenset[str]) -> tuple[Kind, str]:
    kind, key = identify_mlflows(text, known)
    return _NAMES.get(key, (kind, key)) if kind == "attribute" else (kind, key)


def _check(kind: Kind, key: str, op: str) -> bool:
    if kind == "attribute" and key in _NUMBERS:
        if op not in _COMPARED:
            invalid(f"Invalid comparator '{op}' for {key}: not one of {sorted(_COMPARED)}")
        return True
    return False if kind in _LISTED and op in ("IN", "NOT IN") else check_clause(kind, key, op)
