"""Token counts as MLflow names them, of a chat and of a span. No I/O. Used by wire/ and scripts/."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.messages import Usage

_MAX_JSON = 1_000_000
COUNTS = ("input_tokens", "output_tokens", "total_tokens")


def counts_of(usage: Usage) -> dict[str, int]:
    """Return the tokens of a chat by name of COUNTS."""
    return dict(zip(COUNTS, (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), strict=True))


def unwrap_json(value: Any) -> Any:
    """Return the value that a text of up to a million characters holds as JSON, or the value itself.

    MLflow's clients wrap an attribute's value in JSON once more where they use OpenTelemetry's exporter, and so do
    other exporters.
    """
    if isinstance(value, str) and value[:1] in ('"', "{", "[") and len(value) <= _MAX_JSON:
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value
    return value


def read_counts(usage: Any) -> dict[str, int] | None:
    """Return the tokens of one span by name of COUNTS, from what it says of them; None where it says nothing.

    A span that says something, though no number, has a count all the same, which stands for those below it.
    """
    said = unwrap_json(usage)
    if not isinstance(said, dict):
        return None
    return {
        name: number
        for name in COUNTS
        if isinstance(number := said.get(name), int) and not isinstance(number, bool) and abs(number) < 2**53
    }
