"""The table: metrics down, systems across, ratios to nginx in brackets; as text, Markdown or plain data."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

Figures = dict[str, dict[str, list[float]]]
Summary = dict[str, dict[str, dict[str, float]]]
BESIDE = "older "  # before the name of a column: the same wire of the gateway that `--beside` names

# metric, label, decimals, ratio to nginx
_ROWS = (
    ("paced_us", "CPU per token, 100 streams, one per 20 ms, µs", 1, True),
    ("paced_20_us", "CPU per token, 20 streams, one per 20 ms, µs", 1, True),
    ("burst_us", "CPU per token in a burst, µs", 2, True),
    ("plain_us", "CPU per non-stream request, µs", 0, True),
    ("chat_us", "CPU per POST /chat, a stream of 256 tokens read for it, µs", 0, False),
    ("first_p50_ms", "added time to first token p50, ms", 2, True),
    ("first_p99_ms", "added time to first token p99, ms", 2, True),
    ("one_way_p99_ms", "upstream to client p99, 100 streams, ms", 2, False),
    ("one_way_20_p99_ms", "upstream to client p99, 20 streams, ms", 2, False),
    ("streams", "most streams on one core", 0, True),
    ("idle_kb", "memory per open idle stream, kB", 1, True),
    ("ratings_32_per_s", "durable ratings per second, 32 connections", 0, False),
    ("ratings_32_p99_ms", "rating p99, 32 connections, ms", 2, False),
    ("ratings_128_per_s", "durable ratings per second, 128 connections", 0, False),
    ("ratings_128_p99_ms", "rating p99, 128 connections, ms", 2, False),
    ("ratings_us", "CPU per rating, 32 connections, µs", 0, False),
    ("start_ms", "start to ready, ms", 0, False),
    ("start_rss_mb", "RSS when ready, MB", 1, False),
    ("rss_20k_mb", "RSS after 20,000 requests, MB", 1, False),
    ("rss_100k_mb", "RSS after 100,000 requests, MB", 1, False),
)


def summary(figures: Figures) -> Summary:
    """Metric → system → median, min, max. First-token times of all but `direct` become what is added to it."""
    out: Summary = {}
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


def table(data: Summary, systems: list[str], markdown: bool) -> str:
    rows = [["", *systems]]
    for metric, label, decimals, ratio in _ROWS:
        if metric in data:
            rows.append([label, *(_cell(data[metric], system, decimals, ratio) for system in systems)])
    return aligned(rows, "-" + "r" * len(systems), markdown)


def ratios(data: Summary, systems: Sequence[str], markdown: bool) -> str:
    """Each figure of these columns by that of the older gateway beside it."""
    rows = [["this gateway ÷ the older one", *systems]]
    for metric, label, _, _ in _ROWS:
        cells = []
        for system in systems:
            both = [data.get(metric, {}).get(name, {}).get("median", 0) for name in (system, f"{BESIDE}{system}")]
            cells.append(f"{both[0] / both[1]:.2f}" if all(value > 0 for value in both) else "—")
        if cells != ["—"] * len(cells):
            rows.append([label, *cells])
    return aligned(rows, "-" + "r" * len(systems), markdown)


def aligned(rows: list[list[str]], sides: str, markdown: bool) -> str:
    """Rows, the first of them the head, with columns to the left (`-`) or the right (`r`)."""
    if markdown:
        rules = ["---:" if side == "r" else "---" for side in sides]
        return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], rules, *rows[1:]])
    widths = [max(len(row[column]) for row in rows) for column in range(len(sides))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if side == "r" else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=True)
        ).rstrip()
        for row in rows
    )
