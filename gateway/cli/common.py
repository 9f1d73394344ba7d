"""What the commands share: how one is declared, the options that several take, and how they read the configuration.

Every command is a module of this package with `add_options` and `run`; main.py has the table of them. How a store is
opened is store.py's. What takes long to import is imported where it is used, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.config.schema import Config

Run = Callable[[argparse.Namespace], int]  # does the work and returns the exit code
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class UsageError(Exception):
    """Options that don't go together, as a sentence. main.py prints it and exits with 2."""


class Parser(argparse.ArgumentParser):
    """argparse's parser, whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Print what was wrong with the usage and exit with 2."""
        sentence = f"{message[:1].upper()}{message[1:]}".rstrip(".")
        self.exit(2, f"{self.prog}: {printable(sentence)}. See {self.prog} --help.\n")


def describe(parser: argparse.ArgumentParser, run: Run, summary: str, example: str) -> None:
    """Give a command its description, its example, the option that all have, and what does its work."""
    parser.description = parser.description or f"{summary[0].upper()}{summary[1:]}."
    parser.epilog = f"example: {example}"
    parser.add_argument("--config", metavar="F", help="config file (./config.toml if it exists)")
    parser.set_defaults(run=run, parser=parser)


def add_store_option(parser: argparse.ArgumentParser) -> None:
    """Let the command work on another store than the configuration's."""
    parser.add_argument("--store", metavar="URL", help="sqlite:///file.db, or just the file")


def add_since_option(parser: argparse.ArgumentParser, default: str | None) -> None:
    """Let the command look back so far; without a default, at everything."""
    examples = f"30s, 10m, 24h, 7d (default {default})" if default else "30s, 10m, 24h, 7d; everything without it"
    parser.add_argument("--since", type=age, default=default, metavar="AGE", help=f"how far back: {examples}")


def port(text: str) -> int:
    """Return a port number. Raise argparse's error for another text."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def seconds(text: str) -> float:
    """Return a number of seconds above 0. Raise argparse's error for another text."""
    if not (re.fullmatch(r"\d{1,5}(?:\.\d{1,3})?", text) and float(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds such as 10 or 0.5")
    return float(text)


def age(text: str) -> float:
    """Return a span of time in seconds. Raise argparse's error for another text."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)([smhd])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not an age such as 30s, 10m, 1h or 2d")
    return float(match[1]) * _SECONDS[match[2]]


def since_ms(age_s: float | None) -> int:
    """Return the time that was so many seconds ago, in milliseconds; 0 without an age."""
    from gateway.domain.ids import now_ms

    return 0 if age_s is None else max(0, now_ms() - round(age_s * 1000))


def config_source(args: argparse.Namespace, *, secrets: bool) -> tuple[Path | None, Callable[[], Config]]:
    """Return the file, if there is one, and what reads the configuration from it, the environment and the options.

    Only a server needs its secrets: without `secrets` a command runs in any shell, even where their variables aren't.
    """
    from gateway.config.load import find_config, load

    path, overrides = find_config(args.config), _overrides(args)
    return path, lambda: load(path, os.environ, overrides, secrets=secrets)


def read_config(args: argparse.Namespace) -> Config:
    """Return the configuration for a command that needs no secret of it. Raise ConfigError."""
    return config_source(args, secrets=False)[1]()


def _overrides(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options that stand for a key of the configuration, by the key's path."""
    keys = {"$.server.host": "host", "$.server.port": "port", "$.store.url": "store"}
    given = {key: value for key, name in keys.items() if (value := getattr(args, name, None)) is not None}
    if "://" not in given.get("$.store.url", "://"):
        given["$.store.url"] = f"sqlite:///{args.store}"
    return given


def encodable(text: str) -> bool:
    """Return True for UTF-8, as everything in the store is; what was typed may be other bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def note(text: str) -> None:
    """Write a remark to stderr, beside what the command prints."""
    sys.stderr.write(f"{printable(text)}\n")


def printable(text: str) -> str:
    """Return the text in one line that moves no terminal."""
    from gateway.observability import lines

    return lines.printable(text)
