"""Spans by other conventions, told in MLflow's words."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.mlflow.names import SPAN_INPUTS, SPAN_MODEL, SPAN_OUTPUTS, SPAN_TYPE, SPAN_USAGE
from gateway.mlflow.wire.conventions import translate


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {
                "openinference.span.kind": "LLM",
                "input.value": '{"q": 1}',
                "output.value": "yes",
                "llm.model_name": "m-1",
                "llm.token_count.prompt": 3,
                "llm.token_count.completion": "4",
                "llm.token_count.total": 8,
            },
            {SPAN_TYPE: "LLM", SPAN_INPUTS: {"q": 1}, SPAN_OUTPUTS: "yes", SPAN_MODEL: "m-1"}
            | {SPAN_USAGE: {"input_tokens": 3, "output_tokens": 4, "total_tokens": 8}},
        ),
        (
            {
                "gen_ai.operation.name": '"execute_tool"',
                "gen_ai.tool.call.arguments": "[1]",
                "gen_ai.tool.call.result": '"done"',
                "gen_ai.request.model": "asked",
                "gen_ai.response.model": "answered",
                "gen_ai.usage.input_tokens": 0,
                "gen_ai.usage.output_tokens": 4,
            },
            {SPAN_TYPE: "TOOL", SPAN_INPUTS: [1], SPAN_OUTPUTS: "done", SPAN_MODEL: "answered"}
            | {SPAN_USAGE: {"input_tokens": 0, "output_tokens": 4, "total_tokens": 4}},
        ),
        (
            {
                "traceloop.span.kind": "workflow",
                "gen_ai.prompt.0.content": "ask",
                "traceloop.entity.output": "said",
                "llm.usage.total_tokens": 9,
            },
            {SPAN_TYPE: "WORKFLOW", SPAN_INPUTS: "ask", SPAN_OUTPUTS: "said", SPAN_USAGE: {"total_tokens": 9}},
        ),
    ],
)
def test_conventions(values: dict[str, Any], told: dict[str, Any]) -> None:
    """OpenInference, OpenTelemetry's own, Traceloop."""
    assert translate(values) == told


def test_what_is_there_stays() -> None:
    """MLflow's own attributes are what they are; only an unknown type is found out."""
    said = dict.fromkeys((SPAN_INPUTS, SPAN_OUTPUTS, SPAN_MODEL, SPAN_USAGE), "own")
    said |= {"input.value": "x", "output.value": "x"}
    more = {"llm.model_name": "x", "llm.token_count.total": 1, "openinference.span.kind": "CHAIN"}
    assert translate(said | more | {SPAN_TYPE: '"AGENT"'}) == {}
    assert translate(said | more | {SPAN_TYPE: '"UNKNOWN"'}) == {SPAN_TYPE: "CHAIN"}


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"openinference.span.kind": "NOVEL"},
        {"openinference.span.kind": ["LLM"]},
        {"input.value": "", "output.value": "{}"},
        {"llm.token_count.total": True},
        {"llm.token_count.total": "many"},
        {"llm.token_count.total": "9" * 20},
    ],
)
def test_what_says_nothing(values: dict[str, Any]) -> None:
    """Nothing is made up."""
    assert translate(values) == {}
