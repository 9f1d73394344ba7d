"""Filters and orders of runs and experiments: from MLflow's grammar to clauses."""

from __future__ import annotations

import pytest

from gateway.domain.search import Clause, Order
from gateway.errors import InvalidValue
from gateway.mlflow.values import Experiment, RunValue
from gateway.mlflow.wire.experiment_filter import parse_experiment_filter, parse_experiment_order, select
from gateway.mlflow.wire.run_filter import inputs_meet, parse_run_filter, parse_run_order


@pytest.mark.parametrize(
    ("text", "kind", "key", "op", "value"),
    [
        ("metrics.loss < 1e-3", "metric", "loss", "<", 0.001),
        ("metric.`val loss` >= -2", "metric", "val loss", ">=", -2),
        ("params.lr = '0.1'", "param", "lr", "=", "0.1"),
        ("parameters.lr IS NOT NULL", "param", "lr", "IS NOT NULL", None),
        ("tags.k ILIKE 'A%'", "tag", "k", "ILIKE", "A%"),
        ("run_name = 'a'", "attribute", "run_name", "=", "a"),
        ("`run name` = 'a'", "attribute", "run_name", "=", "a"),
        ("run.created > 5", "attribute", "start_time", ">", 5),
        ("attr.run_id NOT IN ('a', 'b')", "attribute", "run_id", "NOT IN", ("a", "b")),
        ("datasets.context = 'eval'", "dataset", "context", "=", "eval"),
    ],
)
def test_a_clause_on_runs(text: str, kind: str, key: str, op: str, value: object) -> None:
    """Under each of its names, and its number as a number."""
    assert parse_run_filter(text) == (Clause(kind, key, op, value),)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "metrics.loss LIKE 'a'", "metrics.loss > 'a'", "params.lr > '1'", "tags.k IN ('a')", "status IN ('FAILED')",
        "start_time LIKE 'a'", "dataset.size = '1'", "model.name = 'a'", "lifecycle = 'a'",
        "params.a = '1' OR params.b = '2'",
    ],
)  # fmt: skip
def test_what_is_no_clause_on_runs(text: str) -> None:
    """It is refused, as by MLflow."""
    with pytest.raises(InvalidValue):
        parse_run_filter(text)


def test_orders_of_runs() -> None:
    """By attributes, metrics, parameters and tags; each once."""
    found = parse_run_order(["metrics.`val loss` DESC", "params.lr", "created ASC"])
    assert found == (
        Order("metric", "val loss", False),
        Order("param", "lr", True),
        Order("attribute", "start_time", True),
    )
    for items in (["dataset.name"], ["nothing"], ["params.lr", "params.lr DESC"]):
        with pytest.raises(InvalidValue):
            parse_run_order(items)


def test_a_runs_inputs() -> None:
    """Each clause is met by one of them; the context is a tag of the input."""
    tags = '[{"key":"mlflow.data.context","value":"eval"}, {"key":"other","value":"x"}, "odd"]'
    inputs = [
        RunValue(kind="input", key="a@1", value=f'{{"dataset":{{"name":"a","digest":"1"}},"tags":{tags}}}'),
        RunValue(kind="input", key="b@2", value='{"dataset":{"name":"b","digest":"2"}}'),
    ]
    for text, met in (
        ("dataset.name = 'a' AND dataset.digest = '2'", True),
        ("dataset.context = 'eval'", True),
        ("dataset.context != 'eval'", False),
        ("dataset.name NOT IN ('a', 'b')", False),
        ("dataset.name LIKE 'c%'", False),
    ):
        assert inputs_meet(parse_run_filter(text), inputs) is met, text


EXPERIMENTS = [
    Experiment("0", "Default", "active", 0, 0, {}),
    Experiment("2", "b", "active", 5, 9, {"team": "nlp"}),
    Experiment("10", "a", "active", 5, 8, {"team": "vision"}),
]


@pytest.mark.parametrize(
    ("text", "order", "ids"),
    [
        ("", [], ["2", "10", "0"]),
        ("", ["name"], ["0", "10", "2"]),
        ("", ["creation_time DESC"], ["10", "2", "0"]),
        ("", ["attribute.experiment_id DESC"], ["10", "2", "0"]),
        ("tags.team = 'nlp'", [], ["2"]),
        ("tags.team IS NULL", [], ["0"]),
        ("tag.team != 'nlp'", [], ["10"]),
        ("name ILIKE 'DEF%' AND creation_time < 5", [], ["0"]),
        ("experiment_id IN ('2', '10')", ["last_update_time"], ["10", "2"]),
        ("attribute.experiment_id NOT IN ('2')", ["name DESC"], ["10", "0"]),
    ],
)
def test_experiments_are_selected(text: str, order: list[str], ids: list[str]) -> None:
    """By what they are and are tagged with, in the order asked for; else the newest first."""
    found = select(EXPERIMENTS, parse_experiment_filter(text), parse_experiment_order(order))
    assert [one.experiment_id for one in found] == ids


@pytest.mark.parametrize(
    "text",
    ["name > 'a'", "name IN ('a')", "creation_time = 'a'", "experiment_id LIKE '1%'", "nothing = 'a'", "metrics.a = 1"],
)
def test_what_is_no_clause_on_experiments(text: str) -> None:
    """It is refused, as by MLflow."""
    with pytest.raises(InvalidValue):
        parse_experiment_filter(text)


def test_experiments_are_not_ordered_by_tags() -> None:
    """Nor by what they don't have."""
    for item in ("tags.team", "size"):
        with pytest.raises(InvalidValue):
            parse_experiment_order([item])
