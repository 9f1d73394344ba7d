"""The words of `gateway report`, `export` and `erase`; what they do is in this package's other files, imported late.

Called by the CLI, which hands in how a command is declared, and how a configuration is read.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.config.schema import Config

Run = Callable[[argparse.Namespace], int]
Load = Callable[[argparse.Namespace], "tuple[Config, Path | None]"]


class Declare(Protocol):
    def __call__(self, name: str, run: Run, what: str, example: str) -> argparse.ArgumentParser: ...


def add_commands(declare: Declare, seconds: Callable[[str], float], load: Load) -> None:
    """`seconds` reads an age; `load` gives the configuration that the options ask for."""

    def store(args: argparse.Namespace) -> Path:
        from gateway.storage.sqlite.file import parse_url

        return parse_url(load(args)[0].store.url)

    report = declare(
        "report",
        lambda args: _report(args, store(args)),
        "show how many chats were rated, and how",
        "gateway report --since 7d --by model",
    )
    report.add_argument("--by", choices=["model"], help="besides the total, a line for each")
    report.add_argument("--project", help="only of this project")
    report.add_argument("--json", action="store_true", help="one JSON object")
    _since(report, seconds, 86_400.0, "24h (default)")

    export = declare(
        "export",
        lambda args: _export(args, export, store(args)),
        "write traces or ratings for other programs",
        "gateway export assessments --format csv --since 7d --filter valid=true -o ratings.csv",
    )
    export.add_argument("what", choices=["traces", "assessments"], help="chats, or what people said of them")
    export.add_argument("--format", choices=["jsonl", "csv"], default="jsonl", help="jsonl (default) or csv")
    export.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="traces: model, outcome, session, user, project, provider, route, state, trace; assessments: name, "
        "value, user, model, project, trace, kind, valid. All must hold; of one name given twice, either",
    )
    export.add_argument("-o", "--output", type=Path, metavar="F", help="to this file, once it is whole; else stdout")
    _since(export, seconds, None, "24h; all without it")

    erase = declare(
        "erase",
        lambda args: _erase(args, erase, store(args), load(args)[0]),
        "remove a person's content, and keep the ratings' numbers",
        "gateway erase --user jane@example.com",
    )
    erase.add_argument("--user", required=True, help="the user_id that chats and ratings were sent with")
    erase.add_argument("--project", help="only of this project; else of all")
    erase.add_argument("--yes", action="store_true", help="don't ask, as without a terminal")
    for parser in (report, export, erase):
        parser.add_argument("--store", metavar="URL", help="sqlite:///file.db, or just the file")


def _since(
    parser: argparse.ArgumentParser, seconds: Callable[[str], float], default: float | None, example: str
) -> None:
    parser.add_argument(
        "--since", type=seconds, default=default, metavar="AGE", help=f"how far back: 30s, 10m, 7d, {example}"
    )


def _begin(age_s: float | None) -> int:
    from gateway.domain.ids import now_ms

    return 0 if age_s is None else max(0, now_ms() - round(age_s * 1000))


def _report(args: argparse.Namespace, store: Path) -> int:
    from gateway.cli import report
    from gateway.observability.lines import json_line, rfc3339

    since = _begin(args.since)
    groups = report.report(store, since, args.project)
    if args.json:
        found = {"since": rfc3339(since), "total": groups[0]} | ({"models": groups[1:]} if args.by else {})
        sys.stdout.write(json_line(found) + "\n")
    else:
        sys.stdout.write(f"since {rfc3339(since)[:16].replace('T', ' ')} UTC\n\n")
        sys.stdout.write(report.as_text(groups if args.by else groups[:1]))
    return 0


def _export(args: argparse.Namespace, parser: argparse.ArgumentParser, store: Path) -> int:
    from gateway.cli.export import export, parse_filters
    from gateway.storage.scripts.export import Query

    try:
        filters = parse_filters(args.what, args.filter)
    except ValueError as error:
        parser.error(str(error))
    count = export(store, Query(args.what, _begin(args.since), filters), args.format, args.output)
    if args.output is not None:
        sys.stderr.write(f"{count} {args.what}\n")
    return 0


def _erase(args: argparse.Namespace, parser: argparse.ArgumentParser, store: Path, config: Config) -> int:
    from gateway.cli.erase import erase
    from gateway.cli.export import encodable
    from gateway.erasure import Wanted
    from gateway.observability.lines import printable

    if not (1 <= len(args.user) <= 250 and encodable(args.user)):
        parser.error("--user must have 1 to 250 characters, in UTF-8")
    if not args.yes and sys.stdin.isatty():
        where = f"in project {args.project}" if args.project else "in every project"
        sys.stderr.write(printable(f"Erase all content of the user {args.user} {where}? This can't be undone. [y/N] "))
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            sys.stderr.write("nothing was erased\n")
            return 1
    erased = asyncio.run(erase(store, config, Wanted(args.user, args.project)))
    sys.stdout.write(f"erased: {erased.traces} traces, {erased.ratings} ratings; their numbers are kept\n")
    if not erased.rewritten:
        sys.stderr.write(
            "The store is large, so that its file was not written anew beside the running server: pieces\n"
        )
        sys.stderr.write("of old pages may be in it until you run this again while the server is stopped.\n")
    return 0
