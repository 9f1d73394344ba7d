"""Translate a span's attributes from other conventions to MLflow's: its type, inputs, outputs, model and tokens.

Known are OpenInference (Arize), OpenTelemetry's for generative AI, and Traceloop (OpenLLMetry). Called by otlp.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.mlflow.names import SPAN_INPUTS, SPAN_MODEL, SPAN_OUTPUTS, SPAN_TYPE, SPAN_USAGE
from gateway.mlflow.usage import COUNTS, unwrap_json


class _Convention(msgspec.Struct, frozen=True):
    """The names of one convention's attributes, the best first. `tokens`: input, output, total."""

    kind: str
    types: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    models: tuple[str, ...]
    tokens: tuple[str, str, str]


_TYPES = ("TOOL", "CHAIN", "LLM", "RETRIEVER", "EMBEDDING", "AGENT", "RERANKER", "GUARDRAIL", "EVALUATOR")
_CONVENTIONS = (
    _Convention(
        kind="openinference.span.kind",
        types={name: name for name in _TYPES},
        inputs=("input.value",),
        outputs=("output.value",),
        models=("llm.response.model_name", "llm.model_name", "embedding.model_name"),
        tokens=("llm.token_count.prompt", "llm.token_count.completion", "llm.token_count.total"),
    ),
    _Convention(
        kind="gen_ai.operation.name",
        types={
            "chat": "CHAT_MODEL",
            "create_agent": "AGENT",
            "embeddings": "EMBEDDING",
            "execute_tool": "TOOL",
            "generate_content": "LLM",
            "invoke_agent": "AGENT",
            "text_completion": "LLM",
        },
        inputs=("gen_ai.input.messages", "gen_ai.tool.call.arguments"),
        outputs=("gen_ai.output.messages", "gen_ai.tool.call.result"),
        models=("gen_ai.response.model", "gen_ai.request.model"),
        tokens=("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", ""),
    ),
    _Convention(
        kind="traceloop.span.kind",
        types={"workflow": "WORKFLOW", "task": "TASK", "agent": "AGENT", "tool": "TOOL"},
        inputs=("traceloop.entity.input", "gen_ai.prompt.0.content"),
        outputs=("traceloop.entity.output", "gen_ai.completion.0.content"),
        models=(),
        tokens=("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens", "llm.usage.total_tokens"),
    ),
)


def translate(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of MLflow's that a span lacks and its other attributes give, as plain values."""
    found: dict[str, Any] = {}
    if unwrap_json(values.get(SPAN_TYPE)) in (None, "UNKNOWN"):
        found[SPAN_TYPE] = next((name for c in _CONVENTIONS if (name := _type(c, values))), None)
    for key, field in ((SPAN_INPUTS, "inputs"), (SPAN_OUTPUTS, "outputs"), (SPAN_MODEL, "models")):
        if key not in values:
            names = [name for convention in _CONVENTIONS for name in getattr(convention, field)]
            found[key] = next((value for name in names if (value := unwrap_json(values.get(name)))), None)
    if SPAN_USAGE not in values:
        found[SPAN_USAGE] = next((usage for c in _CONVENTIONS if (usage := _usage(c, values))), None)
    return {key: value for key, value in found.items() if value is not None}


def _type(convention: _Convention, values: Mapping[str, Any]) -> str | None:
    said = unwrap_json(values.get(convention.kind))
    return convention.types.get(said) if isinstance(said, str) else None


def _usage(convention: _Convention, values: Mapping[str, Any]) -> dict[str, int] | None:
    counts = {}
    for name, key in zip(COUNTS, convention.tokens, strict=True):
        if (count := _count(unwrap_json(values.get(key)))) is not None:
            counts[name] = count
    if len(counts) == 2 and "total_tokens" not in counts:
        counts["total_tokens"] = sum(counts.values())
    return counts or None


def _count(said: Any) -> int | None:
    if isinstance(said, str) and said.isdecimal() and len(said) < 16:
        return int(said)
    return said if isinstance(said, int) and not isinstance(said, bool) else None
