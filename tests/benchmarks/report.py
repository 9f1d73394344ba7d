"""The table: metrics down, systems across, ratios to nginx in brackets; as text, Markdown or plain data."""

from __future__ import annotations

from statistics import median
from typing import Any

Figures = dict[str, dict[str, list[float]]]

# metric, label, decimals, ratio to nginx
_ROWS = (
    ("paced_us", "CPU per token, 100 streams, one per 20 ms, µs", 1, True),
    ("burst_us", "CPU per token in a burst, µs", 2, True),
    ("plain_us", "CPU per non-stream request, µs", 0, True),
    ("first_p50_ms", "added time to first token p50, ms", 2, True),
    ("first_p99_ms", "added time to first token p99, ms", 2, True),
    ("one_way_p99_ms", "upstream to client p99, 100 streams, ms", 2, False),
    ("streams", "most streams on one core", 0, True),
    ("idle_kb", "memory per open idle stream, kB", 1, True),
    ("ratings_per_s", "durable ratings per second", 0, False),
    ("ratings_p99_ms", "rating p99, 32 at a time, ms", 2, False),
    ("ratings_us", "CPU per rating, µs", 0, False),
    ("start_ms", "start to ready, ms", 0, False),
    ("start_rss_mb", "RSS when ready, MB", 1, False),
    ("rss_20k_mb", "RSS after 20,000 requests, MB", 1, False),
    ("rss_100k_mb", "RSS after 100,000 requests, MB", 1, False),
)


def summary(figures: Figures) -> dict[str, dict[str, dict[str, float]]]:
    """Metric → system → median, min, max. First-token times of all but `direct` become what is added to it."""
    out: dict[str, dict[str, dict[str, float]]] = {}
    for metric, by_system in figures.items():
        direct = by_system.get("direct") if metric.startswith("first_") else None
        for system, values in by_system.items():
            base = median(direct) if direct and system != "direct" else 0
            low, high = min(values) - base, max(values) - base
            out.setdefault(metric, {})[system] = {"median": median(values) - base, "min": low, "max": high}
    return out


def _cell(data: dict[str, dict[str, float]], system: str, decimals: int, ratio: bool) -> str:
    if system not in data:
        return "—"
    value = data[system]["median"]
    text = f"{value:,.{decimals}f}"
    nginx = data.get("nginx", {}).get("median", 0)
    if not ratio or system in ("direct", "nginx") or nginx <= 0:
        return text
    return f"{text} ({value / nginx:.1f}x)"


def _rows(figures: Figures, systems: list[str], every_row: bool) -> list[list[str]]:
    data = summary(figures)
    rows = [["", *systems]]
    for metric, label, decimals, ratio in _ROWS:
        if metric in data or every_row:
            cells = data.get(metric, {})
            rows.append([label, *(_cell(cells, system, decimals, ratio) for system in systems)])
    return rows


def table(figures: Figures, systems: list[str], markdown: bool) -> str:
    rows = _rows(figures, systems, every_row=markdown)
    if markdown:
        rows.insert(1, ["---", *("---:" for _ in systems)])
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
    widths = [max(len(row[column]) for row in rows) for column in range(len(systems) + 1)]
    return "\n".join(
        row[0].ljust(widths[0])
        + "".join(f"  {cell.rjust(width)}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def as_data(facts: dict[str, str], figures: Figures, faults: list[str]) -> dict[str, Any]:
    return {"machine": facts, "metrics": summary(figures), "raw": figures, "faults": faults}
