"""`gateway report`: how many chats were rated, how, and by which dimensions. It reads the store beside its server."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.cli.common import add_since_option, add_store_option, describe, since_ms
from gateway.cli.store import reading
from gateway.domain.trace import Value
from gateway.observability.lines import json_line, pretty_row, rfc3339
from gateway.storage.engine import RowReader
from gateway.storage.scripts import export as sql_export
from gateway.storage.scripts.feedback import read_value
from gateway.storage.scripts.traces import strings

THUMB = "user_feedback"
_GROUPS, _DIMENSIONS = (24, 9, 9, 9, 9, 13), (24, 26, 9, 15)  # columns, with the two spaces after each
_MOST_OPTIONS = 50  # different texts of one name that are told apart


def add_options(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare the command."""
    describe(parser, run, summary, "gateway report --since 7d --by model")
    parser.add_argument("--by", choices=["model"], help="besides the total, a line for each")
    parser.add_argument("--project", help="only of this project")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    add_since_option(parser, "24h")
    add_store_option(parser)


def run(args: argparse.Namespace) -> int:
    """Print the report. Return 0."""
    since = since_ms(args.since)
    with reading(args) as reader:
        groups = report(reader, since, args.project)
    if args.json:
        found = {"since": rfc3339(since), "total": groups[0]} | ({"models": groups[1:]} if args.by else {})
        sys.stdout.write(json_line(found) + "\n")
    else:
        sys.stdout.write(f"since {rfc3339(since)[:16].replace('T', ' ')} UTC\n\n")
        sys.stdout.write(as_text(groups if args.by else groups[:1]))
    return 0


class Scale(msgspec.Struct):
    """The raw scores that were given on one scale, such as `1-5`."""

    scale: str
    count: int = 0
    mean: float = 0.0


class Dimension(msgspec.Struct, kw_only=True):
    """Ratings of one name. `mean` is of the numbers (0 to 1 on a scale) and of truths as 0 and 1."""

    name: str
    count: int = 0
    mean: float | None = None
    scales: list[Scale] = []
    options: dict[str, int] = {}


class Group(msgspec.Struct, kw_only=True):
    """`model` None: all of them. `chats`: that ended and are still stored; `rated_chats`: those with a valid rating."""

    model: str | None
    chats: int = 0
    rated_chats: int = 0
    feedback_rate: float | None = None
    ratings: int = 0
    thumbs_up: int = 0
    thumbs_down: int = 0
    positive_rate: float | None = None
    dimensions: list[Dimension] = []


class _Sum:
    """Adds up the ratings of one name."""

    def __init__(self) -> None:
        self.count = self.numbers = 0
        self.total = 0.0
        self.scales: dict[str, tuple[int, int]] = {}  # scale → how many, their sum
        self.options: Counter[str] = Counter()

    def add(self, value: Value, metadata: Mapping[str, str]) -> None:
        self.count += 1
        if isinstance(value, bool | int | float):
            self.numbers += 1
            self.total += value
            scale, score = metadata.get("scale"), metadata.get("score", "")
            if scale and score.removeprefix("-").isdecimal() and score.isascii() and len(score) < 20:
                count, total = self.scales.get(scale, (0, 0))
                if count or len(self.scales) < _MOST_OPTIONS:
                    self.scales[scale] = (count + 1, total + int(score))
            return
        for option in value if isinstance(value, list) else [value]:
            if option in self.options or len(self.options) < _MOST_OPTIONS:
                self.options[option] += 1

    def dimension(self, name: str) -> Dimension:
        scales = sorted(self.scales.items(), key=lambda item: -item[1][0])
        return Dimension(
            name=name,
            count=self.count,
            mean=self.total / self.numbers if self.numbers else None,
            scales=[Scale(scale, count, total / count) for scale, (count, total) in scales],
            options=dict(self.options.most_common()),
        )


class _Tally:
    """Adds up the chats and ratings of one model, or of all."""

    def __init__(self) -> None:
        self.chats = self.rated = self.up = self.down = 0
        self.names: dict[str, _Sum] = {}

    def add(self, name: str, value: Value, metadata: Mapping[str, str]) -> None:
        if name == THUMB and isinstance(value, bool):
            self.up += value
            self.down += not value
        else:
            self.names.setdefault(name, _Sum()).add(value, metadata)

    def group(self, model: str | None) -> Group:
        thumbs = self.up + self.down
        return Group(
            model=model,
            chats=self.chats,
            rated_chats=self.rated,
            feedback_rate=self.rated / self.chats if self.chats else None,
            ratings=thumbs + sum(each.count for each in self.names.values()),
            thumbs_up=self.up,
            thumbs_down=self.down,
            positive_rate=self.up / thumbs if thumbs else None,
            dimensions=[self.names[name].dimension(name) for name in sorted(self.names)],
        )


def report(reader: RowReader, since: int, project: str | None = None) -> list[Group]:
    """Return the total, then each model: chats asked since then, and ratings given since then, however old their chat.

    `since` is in milliseconds.
    """
    total, models = _Tally(), dict[str, _Tally]()
    for row in reader.rows(sql_export.chats(since, project)):
        for tally in (total, models.setdefault(row["model"], _Tally())):
            tally.chats += row["chats"]
            tally.rated += row["rated"]
    for row in reader.rows(sql_export.ratings(since, project)):
        value, metadata = read_value(row["value"]), strings(row["metadata"])
        for tally in (total, models.setdefault(row["model"], _Tally())):
            tally.add(row["name"], value, metadata)
    return [total.group(None), *(models[name].group(name) for name in sorted(models))]


def as_text(groups: list[Group]) -> str:
    """Return the report for people, 80 columns wide."""
    lines = [_row("", "chats", "rated", "rate", "thumbs", "positive", widths=_GROUPS)]
    for group in groups:
        thumbs = group.thumbs_up + group.thumbs_down
        share, positive = _percent(group.feedback_rate), _percent(group.positive_rate)
        name = _name(group)
        lines.append(_row(name, group.chats, group.rated_chats, share, thumbs, positive, widths=_GROUPS))
    rows = [(_name(group), each) for group in groups for each in group.dimensions]
    if rows:
        lines += ["", _row("", "dimension", "ratings", "mean", widths=_DIMENSIONS, left=2)]
        lines += [_row(name, each.name, each.count, _mean(each), widths=_DIMENSIONS, left=2) for name, each in rows]
    return "".join(f"{line}\n" for line in lines)


def _name(group: Group) -> str:
    return "all" if group.model is None else group.model


def _row(*texts: Any, widths: tuple[int, ...], left: int = 1) -> str:
    """Return a row with the first columns to the left and numbers to the right, two spaces between them."""
    cells = [str(text) for text in texts]
    wide = [width - 2 for width in widths]
    cells[left:] = [text.rjust(width) for text, width in zip(cells[left:], wide[left:], strict=True)]
    return pretty_row(cells, wide)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _mean(dimension: Dimension) -> str:
    if dimension.scales:
        first = dimension.scales[0]
        return f"{first.mean:.2f} of {first.scale.rpartition('-')[2]}"
    if dimension.options:
        option, count = next(iter(dimension.options.items()))
        return f"{count}x {option}"
    return "-" if dimension.mean is None else f"{dimension.mean:.2f}"
