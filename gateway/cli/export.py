"""`gateway export`: traces or ratings, streamed to stdout or to a file that appears when it is whole."""

from __future__ import annotations

import io
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, TextIO

from gateway.cli.formats import csv_rows, json_row
from gateway.domain.trace import Outcome, State
from gateway.storage.engine import Row
from gateway.storage.scripts.export import FILTERS, Query, What
from gateway.storage.sqlite.look import reading

Format = Literal["jsonl", "csv"]
_WORDS = {"valid": ("true", "false"), "outcome": tuple(Outcome), "state": tuple(State)}
_EVERY = 100  # rows between two looks at the progress


def encodable(text: str) -> bool:
    """Whether it is UTF-8, as everything in the store is; what was typed may be other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_filters(what: What, pairs: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`name=value` pairs: other names must hold too, one name's other values will do as well. Raises ValueError."""
    found: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or name not in FILTERS[what]:
            raise ValueError(f"--filter {pair!r}: NAME=VALUE is expected, with NAME one of {', '.join(FILTERS[what])}")
        if value not in _WORDS.get(name, (value,)):
            raise ValueError(f"--filter {pair!r}: {name} is one of {', '.join(_WORDS[name])}")
        if not encodable(value):
            raise ValueError(f"--filter {pair!r}: that is not UTF-8")
        found[name] = (*found.get(name, ()), value)
    return found


def export(store: Path, query: Query, form: Format, target: Path | None) -> int:
    """Write what the query finds; how many there were. Raises StoreUnavailable, OSError."""
    with reading(store) as reader, _output(target) as out:
        shown = target is None and sys.stdout.isatty()
        if form == "csv":
            head, line = csv_rows(query.what, terminal=shown)
            out.write(head)
        else:
            line = _json_line(query.what)
        rows = reader.export(query)
        written = 0
        if sys.stderr.isatty() and not shown:
            rows = _watched(rows, lambda: reader.count(query), query.what)
        for row in rows:
            out.write(line(row))
            written += 1
        out.flush()
    return written


def _json_line(what: What) -> Callable[[Row], str]:
    return lambda row: json_row(what, row) + "\n"


def _watched(rows: Iterable[Row], count: Callable[[], int], what: str) -> Iterator[Row]:
    """The rows, with a bar on stderr."""
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
    """UTF-8 to stdout, or to a file that takes its name once it is whole and on the disk; none is left otherwise."""
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
