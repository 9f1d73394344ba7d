"""Token counts as MLflow names them: of a chat, and of a whole trace from the counts on its spans. No I/O.

Used by wire/ and scripts/traces.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gateway.domain.messages import Usage

COUNTS = ("input_tokens", "output_tokens", "total_tokens")


def counts_of(usage: Usage) -> dict[str, int]:
    """Return the tokens of a chat by name of COUNTS."""
    return dict(zip(COUNTS, (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens), strict=True))


def unwrap_json(value: Any) -> Any:
    """Return the value that a text holds as JSON, or the value itself.

    MLflow's clients wrap an attribute's value in JSON once more where they use OpenTelemetry's exporter, and so do
    other exporters.
    """
    if isinstance(value, str) and value[:1] in ('"', "{", "["):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError):
            return value
    return value


def total_usage(spans: Iterable[tuple[str, str | None, Any]]) -> dict[str, int] | None:
    """Return the tokens of a trace by name of COUNTS, or None where no span has a count.

    Each span is its ID, its parent's ID and its own count. A parent's count stands for those of its descendants.
    """
    parents: dict[str, str | None] = {}
    counts: dict[str, dict[str, Any]] = {}
    for span_id, parent_id, given in spans:
        parents[span_id] = parent_id
        if isinstance(count := unwrap_json(given), dict):
            counts[span_id] = count
    total: dict[str, int] = {}
    for span_id, count in counts.items():
        if _is_covered(span_id, parents, counts):
            continue
        for name in COUNTS:
            if isinstance(number := count.get(name), int):
                total[name] = total.get(name, 0) + number
    return total or None


def _is_covered(span_id: str, parents: Mapping[str, str | None], counts: Mapping[str, Any]) -> bool:
    """Tell whether a span above this one has a count. Parents may form a circle."""
    seen, above = {span_id}, parents.get(span_id)
    while above is not None and above not in seen:
        if above in counts:
            return True
        seen.add(above)
        above = parents.get(above)
    return False
