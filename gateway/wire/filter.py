"""Parse the filter and the ordering of a search, in MLflow's grammar, from text to clauses.

Clauses are joined by AND alone; trace_filter.py has OR, NOT and parentheses on top. What a clause means in SQL is in
storage/scripts/clauses.py. Where MLflow's parser mistakes a clause, this one does what was meant. Called by codecs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NoReturn

import msgspec

from gateway.domain.names import LINKED_PROMPTS, SOURCE_RUN, TRACE_NAME
from gateway.domain.patterns import compile_regex
from gateway.domain.search import Clause, Kind, Order, Value
from gateway.errors import InvalidValue

_KINDS: dict[str, Kind] = {
    "attribute": "attribute",
    "attributes": "attribute",
    "trace": "attribute",
    "tag": "tag",
    "tags": "tag",
    "metadata": "metadata",
    "request_metadata": "metadata",
    "span": "span",
    "feedback": "feedback",
    "expectation": "expectation",
    "issue": "issue",
}
NUMERIC = frozenset({"timestamp_ms", "execution_time_ms", "end_time_ms"})
_ALIASES = {"timestamp": "timestamp_ms", "execution_time": "execution_time_ms", "end_time": "end_time_ms"}
_STRINGS = frozenset({"request_id", "status", "client_request_id"})
# attributes of a filter that MLflow keeps among tags, metadata and spans
_ELSEWHERE: dict[str, tuple[Kind, str]] = {
    "name": ("tag", TRACE_NAME),
    "prompt": ("tag", LINKED_PROMPTS),
    "run_id": ("metadata", SOURCE_RUN),
    "text": ("span", "content"),
}
KEYS = NUMERIC | frozenset(_ALIASES) | _STRINGS | frozenset(_ELSEWHERE)
ORDER_KEYS = NUMERIC | frozenset(_ALIASES) | {"status", "request_id", "name", "run_id", "experiment_id"}

_NULLS = {"IS NULL", "IS NOT NULL"}
_LIKES = {"=", "!=", "LIKE", "ILIKE", "RLIKE"}
_ORDERED = {">", ">=", "<", "<="}
_OPS: dict[str, set[str]] = {
    "number": {"=", "!=", *_ORDERED},
    "string": {*_LIKES, "IN", "NOT IN"},
    "tag": {*_LIKES, *_NULLS},
    "metadata": {*_LIKES, *_NULLS},
    "span": {*_LIKES, "IN", "NOT IN"},
    "content": {"LIKE", "ILIKE"},
    "feedback": {*_LIKES, *_ORDERED, *_NULLS},
    "expectation": {*_LIKES, *_ORDERED, *_NULLS},
    "issue": {"="},
}
MAX_CLAUSES = 50
_MAX_CHARS, _MAX_LISTED = 10_000, 1_000

_PART = r"(?:`[^`]*`|\"[^\"]*\"|[A-Za-z0-9_@/:-]+)"
_TOKEN = re.compile(
    rf"""\s*(?:
    (?P<string>'(?:[^']|'')*')
    | (?P<op>!=|<>|>=|<=|=|>|<)
    | (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<name>(?:`[^`]*`|[A-Za-z_]\w*)(?:\.{_PART})*)
    | (?P<quoted>"[^"]*")
    | (?P<mark>[(),])
    )""",
    re.VERBOSE,
)
_WORDS = {"AND", "LIKE", "ILIKE", "RLIKE", "IN", "NOT", "IS", "NULL"}


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str


Identify = Callable[[str], tuple[Kind, str]]  # (name)
Check = Callable[[Kind, str, str], bool]  # (kind, key, operator)


def parse_filter(text: str) -> tuple[Clause, ...]:
    """Return the clauses, which must all hold. Raise InvalidValue."""
    return parse_clauses(text, lambda name: identify(name, KEYS), check_clause)


def parse_clauses(text: str, identify: Identify, check: Check) -> tuple[Clause, ...]:
    """Return the clauses of a filter over any names. Raise InvalidValue.

    `identify` returns kind and key of a name; `check` tells whether kind, key and operator take a number.
    """
    tokens = Tokens(text)
    clauses: list[Clause] = []
    while tokens.more():
        if clauses:
            tokens.expect("AND")
            if not tokens.more():  # a trailing AND passes in MLflow
                break
        clauses.append(read_clause(tokens, identify, check))
        if len(clauses) > MAX_CLAUSES:
            invalid(f"A filter has at most {MAX_CLAUSES} clauses.")
    return tuple(clauses)


def parse_order(items: list[str]) -> tuple[Order, ...]:
    """Return the orders, the most significant first. Raise InvalidValue."""
    return parse_orders(items, lambda name: identify(name, ORDER_KEYS), ("attribute", "tag", "metadata"))


def parse_orders(items: list[str], identify: Identify, kinds: tuple[Kind, ...]) -> tuple[Order, ...]:
    """Return the orders over any names of these kinds. Raise InvalidValue."""
    if len(items) > 10:
        invalid("order_by has at most 10 fields.")
    found: list[Order] = []
    for item in items:
        words = item.rsplit(None, 1)
        ascending = True
        if len(words) == 2 and words[1].upper() in ("ASC", "DESC"):
            item, ascending = words[0], words[1].upper() == "ASC"
        match = _TOKEN.fullmatch(item.strip())
        if match is None or match["name"] is None:
            invalid(f"Invalid order_by clause '{item}'.")
        kind, key = identify(match["name"])
        if kind not in kinds:
            invalid(f"Invalid identifier type '{kind}'")
        if any((kind, key) == (order.kind, order.key) for order in found):
            invalid(f"`order_by` contains duplicate fields: {items}")
        found.append(Order(kind, key, ascending))
    return tuple(found)


def invalid(message: str) -> NoReturn:
    """Raise InvalidValue."""
    raise InvalidValue(message)


class Tokens:
    """Gives the tokens of one filter, one after another. Raise InvalidValue for what is too long or none."""

    def __init__(self, text: str) -> None:
        if len(text) > _MAX_CHARS:
            invalid(f"The filter must have 0 to {_MAX_CHARS} characters; it has {len(text)}.")
        if "\0" in text:
            invalid("The filter has a NUL character.")
        self.text = text
        self._tokens = list(_split(text))
        self._at = 0

    def more(self) -> bool:
        return self._at < len(self._tokens)

    def peek(self) -> _Token:
        return self._tokens[self._at] if self.more() else _Token("end", "")

    def next(self) -> _Token:
        token = self.peek()
        self._at += 1
        return token

    def expect(self, word: str) -> None:
        token = self.next()
        if token.text.upper() != word or token.kind not in ("word", "mark"):
            self.refuse(token)

    def refuse(self, token: _Token) -> NoReturn:
        invalid(f"Invalid clause(s) in filter string: '{token.text or self.text}'")


def _split(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            invalid(f"Invalid clause(s) in filter string: '{text[at : at + 50].strip()}'")
        kind = str(match.lastgroup)
        found = match[kind]
        yield _Token("word" if kind == "name" and found.upper() in _WORDS else kind, found)
        at = match.end()


def read_clause(tokens: Tokens, identify: Identify, check: Check) -> Clause:
    """Return the clause that begins here. Raise InvalidValue."""
    name = tokens.next()
    if name.kind != "name":
        invalid(f"Invalid comparison clause. Expected 'Identifier' found '{name.text or tokens.text}'")
    kind, key = identify(name.text)
    op = _operator(tokens)
    number = check(kind, key, op)
    return Clause(kind, key, op, None if op in _NULLS else _value(tokens, f"{kind}.{key}", op, number))


def check_clause(kind: Kind, key: str, op: str) -> bool:
    """Tell whether kind, key and operator take a number. Raise InvalidValue where they don't go together."""
    family: str = kind if kind != "attribute" else "number" if key in NUMERIC else "string"
    if kind == "span":
        family = _span_family(key)
    if op not in _OPS[family]:
        invalid(f"Invalid comparator '{op}' for {kind}.{key}: not one of {sorted(_OPS[family])}")
    if kind == "issue" and key != "id":
        invalid(f"Invalid issue attribute '{key}'. Supported attributes: id")
    return family == "number" or (kind in ("feedback", "expectation") and op in _ORDERED)


def _span_family(key: str) -> str:
    if key == "content":
        return "content"
    if key not in ("name", "type", "status") and not (key.startswith("attributes.") and key != "attributes."):
        invalid(
            f"Invalid span attribute '{key}'. Supported attributes: name, status, type, attributes.<attribute_name>."
        )
    return "span"


def _operator(tokens: Tokens) -> str:
    token = tokens.next()
    word = token.text.upper()
    if token.kind == "op":
        return "!=" if word == "<>" else word
    if token.kind == "word" and word in ("LIKE", "ILIKE", "RLIKE", "IN"):
        return word
    if token.kind == "word" and word == "NOT":
        tokens.expect("IN")
        return "NOT IN"
    if token.kind == "word" and word == "IS":
        negated = tokens.peek().text.upper() == "NOT"
        if negated:
            tokens.next()
        tokens.expect("NULL")
        return "IS NOT NULL" if negated else "IS NULL"
    return tokens.refuse(token)


def _value(tokens: Tokens, name: str, op: str, number: bool) -> Value:
    if op in ("IN", "NOT IN"):
        return _listed(tokens)
    token = tokens.next()
    if number:
        if token.kind != "number":
            invalid(f"Expected a numeric value for {name} when using comparator '{op}'. Got value {token.text}")
        # what no column can hold is compared as a float
        return int(token.text) if token.text.lstrip("-").isdecimal() and len(token.text) <= 18 else float(token.text)
    if token.kind not in ("string", "quoted"):
        invalid(f"Expected a quoted string value for {name} (e.g. 'my-value'). Got value {token.text}")
    value = _unquoted(token)
    if op == "RLIKE":
        try:
            compile_regex(value)
        except ValueError as error:
            invalid(f"'{value[:100]}' {error}.")
    return value


def _listed(tokens: Tokens) -> tuple[str, ...]:
    tokens.expect("(")
    found: list[str] = []
    while True:
        token = tokens.next()
        if token.kind not in ("string", "quoted"):
            invalid("While parsing a list in the query, expected a list of quoted strings, such as ('a', 'b').")
        found.append(_unquoted(token))
        if tokens.peek().text != ",":
            break
        tokens.next()
    tokens.expect(")")
    if len(found) > _MAX_LISTED:
        invalid(f"A list has at most {_MAX_LISTED} values.")
    return tuple(found)


def _unquoted(token: _Token) -> str:
    return token.text[1:-1].replace("''", "'") if token.kind == "string" else token.text[1:-1]


def identify(text: str, known: frozenset[str]) -> tuple[Kind, str]:
    """Return kind and key of a name. Raise InvalidValue for an attribute that isn't among the known ones."""
    first, dot, key = text.partition(".")
    if not dot:
        first, key = "attribute", bare(text)
    entity = bare(first)
    if entity not in _KINDS:
        invalid(f"Invalid entity type '{entity}'. Valid values are {sorted(_KINDS)}")
    kind = _KINDS[entity]
    if kind == "span" and key.startswith("attributes."):
        return kind, "attributes." + bare(key.removeprefix("attributes."))
    key = bare(key)
    if kind != "attribute":
        return kind, key
    if key not in known:
        invalid(f"Invalid attribute key '{key}' specified. Valid keys are {sorted(known)}")
    return _ELSEWHERE.get(key) or (kind, _ALIASES.get(key, key))


def bare(key: str) -> str:
    """Return a name without the quotes around it."""
    return key[1:-1] if len(key) >= 2 and key[0] == key[-1] and key[0] in '`"' else key
