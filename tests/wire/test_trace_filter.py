"""The filter of GET /traces: OR, NOT, parentheses and names beyond MLflow's grammar."""

from __future__ import annotations

import pytest

from gateway.domain.search import Clause, Expression, Group, Negation, Order
from gateway.errors import InvalidValue
from gateway.wire.trace_filter import parse_expression, parse_trace_order

A = Clause("attribute", "status", "=", "OK")
B = Clause("metadata", "gateway.outcome", "=", "stopped")
C = Clause("feedback", "x", "=", "true")
A_TEXT, B_TEXT, C_TEXT = "status = 'OK'", "outcome = 'stopped'", "feedback.x = 'true'"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        (A_TEXT, (A,)),
        (f"{A_TEXT} AND", (A,)),
        (f"{A_TEXT} AND {B_TEXT}", (A, B)),
        (f"{A_TEXT} OR {B_TEXT} AND {C_TEXT}", (Group("OR", (A, Group("AND", (B, C)))),)),
        (f"({A_TEXT} or {B_TEXT}) and {C_TEXT}", (Group("OR", (A, B)), C)),
        (f"NOT {A_TEXT} AND {B_TEXT}", (Negation(A), B)),
        (f"NOT ({A_TEXT} AND {B_TEXT})", (Negation(Group("AND", (A, B))),)),
        (f"NOT NOT {A_TEXT}", (Negation(Negation(A)),)),
        (f"(({A_TEXT}))", (A,)),
        (f"({A_TEXT} AND {B_TEXT})", (A, B)),
    ],
)
def test_expressions(text: str, found: tuple[Expression, ...]) -> None:
    """AND binds before OR, and NOT before both."""
    assert parse_expression(text) == found


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("trace.session = 's'", Clause("metadata", "mlflow.trace.session", "=", "s")),
        ("trace.user IS NULL", Clause("metadata", "mlflow.trace.user", "IS NULL", None)),
        ("outcome IN ('timeout', 'stopped')", Clause("metadata", "gateway.outcome", "IN", ("timeout", "stopped"))),
        ("model = 'm'", Clause("metadata", "gateway.model", "=", "m")),
        ("tags.a NOT IN ('b')", Clause("tag", "a", "NOT IN", ("b",))),
        ("tokens > 5", Clause("attribute", "tokens", ">", 5)),
        ("feedback.or = 'x'", Clause("feedback", "or", "=", "x")),
    ],
)
def test_names(text: str, clause: Clause) -> None:
    """What a list shows can be asked for."""
    assert parse_expression(text) == (clause,)


@pytest.mark.parametrize(
    "text",
    [
        "NOT",
        "(",
        "()",
        f"({A_TEXT}",
        f"{A_TEXT})",
        f"OR {A_TEXT}",
        f"{A_TEXT} OR",
        f"{A_TEXT} {B_TEXT}",
        "nonsense = 'x'",
        "tokens LIKE 'x'",
        "tokens > 'x'",
        "(" * 60 + A_TEXT + ")" * 60,
        "NOT " * 60 + A_TEXT,
        " OR ".join([A_TEXT] * 51),
    ],
)
def test_what_is_refused(text: str) -> None:
    """Also what is nested too deep, or too long."""
    with pytest.raises(InvalidValue):
        parse_expression(text)


def test_orders() -> None:
    """By what is rated, too."""
    assert parse_trace_order(["feedback.accuracy DESC", "trace.user"]) == (
        Order("feedback", "accuracy", False),
        Order("metadata", "mlflow.trace.user", True),
    )
    with pytest.raises(InvalidValue):
        parse_trace_order(["span.name"])
