"""MLflow's filter grammar, clause by clause."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.search import Clause, Order
from gateway.errors import InvalidValue
from gateway.mlflow.values import Dataset
from gateway.mlflow.wire.dataset_filter import matches, parse_dataset_filter, parse_dataset_order
from gateway.wire.filter import parse_filter, parse_order


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("status = 'OK'", Clause("attribute", "status", "=", "OK")),
        ('trace.status != "OK"', Clause("attribute", "status", "!=", "OK")),
        ("attributes.status <> 'OK'", Clause("attribute", "status", "!=", "OK")),
        ("timestamp>=12", Clause("attribute", "timestamp_ms", ">=", 12)),
        ("timestamp < 99999999999999999999", Clause("attribute", "timestamp_ms", "<", 1e20)),
        ("execution_time < -1.5", Clause("attribute", "execution_time_ms", "<", -1.5)),
        ("`end_time_ms` = 7", Clause("attribute", "end_time_ms", "=", 7)),
        ("request_id in ('a', \"b\")", Clause("attribute", "request_id", "IN", ("a", "b"))),
        ("client_request_id NOT IN ('a')", Clause("attribute", "client_request_id", "NOT IN", ("a",))),
        ("name like 'a%'", Clause("tag", "mlflow.traceName", "LIKE", "a%")),
        ("run_id = 'r'", Clause("metadata", "mlflow.sourceRun", "=", "r")),
        ("prompt = 'p/1'", Clause("tag", "mlflow.linkedPrompts", "=", "p/1")),
        ("trace.text ILIKE '%x%'", Clause("span", "content", "ILIKE", "%x%")),
        ("tags.a.b = 'it''s'", Clause("tag", "a.b", "=", "it's")),
        ("tag.`a b` IS NULL", Clause("tag", "a b", "IS NULL", None)),
        ('metadata."a b" is not null', Clause("metadata", "a b", "IS NOT NULL", None)),
        ("request_metadata.x RLIKE '^a+$'", Clause("metadata", "x", "RLIKE", "^a+$")),
        ("feedback.x = 'true'", Clause("feedback", "x", "=", "true")),
        ("feedback.x > 3", Clause("feedback", "x", ">", 3)),
        ("expectation.x IS NULL", Clause("expectation", "x", "IS NULL", None)),
        ("feedback.name = 'x'", Clause("feedback", "name", "=", "x")),
        ("span.attributes.`a.b` = '1'", Clause("span", "attributes.a.b", "=", "1")),
        ("span.attributes.a.b = '1'", Clause("span", "attributes.a.b", "=", "1")),
        ("span.type IN ('LLM')", Clause("span", "type", "IN", ("LLM",))),
        ("issue.id = 'i'", Clause("issue", "id", "=", "i")),
        ("tags.and = 'AND' AND", Clause("tag", "and", "=", "AND")),
    ],
)
def test_one_clause(text: str, clause: Clause) -> None:
    """Each by itself, and beside another."""
    assert parse_filter(text) == (clause,)
    assert parse_filter(f"status = 'OK' and {text}")[1:] == (clause,)


@pytest.mark.parametrize(
    "text",
    [
        "status",
        "status =",
        "status = OK",
        "status = 1",
        "status > 'OK'",
        "status = 'OK' status = 'OK'",
        "status = 'OK' OR status = 'OK'",
        "status = 'OK",
        "status IS 'OK'",
        "status IS NOT",
        "status NOT LIKE 'x'",
        "status IN 'OK'",
        "status IN ('OK'",
        "status IN ('OK', 1)",
        "status IN (" + ", ".join(["'x'"] * 1001) + ")",
        "'a' = 'b'",
        "= 'b'",
        "timestamp = '1'",
        "timestamp LIKE '1'",
        "color = 'red'",
        "foo.bar = 'x'",
        "trace_id = 'x'",
        "tags.x = 3",
        "tags.x > 'a'",
        "tags.x IN ('a')",
        "feedback.x = true",
        "feedback.x = 4",
        "feedback.x > '4'",
        "span.color = 'x'",
        "span.attributes. = 'x'",
        "span.content = 'x'",
        "span.name IS NULL",
        "issue.name = 'x'",
        "issue.id LIKE 'x'",
        "tags.x RLIKE '('",
        "tags.x RLIKE '\\pL{20}'",
        "tags.x = '\0'",
        "status = 'OK' AND ; DROP TABLE traces",
        "x" * 20_001,
        " AND ".join(["status = 'OK'"] * 51),
    ],
)
def test_no_filter(text: str) -> None:
    """Refused, with a word about why."""
    with pytest.raises(InvalidValue) as caught:
        parse_filter(text)
    assert 10 < len(caught.value.message) < 1_000


@given(st.text(alphabet="abt. '\"`=<>!()%_,ANDORLIKEISNUL0123", max_size=40))
def test_any_text(text: str) -> None:
    """Clauses, or InvalidValue, and nothing else."""
    try:
        parse_filter(text)
    except InvalidValue:
        return


def test_orders() -> None:
    """Upwards unless it says otherwise."""
    assert parse_order(["timestamp DESC", "tags.`a b` asc", "name", "metadata.x desc"]) == (
        Order("attribute", "timestamp_ms", False),
        Order("tag", "a b", True),
        Order("tag", "mlflow.traceName", True),
        Order("metadata", "x", False),
    )


@pytest.mark.parametrize("items", [["feedback.x"], ["color"], [""], ["a b c"], ["name", "name DESC"], ["x"] * 11])
def test_no_orders(items: list[str]) -> None:
    """Unknown, twice, or too many."""
    with pytest.raises(InvalidValue):
        parse_order(items)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", True),
        ("name = 'cases'", True),
        ("name != 'cases'", False),
        ("attribute.name LIKE 'c_s%'", True),
        ("name LIKE 'C%'", False),
        ("name ILIKE 'C%' AND tags.a = 'b'", True),
        ("name IN ('x', 'cases')", True),
        ("tags.none = 'b'", False),
        ("created_time > 4 AND created_time < 6", True),
        ("created_time >= 6", False),
        ("created_time != 5", False),
        ("created_time <= 5", True),
        ("created_time = 5", True),
    ],
)
def test_datasets(text: str, found: bool) -> None:
    """By their own fields and tags."""
    dataset = Dataset(
        dataset_id="d-1", project="p", name="cases", digest="x", created_time=5, last_update_time=5, tags={"a": "b"}
    )
    assert matches(parse_dataset_filter(text), dataset) is found


@pytest.mark.parametrize(
    "text",
    ["color = 'x'", "feedback.x = 'y'", "created_time = '5'", "created_time LIKE '5'", "name > 'x'", "tags.a IN ('x')"],
)
def test_no_datasets(text: str) -> None:
    """Refused as in MLflow."""
    with pytest.raises(InvalidValue):
        parse_dataset_filter(text)


def test_dataset_orders() -> None:
    """The newest first, unless asked otherwise."""
    assert [(order.key, order.ascending) for order in parse_dataset_order([])] == [("created_time", False)]
    assert [(order.key, order.ascending) for order in parse_dataset_order(["name"])] == [("name", True)]
    with pytest.raises(InvalidValue):
        parse_dataset_order(["name upwards"])
