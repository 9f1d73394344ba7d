"""`gateway export`: traces or ratings, streamed to stdout or to a file that appears when it is whole."""

from __future__ import annotations

import argparse
import io
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TextIO

from gateway.cli.common import (
    UsageError,
    add_since_option,
    add_store_option,
    describe,
    encodable,
    note,
    since_ms,
)
from gateway.cli.formats import csv_rows, json_row
from gateway.cli.store import reading
from gateway.domain.trace import Outcome, State
from gateway.storage.engine import Row, RowReader
from gateway.storage.scripts import export as scripts
from gateway.storage.scripts.export import FILTERS, Query, What

Format = Literal["jsonl", "csv"]
_WORDS = {"valid": ("true", "false"), "outcome": tuple(Outcome), "state": tuple(State)}
_EVERY = 100  # rows between two looks at the progress


def add_options(parser: argparse.ArgumentParser, summary: str) -> None:
    """Declare the command."""
    example = "gateway export assessments --format csv --since 7d --filter valid=true -o ratings.csv"
    describe(parser, run, summary, example)
    parser.add_argument("what", choices=["traces", "assessments"], help="chats, or what people said of them")
    parser.add_argument("--format", choices=["jsonl", "csv"], default="jsonl", help="jsonl (default) or csv")
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="traces: model, outcome, session, user, project, provider, route, state, trace; assessments: name, "
        "value, user, model, project, trace, kind, valid. All must hold; of one name given twice, either",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="F", help="to this file, once it is whole; else stdout")
    add_since_option(parser, None)
    add_store_option(parser)


def run(args: argparse.Namespace) -> int:
    """Write what was asked for. Return 0."""
    query = Query(args.what, since_ms(args.since), parse_filters(args.what, args.filter))
    with reading(args) as reader:
        count = export(reader, query, args.format, args.output)
    if args.output is not None:
        note(f"{args.what.capitalize()} written to {args.output}: {count}.")
    return 0


def parse_filters(what: What, pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return what `name=value` pairs ask for: every name must hold, by one of its values. Raise UsageError."""
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in FILTERS[what]:
            raise UsageError(f"--filter {pair!r}: NAME=VALUE is expected, with NAME one of {', '.join(FILTERS[what])}")
        if value not in _WORDS.get(name, (value,)):
            raise UsageError(f"--filter {pair!r}: {name} is one of {', '.join(_WORDS[name])}")
        if not encodable(value):
            raise UsageError(f"--filter {pair!r}: that is not UTF-8")
        found[name] = (*found.get(name, ()), value)
    return found


def export(reader: RowReader, query: Query, form: Format, target: Path | None) -> int:
    """Write what the query finds, and return how many there were. Raise StoreUnavailable, OSError."""
    with _output(target) as out:
        shown = target is None and sys.stdout.isatty()
        if form == "csv":
            head, line = csv_rows(query.what, terminal=shown)
            out.write(head)
        else:
            line = _json_line(query.what)
        rows = scripts.rows(reader, query)
        written = 0
        if sys.stderr.isatty() and not shown:
            rows = _watched(rows, lambda: scripts.count(reader, query), query.what)
        for row in rows:
            out.write(line(row))
            written += 1
        out.flush()
    return written


def _json_line(what: What) -> Callable[[Row], str]:
    return lambda row: json_row(what, row) + "\n"


def _watched(rows: Iterable[Row], count: Callable[[], int], what: str) -> Iterator[Row]:
    """Yield the rows, and show a bar on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(what, total=count())
        for at, row in enumerate(rows, 1):
            yield row
            if at % _EVERY == 0:
                progress.update(bar, completed=at)


@contextmanager
def _output(target: Path | None) -> Iterator[TextIO]:
    """Open stdout, or a file that takes its name once it is whole and on the disk; none is left otherwise."""
    if target is None:
        sys.stdout.flush()
        with _text(os.dup(sys.stdout.fileno())) as out:
            yield out
        return
    target = Path(os.path.realpath(target))
    if target.exists() and not stat.S_ISREG(target.stat().st_mode):  # /dev/null, a pipe: nothing to put in its place
        with _text(os.open(target, os.O_WRONLY)) as out:
            yield out
        return
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    try:
        with _text(descriptor) as out:  # for its owner alone, as mkstemp makes it: it holds what people said
            yield out
            out.flush()
            os.fsync(descriptor)
        os.replace(name, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def _text(descriptor: int) -> TextIO:
    return io.TextIOWrapper(
        os.fdopen(descriptor, "wb", 65_536), encoding="utf-8", errors="backslashreplace", newline=""
    )
